"""Requests of pages, carried out: a slot, the token spent once, the order executed, and an answer that the runner signs.

A token that names this instance is remembered here until it has ended, so that memory is exact even over a crash: the next
instance refuses it. One for any of several instances is claimed at the control plane, and not carried out where that cannot be
reached. It knows no HTTP but statuses; who may ask at all is the listener's to say.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, Protocol

import orjson
from msgspec import Struct

from worker.actionrunner.executor import Executing
from worker.actionrunner.pushorder import PushAdmission, PushRefusedError, read_request
from worker.actionrunner.seen import SeenTasks
from worker.actions.action import ActionError, ActionOutcome, ActionStatus, Effect, Order
from worker.clock import Clock
from worker.intake.transport import IntakeError
from worker.wire import answerproof
from worker.wire.apptoken import AppClaims
from worker.wire.signingkey import SigningKey

log = logging.getLogger(__name__)

KEPT_MS: Final = 60_000
"""Milliseconds after its `exp` for which a spent token is remembered."""
BUSY_SECONDS: Final = 1
"""Retry-After while no slot is free."""
CLAIM_SECONDS: Final = 5
"""Retry-After while the control plane does not say if a token was spent elsewhere."""
DENIED: Final = "DENIED"

ClaimToken = Callable[[str], Awaitable[bool]]
"""Spends a token for all instances; False where it was spent before. Raises IntakeError."""


class PushSlots(Protocol):
    """The part of the slots that this module needs."""

    def take_for_request(self) -> bool: ...

    def release_request(self) -> None: ...


class PushAnswer(Struct, frozen=True, kw_only=True):
    """An answer to a page. *proof* is the runner's signature, empty where the token was not read; *code* is for counting."""

    status: int
    body: bytes
    proof: str = ""
    code: str = ""
    retry_after: int | None = None


