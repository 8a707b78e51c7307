"""Enrolment from the runner's side: keys are kept before they are told, and the answer is kept before anything is done with it.

Killed anywhere, the next start goes on with the same keys, and the control plane gives the same answer to them. Only an answer of
the root that the token names ends it; everything that nobody signed is an outage, and tried again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from worker.actionrunner import identity as identities
from worker.actionrunner.identity import IdentityStore, KeptIdentity
from worker.clock import Clock
from worker.errors import ConfigError, WireError
from worker.intake.backoff import Backoff, retry_after_seconds
from worker.intake.replies import Reaction
from worker.intake.transport import IntakeError, IntakeReply, Transport
from worker.wire import enrolment, proof
from worker.wire.enrolment import ENROLL_PATH, MAC_HEADER, Enrol, EnrolmentToken, EnrolRefusal, Mode
from worker.wire.proof import Provable, RunnerEndpoint

log = logging.getLogger(__name__)

OPTION = "enrollmentToken"
_PASSING = frozenset({408, 429})
_CURES = {
    "token": "ask for a new one (`runner token`)",
    "used": "somebody else enrolled with it: if that was not you, `runner revoke` and ask for a new one",
    "name": "remove RUNNER_NAME, or ask for a token of that runner",
    "modes": "ask for fewer modes (RUNNER_MODES)",
    "skew": "set the clock of one of the two machines",
    "audience": "ask for a token with the URL by which this machine reaches the control plane (`runner create --base-url`)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentWishes:
    """Wishes of the operator, None where nothing is written; and the names of machine and program."""

    name: str | None
    modes: tuple[Mode, ...] | None
    host: str | None
    hostname: str
    agent: str
    platform: str


def prepare(store: IdentityStore, token: EnrolmentToken) -> KeptIdentity:
    """The pending identity of *token*: its keys are on disk when this returns. Raises ConfigError.

    Keys that wait for their enrolment already are used for another token, too: nobody knows them yet.
    """
    if not store.writable:
        raise ConfigError(
            "cannot be written, and must be before a runner enrols", option="identityFile", place=store.place
        )

    def step(found: KeptIdentity | None) -> KeptIdentity:
        if found is None:
            return KeptIdentity(token=token.id, base_url=token.base_url, keys=identities.new_keys())
        if found.enrolment is not None and found.token != token.id:
            raise ConfigError(
                "is another one than the runner's, which has enrolled: remove it, or `enroll --again`",
                option=OPTION,
                place=store.place,
            )
        return replace(found, token=token.id, base_url=token.base_url)

    return store.change(step)


async def enrol(
    store: IdentityStore,
    token: EnrolmentToken,
    wishes: EnrolmentWishes,
    transport: Transport,
    clock: Clock,
    *,
    instance: str,
) -> KeptIdentity:
    """Enrol the pending identity, however long that takes. Raises ConfigError with the cure where the control plane refuses."""
    pending = await asyncio.to_thread(prepare, store, token)
    if pending.enrolment is not None:
        return pending
    asking = _Asking(pending, token, wishes, transport, clock, instance)
    backoff = Backoff(random.uniform)
    while True:
        try:
            done = await asking.once()
        except IntakeError as error:
            wait = backoff.next(error.retry_after)
            log.warning("cannot enrol yet: %s; again in %.1f s", error, wait, extra={"action": "enrolment_failed"})
            await clock.sleep(wait)
            continue
        await asyncio.to_thread(store.change, partial(_with_starts, done))
        log.info("enrolled as %s", done.enrolment.urn if done.enrolment else "", extra={"action": "enrolled"})
        return done


def _with_starts(done: KeptIdentity, found: KeptIdentity | None) -> KeptIdentity:
    return replace(done, starts=found.starts if found is not None else ())


class _Asking:
    """The requests of one enrolment: numbered, and by the control plane's clock once that has said that ours is wrong."""

    def __init__(
        self,
        pending: KeptIdentity,
        token: EnrolmentToken,
        wishes: EnrolmentWishes,
        transport: Transport,
        clock: Clock,
        instance: str,
    ) -> None:
        self._pending = pending
        self._token = token
        self._transport = transport
        self._clock = clock
        self._instance = instance
        self._number = 0
        self._offset = timedelta()
        self._body = enrolment.encode_enrol(_message(pending, token, wishes))

    async def once(self) -> KeptIdentity:
        """One answer of the root. Raises IntakeError for what may pass, ConfigError for a refusal."""
        answer = await self._ask()
        if isinstance(answer, EnrolRefusal) and answer.error == proof.ProofReason.SKEW:
            self._offset = datetime.fromtimestamp(answer.at / 1000, UTC) - self._clock.now()
            log.warning("our clock is wrong by %s", self._offset, extra={"action": "clock_corrected"})
            answer = await self._ask()
        if isinstance(answer, KeptIdentity):
            return answer
        cure = _CURES.get(answer.error, "")
        reason = f"the control plane refuses it, {answer.error}: {answer.message}{f'; {cure}' if cure else ''}"
        raise ConfigError(reason, option=OPTION, place=self._token.base_url)

    async def _ask(self) -> KeptIdentity | EnrolRefusal:
        """Send one request; the enrolled identity, or the root's refusal. Raises IntakeError."""
        self._number += 1
        path = self._transport.prefix + ENROLL_PATH
        request = Provable(
            ins=self._instance,
            aud=self._token.base_url,
            path=path,
            body=self._body,
            number=self._number,
            endpoint=RunnerEndpoint.ENROLL,
        )
        proven = proof.prove_new(request, self._pending.keys.signing, now=self._clock.now() + self._offset)
        headers = {
            "Authorization": proof.SCHEME + proven,
            MAC_HEADER: enrolment.mac(self._token.secret, proven),
            "Content-Type": "application/json",
        }
        reply = await self._transport.send("POST", path, self._body, headers)
        if reply.status in _PASSING or reply.status >= 500:
            raise _outage(reply, f"HTTP {reply.status}")
        try:
            if reply.status != 200:
                return enrolment.read_refusal(_text(reply), proven, root=self._token.root)
            answer, root = enrolment.read_enrolled(_text(reply), proven, root=self._token.root)
            return identities.enrolled(self._pending, answer, root)
        except WireError as error:
            # Whoever sent this, it was not the control plane that the token names: nothing in it is believed.
            raise _outage(
                reply, f"an answer that the control plane's root did not sign, HTTP {reply.status}: {error}"
            ) from error


def _message(pending: KeptIdentity, token: EnrolmentToken, wishes: EnrolmentWishes) -> Enrol:
    return Enrol(
        version=1,
        token=token.id,
        name=wishes.name,
        modes=wishes.modes,
        host=wishes.host,
        hostname=wishes.hostname,
        agent=wishes.agent,
        platform=wishes.platform,
        opening_key=pending.keys.opening.public.pem,
    )


def _text(reply: IntakeReply) -> str:
    return reply.body.decode("ascii", "replace")


def _outage(reply: IntakeReply, reason: str) -> IntakeError:
    return IntakeError(
        reason,
        reaction=Reaction.RETRY,
        status=reply.status,
        retry_after=retry_after_seconds(reply.headers.get("Retry-After")),
        signed=False,
    )
