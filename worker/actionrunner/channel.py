"""The runner's channel to its control plane: the agent's pulls and pushes as proven, sealed exchanges (docs/protocol-runner.md).

To the poller and the outbox it is an intake. A pull waits at the control plane until there is something to say, so that work
comes at once; whoever is full asks without waiting. Only a reply that the control plane signed moves the clock, takes or
cancels a task, or forgets a result.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import timedelta
from typing import Protocol, Self

import msgspec

from worker.actionrunner.keyring import ChannelKeys
from worker.actionrunner.leasebook import LeaseBook
from worker.clock import Clock
from worker.errors import EnvelopeError, MessageError, SignatureError
from worker.intake.backoff import retry_after_seconds
from worker.intake.offset import offset_of
from worker.intake.replies import Reaction, of_signed_reply
from worker.intake.transport import MAX_SIGNINGS, TIMEOUT, IntakeError, IntakeReply, Peer, Transport, refused
from worker.intake.trouble import likely_cause
from worker.wire import compact, enrolment, envelope, messages, proof, runner_messages
from worker.wire.enrolment import KEYSET_PATH, ROTATE_PATH, NewKeys
from worker.wire.keys import PrivateKey
from worker.wire.messages import Job, Jobs, Pull, ResultItem, Results, ResultsReply
from worker.wire.proof import ProofReason, Provable, RunnerEndpoint
from worker.wire.runner_messages import (
    CLAIM_PATH,
    MAX_WAIT_MS,
    PULL_PATH,
    RESULTS_PATH,
    Predecessor,
    RunnerPull,
    RunnerRefusal,
    RunnerWork,
    TokenClaim,
)
from worker.wire.signingkey import SigningKey

log = logging.getLogger(__name__)

CLAIM_SECONDS = 5.0
"""For the control plane to say if a token was used elsewhere: a person waits for it."""
_IN_TURN = (RunnerEndpoint.PULL, RunnerEndpoint.RESULTS, RunnerEndpoint.ROTATE)
"""Endpoints whose requests are numbered in order. Claims are not: each is a row of its own."""
LONGEST_POLL_MS = MAX_WAIT_MS
"""Milliseconds that a pull waits at the control plane."""
WAITED = 1.0
"""Seconds after which an empty reply was waited for, and the next pull may follow at once. A control plane that answers sooner
with nothing is asked again after the agent's interval."""


class InstanceStanding(Protocol):
    """The exchange of an instance about itself: its epoch, its successors, its keys."""

    def say(self, pull: RunnerPull) -> RunnerPull:
        """Add the epoch, the chain of instances and the report to *pull*."""
        ...

    def hear(self, work: RunnerWork) -> None:
        """Take in what a signed reply says of the instance."""
        ...

    def refused(self, code: str, message: str, instance: str | None) -> None:
        """Take in a signed refusal."""
        ...


class Before(Protocol):
    """The part of the start journal that this module needs."""

    @property
    def previous(self) -> tuple[Predecessor, ...]: ...

    def forget_previous(self, told: Sequence[Predecessor]) -> None: ...


