"""The first eight checks of a task, and its way through the rest: what was signed becomes an outcome, whatever it says.

The order is that of docs/protocol-runner.md, and each failure is an outcome with its code; nothing later has been touched. Checks
9 to 19 are `execution`'s. This module puts the start of a `once` action on disk before it acts, and knows no action.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from worker.actionrunner.execution import BeforeActing, NotStarted
from worker.actionrunner.leasebook import LeaseBook
from worker.actionrunner.seen import SeenTasks
from worker.actions.action import ActionError, ActionOutcome, ActionStatus, Effect, Order
from worker.clock import Clock
from worker.errors import WireError
from worker.wire import order
from worker.wire.keyset import Keyset
from worker.wire.order import SignedTask, TaskError
from worker.wire.runner_messages import OutcomeError, TaskOutcome

MAX_MESSAGE = 4000
"""Characters of a failure's message; a longer one is cut with a mark."""
PULL = "pull"
"""The channel of tasks in the metrics."""
_JOURNAL = "JOURNAL"


class StartRecords(Protocol):
    """The part of the start journal that this module needs."""

    async def begin(self, key: str, *, task: str, lease: str, exp: int) -> None:
        """Have the start of *task* on disk. Raises NotStarted."""
        ...

    def undo(self, key: str) -> None:
        """Take the start back: the action did not begin."""
        ...


class AdmissionCounts(Protocol):
    """Figures of the way from a signed task to its action."""

    def count_refusal(self, code: str, *, channel: str) -> None:
        """Count a task that failed one of the checks 2 to 8."""
        ...

    def count_wait(self, seconds: float) -> None:
        """Count a task that began, *seconds* after it was signed by the control plane's clock."""
        ...


class Executing(Protocol):
    """The part of `execution` that this module needs."""

    async def execute(self, order: Order, *, before_acting: BeforeActing) -> ActionOutcome: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceIdentity:
    """The names that this instance answers to."""

    urn: str
    org: int
    instance: str
    version: str


class TaskRefusedError(WireError):
    """A task that failed one of the checks 2 to 8. *sha256* is that of its payload where it was read."""

    def __init__(self, code: str, text: str, *, sha256: str = "", retryable: bool = False) -> None:
        self.code = code
        self.sha256 = sha256
        self.retryable = retryable
        super().__init__(text)