class PushRuns:
    """Carries requests out, many at once. *write_seconds* is how long a page waits; then the action is ended.

    *key* is the runner's own, at this moment; *claim* is asked for tokens of several instances.
    """

    def __init__(
        self,
        admission: PushAdmission,
        execution: Executing,
        slots: PushSlots,
        *,
        key: Callable[[], SigningKey],
        claim: ClaimToken,
        now: Callable[[], datetime],
        clock: Clock,
        write_seconds: float,
    ) -> None:
        self._admission = admission
        self._execution = execution
        self._slots = slots
        self._key = key
        self._claim = claim
        self._now = now
        self._clock = clock
        self._write_seconds = write_seconds
        self._spent = SeenTasks(kept_ms=KEPT_MS)
        self._running: set[asyncio.Task[ActionOutcome]] = set()
        self.replays = 0
        """Tokens that came a second time."""

    @property
    def running(self) -> int:
        return len(self._running)

    async def answer(self, body: bytes, *, origin: str, action: str) -> PushAnswer:
        """Carry out what a page asks. Every refusal is an answer."""
        began_ns = self._clock.monotonic_ns()
        try:
            request = read_request(body)
            signed = self._admission.open(request.token)
            order = self._admission.order(signed, origin=origin, action=action, text=request.input)
            running = await self._begun(order, signed.claims)
        except PushRefusedError as refused:
            return self._refusal(refused)
        outcome = await self._within(running)
        milliseconds = (self._clock.monotonic_ns() - began_ns) // 1_000_000
        return self._told(order, outcome, milliseconds)

    async def finish(self, seconds: float) -> None:
        """Wait for what runs, *seconds* at most; then end it."""
        if self._running and seconds > 0:
            await asyncio.wait(self._running, timeout=seconds)
        await self.cut_short()

    async def cut_short(self) -> int:
        """End what runs, and wait for the end of it; returns how many there were."""
        running = tuple(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return len(running)

    async def _begun(self, order: Order, claims: AppClaims) -> asyncio.Task[ActionOutcome]:
        """Take a slot, spend the token, begin. Raises PushRefusedError (429, 409, 503), and has kept no slot then."""
        if not self._slots.take_for_request():
            reason = "the runner is busy: every slot is taken"
            raise PushRefusedError(429, "busy", reason, retry_after=BUSY_SECONDS, jti=claims.jti)
        try:
            await self._spend(claims)
        except BaseException:
            self._slots.release_request()
            raise
        running = self._execution.execute(order, before_acting=_nothing)
        task = asyncio.create_task(running, name=f"push {order.task}")
        self._running.add(task)
        # A callback and not a `finally`: a task that is cancelled before its first step never enters its coroutine.
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[ActionOutcome]) -> None:
        self._running.discard(task)
        self._slots.release_request()
        if not task.cancelled() and task.exception() is not None:
            log.error("a request failed", exc_info=task.exception(), extra={"action": "push_failed"})

    async def _spend(self, claims: AppClaims) -> None:
        """Raises PushRefusedError."""
        now = round(self._now().timestamp() * 1000)
        if self._spent.is_full(now):
            reason = "too many tokens are remembered: later ones must wait"
            raise PushRefusedError(429, "busy", reason, retry_after=BUSY_SECONDS, jti=claims.jti)
        if not self._spent.add(claims.jti, claims.exp, now=now):
            self._replayed(claims)
        if claims.ins is not None:
            return
        try:
            first = await self._claim(claims.jti)
        except IntakeError as error:
            log.warning("cannot claim a token: %s", error, extra={"action": "claim_failed"})
            reason = "the control plane cannot be asked if the token was used elsewhere: nothing was done"
            raise PushRefusedError(503, "claim", reason, retry_after=CLAIM_SECONDS, jti=claims.jti) from error
        if not first:
            self._replayed(claims)

    def _replayed(self, claims: AppClaims) -> None:
        self.replays += 1
        log.warning(
            "a token came a second time: %s/%s of %s",
            claims.app,
            claims.query,
            claims.by.id,
            extra={"action": "token_replayed", "jti": claims.jti},
        )
        raise PushRefusedError(409, "used", "the token was used before", jti=claims.jti)

    async def _within(self, running: asyncio.Task[ActionOutcome]) -> ActionOutcome | None:
        """The outcome; None where the page has waited long enough: then the action is told to end."""
        done, _ = await asyncio.wait({running}, timeout=self._write_seconds)
        if not done:
            running.cancel()
            return None
        if running.cancelled():
            return _ended(ActionStatus.CANCELLED, "CANCELLED", "the runner is stopping")
        if running.exception() is not None:
            return _ended(ActionStatus.FAILED, "INTERNAL", "the runner failed")
        return running.result()

    def _told(self, order: Order, outcome: ActionOutcome | None, milliseconds: int) -> PushAnswer:
        if outcome is None:
            message = f"no outcome within {self._write_seconds:g} s: the action was told to end, and may have run"
            return self._signed(
                504, {"error": {"code": "timeout", "message": message, "may_have_run": True}}, order.task
            )
        error = outcome.error
        if error is not None and error.code == DENIED:
            said = {"code": "denied", "message": "the runner's policy does not allow this", "rule": error.rule}
            return self._signed(403, {"error": said}, order.task)
        told: dict[str, Any] = {"outcome": outcome.status.value, "task": order.task, "duration_ms": milliseconds}
        if outcome.outputs is not None or error is None:
            told["outputs"] = outcome.outputs
        if error is not None:
            told["error"] = {
                "code": error.code,
                "detail": error.detail,
                "message": error.message,
                "may_have_run": error.may_have_run,
            }
        return self._signed(200, told, order.task, code=outcome.status.value)

    def _refusal(self, refused: PushRefusedError) -> PushAnswer:
        told = {"error": {"code": refused.code, "message": str(refused)}}
        return self._signed(refused.status, told, refused.jti, retry_after=refused.retry_after)

    def _signed(
        self, status: int, told: dict[str, Any], jti: str, *, code: str = "", retry_after: int | None = None
    ) -> PushAnswer:
        body = orjson.dumps(told)
        proof = answerproof.sign(self._key(), jti=jti, status=status, body=body) if jti else ""
        code = code or str(told["error"]["code"])
        return PushAnswer(status=status, body=body, proof=proof, code=code, retry_after=retry_after)


def _ended(status: ActionStatus, code: str, message: str) -> ActionOutcome:
    """The outcome of what ended without one of its own."""
    return ActionOutcome(status=status, error=ActionError(code=code, message=message, may_have_run=True))


async def _nothing(_effect: Effect) -> None:
    """A request is delivered once, and nobody repeats it: no start needs to be on disk."""