class RunnerChannel:
    """The exchanges of one instance. Use as an async context manager; one pull and one push may be under way at a time.

    One that *takes_tasks* waits where it has free slots; one that takes none waits all the same, for what else there is to hear.
    """

    def __init__(
        self,
        peer: Peer,
        keyring: ChannelKeys,
        clock: Clock,
        *,
        instance: str,
        agent: str,
        book: LeaseBook,
        standing: InstanceStanding | None = None,
        before: Before | None = None,
        on_keyset: Callable[[str], None] = lambda _token: None,
        takes_tasks: bool = True,
    ) -> None:
        self._keyring = keyring
        self._takes_tasks = takes_tasks
        self._peer = peer
        self._clock = clock
        self._instance = instance
        self._book = book
        self._standing = standing
        self._before = before
        self._on_keyset = on_keyset
        self._transport = Transport(peer, agent=agent)
        self._number = dict.fromkeys(RunnerEndpoint, 0)
        self._in_turn = {endpoint: asyncio.Lock() for endpoint in _IN_TURN}
        self.clock_offset = timedelta()
        """The time by which the control plane's clock is ahead of ours, as of its last signed reply."""
        self.last_signed_reply_ns: int | None = None
        """Monotonic time of the last signed reply; None before the first."""

    @property
    def keyset_seq(self) -> int:
        return self._keyring.keyset.seq

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.__aexit__()

    async def pull(self, message: Pull) -> Jobs:
        """Report in and take tasks. Raises IntakeError, or EnvelopeError/MessageError for what cannot be opened or read."""
        asked_ns = self._clock.monotonic_ns()
        told = self._before.previous if self._before is not None else ()
        said = self._pull(message, told)
        body = self._seal(messages.encode(said), runner_messages.PULL)
        within = TIMEOUT + said.wait_ms / 1000
        reply = await self._exchange(RunnerEndpoint.PULL, PULL_PATH, body, within=within)
        self._book.renew(message.holding, asked_ns=asked_ns)
        if self._before is not None:
            self._before.forget_previous(told)
        if reply.status == 204:
            self._take_in(RunnerWork(epoch=said.epoch))
            return Jobs(more=self._has_waited(asked_ns))
        work = messages.decode(RunnerWork, self._open(reply.body))
        self._take_in(work)
        jobs = tuple(self._job(item, asked_ns) for item in work.tasks)
        more = work.more or bool(work.tasks or work.cancel) or self._has_waited(asked_ns)
        return Jobs(jobs=jobs, more=more, cancel=work.cancel)

    async def push(self, items: Sequence[ResultItem]) -> ResultsReply:
        """Hand over outcomes. Raises IntakeError; an item of which the reply says nothing stays with the caller."""
        reported_at = max(0, round((self._clock.now() + self.clock_offset).timestamp() * 1000))
        payload = messages.encode(Results(reported_at=reported_at, results=tuple(items)))
        reply = await self._exchange(RunnerEndpoint.RESULTS, RESULTS_PATH, self.seal(payload), within=TIMEOUT)
        try:
            return messages.decode(ResultsReply, reply.body)
        except MessageError as error:
            raise IntakeError(str(error), reaction=Reaction.RETRY, status=reply.status) from error

    async def claim(self, jti: str) -> bool:
        """Spend an app's token for all instances; False where it was spent before. Raises IntakeError."""
        body = messages.encode(TokenClaim(jti=jti))
        try:
            await self._exchange(RunnerEndpoint.CLAIM, CLAIM_PATH, body, within=CLAIM_SECONDS)
        except IntakeError as error:
            if error.code == "used" and error.signed:
                return False
            raise
        return True

    async def offer_keys(self, signing: SigningKey, opening: PrivateKey) -> None:
        """Tell the control plane the keys that are to follow those in use. Raises IntakeError."""
        pem = opening.public.pem
        path = self._transport.prefix + ROTATE_PATH
        request = Provable(
            ins=self._instance,
            aud=self._keyring.audience,
            path=path,
            body=pem.encode(),
            number=self._number[RunnerEndpoint.ROTATE] + 1,
            endpoint=RunnerEndpoint.ROTATE,
        )
        introduction = proof.prove_new(request, signing, now=self._clock.now() + self.clock_offset)
        body = enrolment.encode_rotation(NewKeys(version=1, proof=introduction, opening_key=pem))
        await self._exchange(RunnerEndpoint.ROTATE, ROTATE_PATH, body, within=TIMEOUT)

    def seal(self, payload: bytes) -> bytes:
        """Encrypt results for the control plane."""
        return self._seal(payload, runner_messages.OUTCOMES)

    def _has_waited(self, asked_ns: int) -> bool:
        return self._clock.monotonic_ns() - asked_ns >= WAITED * 1e9

    def _pull(self, message: Pull, told: tuple[Predecessor, ...]) -> RunnerPull:
        asks = message.free_slots > 0 or not self._takes_tasks
        waits = asks and not message.draining and message.degraded is None
        said = RunnerPull(
            agent=message.agent,
            host=message.host,
            concurrency=message.concurrency,
            free_slots=message.free_slots,
            holding=self._book.describe(message.holding),
            release=message.release,
            wait_ms=LONGEST_POLL_MS if waits else 0,
            draining=message.draining,
            degraded=message.degraded,
            journal=self._before is not None,
            keys=tuple(key.kid for key in self._keyring.opening),
            keyset=self._keyring.keyset.seq,
            previous=told,
        )
        return said if self._standing is None else self._standing.say(said)

    def _take_in(self, work: RunnerWork) -> None:
        if work.keyset is not None and self._keyring.take_keyset(work.keyset):
            self._on_keyset(work.keyset)
        if self._standing is not None:
            self._standing.hear(work)

    def _job(self, item: runner_messages.WorkItem, asked_ns: int) -> Job:
        """The task as the agent knows it: by the digest of its token, as nothing in it is proven yet."""
        key = hashlib.sha256(item.task.encode("utf-8", "surrogatepass")).hexdigest()
        self._book.take(key, item.lease, lease_ms=item.lease_ms, asked_ns=asked_ns)
        return Job(
            job=key,
            lease=item.lease,
            lease_ms=item.lease_ms,
            scheduled_at=0,
            start_by=item.start_by,
            delivery=item.delivery,
            test=msgspec.Raw(msgspec.json.encode(item.task)),
        )

    def _seal(self, payload: bytes, typ: str) -> bytes:
        return envelope.seal(payload, self._keyring.keyset.results_key, typ=typ, location=self._keyring.urn)

    def _open(self, body: bytes) -> bytes:
        return envelope.unseal(
            body,
            self._keyring.opening,
            typ=runner_messages.WORK,
            location=self._keyring.urn,
            max_bytes=runner_messages.MAX_WORK_BYTES,
        )

    async def _exchange(self, endpoint: RunnerEndpoint, path: str, body: bytes, *, within: float) -> IntakeReply:
        async with self._in_turn.get(endpoint) or nullcontext():
            for _ in range(MAX_SIGNINGS):
                reply = await self._proven_post(endpoint, path, body, within=within)
                reaction = of_signed_reply(reply.status)
                if reaction is Reaction.ACCEPT:
                    return reply
                refusal = _refusal_of(reply)
                if refusal.error == "sequence" and refusal.last is not None:
                    self._number[endpoint] = max(self._number[endpoint], refusal.last)
                elif refusal.error != ProofReason.SKEW:  # the signed time has corrected our clock: prove anew
                    if self._standing is not None:
                        self._standing.refused(refusal.error, refusal.message, refusal.instance)
                    raise _refused(reply, refusal, reaction)
            raise _refused(reply, refusal, Reaction.RETRY)

    async def _proven_post(self, endpoint: RunnerEndpoint, path: str, body: bytes, *, within: float) -> IntakeReply:
        self._number[endpoint] += 1
        sent_to = self._transport.prefix + path
        request = Provable(
            ins=self._instance,
            aud=self._keyring.audience,
            path=sent_to,
            body=body,
            number=self._number[endpoint],
            endpoint=endpoint,
        )
        now = self._clock.now() + self.clock_offset
        token = proof.prove(request, self._keyring.signing, iss=self._keyring.urn, now=now)
        headers = {"Authorization": proof.SCHEME + token, "Content-Type": compact.CONTENT_TYPE}
        reply = await self._transport.send("POST", sent_to, body, headers, within=within)
        await self._check(reply, token)
        return reply

    async def _check(self, reply: IntakeReply, token: str) -> None:
        """Believe *reply*, or raise IntakeError. One under a key that we do not know makes us ask for a newer keyset, once."""
        try:
            try:
                proven = self._proven(reply, token)
            except SignatureError as error:
                if error.reason != ProofReason.KEY or not await self._ask_for_keyset():
                    raise
                proven = self._proven(reply, token)
        except SignatureError as error:
            raise IntakeError(
                f"an unsigned reply, HTTP {reply.status}: {likely_cause(reply.status, self._peer.proxy)} ({error})",
                reaction=Reaction.SPLIT if reply.status == 413 else Reaction.RETRY,
                status=reply.status,
                retry_after=retry_after_seconds(reply.headers.get("Retry-After")),
                signed=False,
            ) from error
        self.last_signed_reply_ns = self._clock.monotonic_ns()
        self.clock_offset = offset_of(proven.at - self._clock.now())

    def _proven(self, reply: IntakeReply, token: str) -> proof.ProvenReply:
        header = reply.headers.get(proof.REPLY_HEADER)
        return proof.check_reply(header, token, self._keyring.keyset, status=reply.status, body=reply.body)

    async def _ask_for_keyset(self) -> bool:
        """Fetch the public keyset, which the root signed; tell if it is a newer one."""
        reply = await self._transport.send("GET", self._transport.prefix + KEYSET_PATH, b"", {})
        try:
            changed = self._keyring.take_keyset(reply.body.decode("ascii"))
        except (EnvelopeError, MessageError, UnicodeDecodeError) as error:
            log.warning("cannot use the keyset: %s", error, extra={"action": "keyset_refused"})
            return False
        if changed:
            self._on_keyset(self._keyring.keyset.token)
        return changed


def _refusal_of(reply: IntakeReply) -> RunnerRefusal:
    try:
        return messages.decode(RunnerRefusal, reply.body)
    except MessageError:
        return RunnerRefusal(error=f"http-{reply.status}")


def _refused(reply: IntakeReply, refusal: RunnerRefusal, reaction: Reaction) -> IntakeError:
    reaction = Reaction.SLOW_DOWN if reaction is Reaction.RESEQUENCE else reaction
    return refused(reply, code=refusal.error, message=refusal.message, reaction=reaction)
