"""The exchange with the control plane: one signed POST, one checked reply, over outbound HTTPS alone.

How bytes get there and back is `transport`'s. This keeps what belongs to the exchange (a sequence number per endpoint, the clock
offset) and nothing else: which jobs run and which results wait is other modules' business.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Self

from msgspec import Struct

from worker.clock import Clock
from worker.errors import MessageError, SignatureError
from worker.intake.backoff import retry_after_seconds
from worker.intake.offset import offset_of
from worker.intake.replies import Reaction, of_signed_reply
from worker.intake.transport import MAX_SIGNINGS, IntakeError, IntakeReply, Peer, Transport, refused
from worker.intake.trouble import likely_cause
from worker.wire import compact, envelope, messages, signing
from worker.wire.keys import PrivateKey, PublicKey
from worker.wire.messages import PULL_PATH, RESULTS_PATH, Jobs, Pull, Refusal, ResultItem, Results, ResultsReply

log = logging.getLogger(__name__)


class Identity(Struct, frozen=True, kw_only=True):
    """The identity of this worker. *worker* is a UUID, new at each process start."""

    credentials: signing.Credentials
    worker: str
    private_keys: tuple[PrivateKey, ...]
    public_key: PublicKey


class Greeting(Struct, frozen=True, kw_only=True):
    """The answer of whoever answers at the intake's URL: nobody signed it. *line* is its first line, foreign text."""

    status: int
    line: str


class Intake:
    """The two calls of the protocol. Use as an async context manager; one pull and one push may be under way at a time."""

    def __init__(self, peer: Peer, identity: Identity, clock: Clock, *, agent: str) -> None:
        self._peer = peer
        self._identity = identity
        self._clock = clock
        self._sequence = {PULL_PATH: 0, RESULTS_PATH: 0}
        self._in_turn = {PULL_PATH: asyncio.Lock(), RESULTS_PATH: asyncio.Lock()}
        self._transport = Transport(peer, agent=agent)
        self.clock_offset = timedelta()
        """The time by which the control plane's clock is ahead of ours, as of its last signed reply."""
        self.last_signed_reply_ns: int | None = None
        """Monotonic time of the last signed reply; None before the first."""

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.__aexit__()

    async def pull(self, message: Pull) -> Jobs:
        """Report in and take work; an empty Jobs when there is none.

        Raises IntakeError, or EnvelopeError/MessageError for a signed reply that cannot be opened or read.
        """
        reply = await self._exchange(PULL_PATH, messages.encode(message), "application/json")
        if reply.status == 204:
            return Jobs()
        payload = envelope.unseal(
            reply.body,
            self._identity.private_keys,
            typ=envelope.JOBS,
            location=self._identity.credentials.location,
            max_bytes=messages.MAX_REPLY_BYTES,
        )
        return messages.decode(Jobs, payload)

    async def push(self, items: Sequence[ResultItem]) -> ResultsReply:
        """Hand over results. Raises IntakeError; a reply that says nothing of an item leaves that item with the caller."""
        reported_at = max(0, round((self._clock.now() + self.clock_offset).timestamp() * 1000))
        payload = messages.encode(Results(reported_at=reported_at, results=tuple(items)))
        reply = await self._exchange(RESULTS_PATH, self.seal(payload), compact.CONTENT_TYPE)
        try:
            return messages.decode(ResultsReply, reply.body)
        except MessageError as error:
            raise IntakeError(str(error), reaction=Reaction.RETRY, status=reply.status) from error

    async def greet(self) -> Greeting:
        """Ask for the plain line that a control plane shows to anybody, by the way of everything else. Raises IntakeError."""
        reply = await self._transport.send("GET", self._transport.prefix + "/", b"", {})
        return Greeting(status=reply.status, line=reply.body.decode(errors="replace").partition("\n")[0])

    def seal(self, payload: bytes) -> bytes:
        """Encrypt for the control plane: what leaves this process, by the wire or to the disk."""
        location = self._identity.credentials.location
        return envelope.seal(payload, self._identity.public_key, typ=envelope.RESULTS, location=location)

    async def _exchange(self, endpoint: str, body: bytes, content_type: str) -> IntakeReply:
        async with self._in_turn[endpoint]:
            for _ in range(MAX_SIGNINGS):
                reply = await self._signed_post(endpoint, body, content_type)
                reaction = of_signed_reply(reply.status)
                if reaction is Reaction.ACCEPT:
                    return reply
                refusal = _refusal_of(reply)
                if reaction is Reaction.RESEQUENCE and refusal.last is not None:
                    self._sequence[endpoint] = max(self._sequence[endpoint], refusal.last)
                elif refusal.error != signing.Reason.SKEW:  # the signed date has corrected our clock: sign anew
                    raise _refused(reply, refusal, reaction)
            raise _refused(reply, refusal, Reaction.RETRY)

    async def _signed_post(self, endpoint: str, body: bytes, content_type: str) -> IntakeReply:
        self._sequence[endpoint] += 1
        path = self._transport.prefix + endpoint
        signed = signing.sign_request(
            self._identity.credentials,
            signing.UnsignedRequest(
                method="POST",
                path=path,
                host=self._transport.host,
                content_type=content_type,
                body=body,
                worker=self._identity.worker,
                seq=self._sequence[endpoint],
            ),
            self._clock.now() + self.clock_offset,
        )
        reply = await self._transport.send("POST", path, body, signed.headers)
        try:
            date = signing.verify_reply(signed, status=reply.status, headers=reply.headers, body=reply.body)
        except SignatureError as error:
            # Whoever sent this, it was not our control plane: nothing in it is believed but a short Retry-After.
            raise IntakeError(
                f"an unsigned reply, HTTP {reply.status}: {likely_cause(reply.status, self._peer.proxy)} ({error})",
                # To send less at once forgets nothing, so that much is believed of a proxy that limits sizes.
                reaction=Reaction.SPLIT if reply.status == 413 else Reaction.RETRY,
                status=reply.status,
                retry_after=retry_after_seconds(reply.headers.get("Retry-After")),
                signed=False,
            ) from error
        self.last_signed_reply_ns = self._clock.monotonic_ns()
        self.clock_offset = offset_of(date - self._clock.now())
        return reply


def _refusal_of(reply: IntakeReply) -> Refusal:
    try:
        return messages.decode(Refusal, reply.body)
    except MessageError:
        return Refusal(error=f"http-{reply.status}")


def _refused(reply: IntakeReply, refusal: Refusal, reaction: Reaction) -> IntakeError:
    reaction = Reaction.RETRY if reaction is Reaction.RESEQUENCE else reaction
    return refused(reply, code=refusal.error, message=refusal.message, reaction=reaction)