class TaskExecutor:
    """Runs tasks. *keyset* is the newest, *now* the control plane's time as its last signed reply gave it.

    *starts* is None without a state directory: then a crash leaves `once` tasks in doubt. *counts* is None where nobody counts.
    """

    def __init__(
        self,
        identity: InstanceIdentity,
        *,
        keyset: Callable[[], Keyset],
        now: Callable[[], datetime],
        clock: Clock,
        seen: SeenTasks,
        book: LeaseBook,
        execution: Executing,
        starts: StartRecords | None = None,
        counts: AdmissionCounts | None = None,
    ) -> None:
        self._identity = identity
        self._keyset = keyset
        self._now = now
        self._clock = clock
        self._seen = seen
        self._book = book
        self._execution = execution
        self._starts = starts
        self._counts = counts

    async def run(self, key: str, token: str, *, start_by_ns: int) -> TaskOutcome:
        """Carry out the task *token*, known as *key* in the lease book, which must have begun by *start_by_ns*."""
        try:
            signed = self._admit(token, start_by_ns)
        except TaskRefusedError as refused:
            if self._counts is not None:
                self._counts.count_refusal(refused.code, channel=PULL)
            return self._refusal(refused)
        began_ns, started_at = self._clock.monotonic_ns(), self._milliseconds()
        if self._counts is not None:
            self._counts.count_wait(max(0, started_at - signed.task.iat) / 1000)
        acting = _Acting()
        try:
            outcome = await self._execution.execute(
                _order(signed), before_acting=lambda effect: self._before_acting(key, signed, effect, acting)
            )
        except BaseException:
            if acting.effect is None:  # given back: it may be delivered again
                self._seen.forget(signed.task.task)
            raise
        took_ns = self._clock.monotonic_ns() - began_ns
        told = self._outcome(outcome, signed.sha256, started_at, duration_ns=took_ns)
        return told if acting.effect is None else msgspec.structs.replace(told, effect=acting.effect.value)

    def _admit(self, token: str, start_by_ns: int) -> SignedTask:
        """Checks 2 to 8. Raises TaskRefusedError."""
        try:
            form = order.read_form(token)
            signed = order.open_task(form, self._keyset().signing_key(form.kid, self._now()))
        except TaskError as error:
            raise TaskRefusedError(error.code.value, str(error)) from error
        task, now = signed.task, self._milliseconds()
        if task.org != self._identity.org:
            raise TaskRefusedError("MISMATCHED_ORG", f"signed for organisation {task.org}", sha256=signed.sha256)
        if task.aud != self._identity.urn:
            raise TaskRefusedError("MISMATCHED_RUNNER", f"signed for {task.aud}", sha256=signed.sha256)
        if now >= task.exp or self._clock.monotonic_ns() >= start_by_ns:
            reason = "the time by which it must have started has passed"
            raise TaskRefusedError("EXPIRED_TASK", reason, sha256=signed.sha256, retryable=True)
        if self._seen.is_full(now):
            reason = "too many task ids are remembered: later tasks must wait"
            raise TaskRefusedError("BUSY", reason, sha256=signed.sha256, retryable=True)
        if not self._seen.add(task.task, task.exp, now=now):
            raise TaskRefusedError("REPLAYED", f"task {task.task} was taken before", sha256=signed.sha256)
        return signed

    async def _before_acting(self, key: str, signed: SignedTask, effect: Effect, acting: _Acting) -> None:
        """Check 16. Raises NotStarted."""
        if effect is Effect.ONCE:
            await self._begin_once(key, signed)
        acting.effect = effect
        self._book.begin(key, effect)

    async def _begin_once(self, key: str, signed: SignedTask) -> None:
        task = signed.task
        if self._starts is not None:
            await self._starts.begin(key, task=task.task, lease=self._book.name(key) or "-", exp=task.exp)
        if not self._book.holds(key, now_ns=self._clock.monotonic_ns()):
            if self._starts is not None:
                self._starts.undo(key)
            raise NotStarted(_JOURNAL, "the lease has ended before it could begin: another instance may have it")

    def _milliseconds(self) -> int:
        return round(self._now().timestamp() * 1000)

    def _refusal(self, refused: TaskRefusedError) -> TaskOutcome:
        error = ActionError(code=refused.code, message=str(refused), retryable=refused.retryable)
        outcome = ActionOutcome(status=ActionStatus.FAILED, error=error)
        return self._outcome(outcome, refused.sha256, None, duration_ns=0)

    def _outcome(self, outcome: ActionOutcome, sha256: str, started_at: int | None, *, duration_ns: int) -> TaskOutcome:
        return TaskOutcome(
            status=outcome.status.value,
            outputs=outcome.outputs,
            error=None if outcome.error is None else _error(outcome.error),
            started_at=started_at,
            finished_at=self._milliseconds(),
            duration_ms=max(0, duration_ns // 1_000_000),
            redactions=min(outcome.redactions, 100_000),
            order_sha256=sha256,
            instance=self._identity.instance,
            version=self._identity.version,
        )


@dataclass(slots=True)
class _Acting:
    effect: Effect | None = None
    """None until it has begun."""


def _order(signed: SignedTask) -> Order:
    task = signed.task
    return Order(
        task=task.task,
        run=task.run,
        action=task.action,
        connection=task.connection,
        input=task.input,
        client=task.client,
        caller=f"{task.by.kind}/{task.by.id}",
        select=task.select,
        timeout=task.timeout_ms / 1000,
        issued_at=task.iat,
        order_sha256=signed.sha256,
    )


def _error(error: ActionError) -> OutcomeError:
    message = error.message if len(error.message) <= MAX_MESSAGE else error.message[: MAX_MESSAGE - 1] + "…"
    return OutcomeError(
        code=error.code,
        detail=error.detail[:200],
        message=message,
        retryable=error.retryable,
        may_have_run=error.may_have_run,
    )
