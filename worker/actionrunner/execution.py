"""The execution of one order, from the check of its mode to the redacted outcome: checks 9 to 19, in order.

What stands before (signature, dates, replays) and the start record on disk are the executor's, who calls it. A check that fails
is an outcome with its code, and nothing later has been touched.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace as replaced
from typing import Any, Final, TypeAlias

import orjson
from msgspec import Struct
from msgspec.structs import replace

from worker.actionrunner.audit import AuditError, AuditLog
from worker.actionrunner.credentials import read_credentials
from worker.actionrunner.judging import Judged, OrderFault, judge
from worker.actionrunner.localstate import LocalFiles
from worker.actionrunner.rates import BusyError, Usage
from worker.actionrunner.redaction import SecretRemover, too_short
from worker.actions.action import Action, ActionError, ActionFailure, ActionOutcome, ActionStatus, Effect, Order
from worker.actions.connection import ActionConnection, CredentialsError
from worker.actions.jq import JqError
from worker.actions.tools import Tools
from worker.clock import Clock
from worker.errors import SyntheticsError

log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 15.0
"""Seconds beyond its limit that an action has to end by itself: a script's processes are told first, and killed after five."""
SELECT_SECONDS: Final = 5.0
"""Seconds of CPU for `select`."""
_MESSAGE: Final = 4000
"""Characters of a message."""

BeforeActing: TypeAlias = Callable[[Effect], Awaitable[None]]
"""Check 16: puts on disk that an order is about to act. Raises NotStarted."""


class NotStarted(SyntheticsError):  # noqa: N818  # it is an order's end, and not a fault of the program
    """An order that may not act. *code* is that of the outcome (JOURNAL); the text says why."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


class Executed(Struct, frozen=True, kw_only=True):
    """One order and its end, for whoever counts. *rule* is the one that decided, or empty."""

    order: Order
    channel: str
    outcome: ActionOutcome
    seconds: float
    rule: str

    @property
    def code(self) -> str:
        return "" if self.outcome.error is None else self.outcome.error.code


class ActionExecution:
    """Carries out orders, many at once. A cancellation of `execute` ends what it does; the outcome is returned all the same."""

    def __init__(
        self,
        *,
        modes: AbstractSet[str],
        files: LocalFiles,
        tools: Tools,
        audit: AuditLog,
        clock: Clock,
        environment: Mapping[str, str],
        task_seconds: float,
        observe: Callable[[Executed], None] = lambda _executed: None,
    ) -> None:
        self._modes = modes
        self._files = files
        self._tools = tools
        self._audit = audit
        self._clock = clock
        self._environment = environment
        self._task_seconds = task_seconds
        self._observe = observe
        self._usage = Usage()
        self._warned: set[str] = set()

    @property
    def files(self) -> LocalFiles:
        return self._files

    async def execute(self, order: Order, *, before_acting: BeforeActing) -> ActionOutcome:
        """Raises nothing that an order, a target or a connection can cause."""
        began = self._clock.monotonic_ns()
        judged = judge(order, self._modes, self._files.state)
        outcome = await self._carried_out(order, judged, before_acting)
        seconds = (self._clock.monotonic_ns() - began) / 1e9
        rule = "" if judged.rule is None else judged.rule.name
        executed = Executed(order=order, channel=_channel(order), outcome=outcome, seconds=seconds, rule=rule)
        self._note_end(executed)
        self._observe(executed)
        return outcome

    async def _carried_out(self, order: Order, judged: Judged, before_acting: BeforeActing) -> ActionOutcome:
        if judged.fault is not None or judged.action is None:
            return self._refused(order, judged, judged.fault or OrderFault.INTERNAL, judged.reason)
        try:
            with self._usage.taken(judged.asked, *_bounds(judged), self._clock.monotonic_ns() / 1e9):
                return await self._allowed(order, judged, judged.action, before_acting)
        except BusyError as error:
            return self._refused(order, judged, OrderFault.BUSY, str(error))

    async def _allowed(
        self, order: Order, judged: Judged, action: Action, before_acting: BeforeActing
    ) -> ActionOutcome:
        """Checks 15 to 19."""
        connection, remover = judged.connection, SecretRemover({})
        try:
            if connection is not None and connection.credentials is not None:
                secrets = await asyncio.to_thread(read_credentials, connection.credentials, self._environment)
                connection = replaced(connection, secrets=secrets)
                remover = self._remover(connection)
        except CredentialsError as error:
            log.warning("%s", error, extra={"action": "credentials_unusable", "connection": order.connection})
            reason = (
                f"the credentials of the connection {order.connection} cannot be read; the log of the runner says why"
            )
            return self._refused(order, judged, OrderFault.CREDENTIALS, reason)
        effect = action.effect(order.input, connection)
        try:
            rule = "" if judged.rule is None else judged.rule.name
            self._audit.decided(order, channel=_channel(order), decision="allowed", rule=rule)
            await before_acting(effect)
        except AuditError as error:
            return _failed(OrderFault.JOURNAL, str(error), retryable=True)
        except NotStarted as error:
            return _failed(error.code, str(error), retryable=True)
        outcome = await self._acted(order, action, connection, effect, remover)
        return await self._finished(order, outcome, effect, remover)

    def _remover(self, connection: ActionConnection) -> SecretRemover:
        labelled = {f"{connection.name}.{name}": secret for name, secret in connection.secrets.items()}
        for label in too_short(labelled):
            if label not in self._warned:
                self._warned.add(label)
                text = "the credential %s is too short to be taken out of what leaves: use a longer one"
                log.warning(text, label, extra={"action": "credential_short"})
        return SecretRemover(labelled)

    async def _acted(
        self, order: Order, action: Action, connection: ActionConnection | None, effect: Effect, remover: SecretRemover
    ) -> ActionOutcome:
        """Check 17. Every way in which an action can end is an outcome."""
        own = action.own_limit(order.input, connection)
        order = replace(order, timeout=min(order.timeout, self._task_seconds if own is None else own))
        changes = effect is not Effect.READ
        try:
            async with asyncio.timeout(order.timeout + GRACE_SECONDS):
                return await action.act(order, connection, self._tools)
        except ActionFailure as failure:
            return _of_failure(failure, effect)
        except CredentialsError as error:
            return _failed(OrderFault.CREDENTIALS, str(error))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            error_ = ActionError(code=OrderFault.CANCELLED, message="it was cancelled", may_have_run=changes)
            return ActionOutcome(status=ActionStatus.CANCELLED, error=error_)
        except TimeoutError:
            message = f"it did not end within {order.timeout:g} s"
            return _doubtful(OrderFault.TIMEOUT, message, effect)
        except Exception as error:  # noqa: BLE001 - the top of one order: an action's bug costs that order
            trace = remover.text("".join(traceback.format_exception(error)))
            log.error(  # noqa: TRY400 - the trace is in the text, without secrets
                "the action %s failed: %s", action.name, trace, extra={"action": "action_broken"}
            )
            return _doubtful(
                OrderFault.INTERNAL, f"the action failed by a fault of the runner: {type(error).__name__}", effect
            )

    async def _finished(
        self, order: Order, outcome: ActionOutcome, effect: Effect, remover: SecretRemover
    ) -> ActionOutcome:
        """Checks 18 and 19. Secrets are taken out before `select` as well, which could put them into other words.

        What is too large to leave is not looked through: a target chooses how much that is.
        """
        most, changes = self._tools.max_output_bytes, effect is not Effect.READ
        selects = order.select is not None and outcome.status is ActionStatus.SUCCEEDED
        fault = None if selects else _size_fault(outcome.outputs, most)
        if fault is not None:
            return _without_outputs(outcome, fault, remover, may_have_run=changes)
        outputs = remover.value(outcome.outputs)
        if selects and order.select is not None:
            try:
                results = await self._tools.jq.evaluate(order.select, outputs, SELECT_SECONDS)
            except JqError as failure:
                return _failed(
                    OrderFault.SELECT, remover.text(str(failure)), may_have_run=changes, target=outcome.target
                )
            outputs = remover.value(results[0] if len(results) == 1 else results)
        fault = _size_fault(outputs, most)
        if fault is not None:
            return _without_outputs(outcome, fault, remover, may_have_run=changes)
        error = _cleaned(outcome.error, remover)
        return replace(outcome, outputs=outputs, error=error, redactions=remover.count)

    def _refused(self, order: Order, judged: Judged, code: str, reason: str) -> ActionOutcome:
        rule = "" if judged.rule is None else judged.rule.name
        try:
            self._audit.decided(order, channel=_channel(order), decision="denied", rule=rule, code=code)
        except AuditError as error:
            _tell_unwritable(error)
        return _failed(code, reason, retryable=code == OrderFault.BUSY, rule=rule)

    def _note_end(self, executed: Executed) -> None:
        outcome = executed.outcome
        output = b"" if outcome.outputs is None else orjson.dumps(outcome.outputs)
        try:
            self._audit.ended(
                executed.order,
                channel=executed.channel,
                status=outcome.status,
                code=executed.code,
                milliseconds=round(executed.seconds * 1000),
                output=output,
                target=outcome.target,
            )
        except AuditError as error:
            _tell_unwritable(error)


def _bounds(judged: Judged) -> tuple[Any, dict[str, int]]:
    """The rule that allowed an order, and how many of its kind may run at once."""
    rule, connection = judged.rule, judged.connection
    assert rule is not None
    bounds = {}
    if rule.concurrency is not None:
        bounds[f"the rule {rule.name}"] = rule.concurrency
    if connection is not None and connection.concurrency is not None:
        bounds[f"the connection {connection.name}"] = connection.concurrency
    return rule, bounds


def _of_failure(failure: ActionFailure, effect: Effect) -> ActionOutcome:
    changes = effect is not Effect.READ
    error = ActionError(
        code=OrderFault.TIMEOUT if failure.detail == OrderFault.TIMEOUT else OrderFault.ACTION,
        detail=failure.detail,
        message=str(failure),
        retryable=failure.retryable,
        may_have_run=changes and (failure.doubtful or failure.outputs is not None),
    )
    is_unknown = failure.doubtful and effect is Effect.ONCE
    status = ActionStatus.UNKNOWN if is_unknown else ActionStatus.FAILED
    return ActionOutcome(status=status, outputs=failure.outputs, error=error, target=failure.target)


def _doubtful(code: str, message: str, effect: Effect) -> ActionOutcome:
    """The outcome of what ended in the middle: nobody can tell from here what was done."""
    error = ActionError(code=code, message=message, may_have_run=effect is not Effect.READ)
    status = ActionStatus.UNKNOWN if effect is Effect.ONCE else ActionStatus.FAILED
    return ActionOutcome(status=status, error=error)


def _failed(
    code: str,
    message: str,
    *,
    retryable: bool = False,
    may_have_run: bool = False,
    target: str = "",
    rule: str = "",
) -> ActionOutcome:
    error = ActionError(
        code=code, message=message[:_MESSAGE], retryable=retryable, may_have_run=may_have_run, rule=rule
    )
    return ActionOutcome(status=ActionStatus.FAILED, error=error, target=target)


def _without_outputs(
    outcome: ActionOutcome, fault: str, remover: SecretRemover, *, may_have_run: bool
) -> ActionOutcome:
    """An outcome whose outputs cannot leave: a success is a failure then, and what failed or is in doubt stays so."""
    if outcome.error is None:
        return _failed(OrderFault.OUTPUT_TOO_LARGE, fault, may_have_run=may_have_run, target=outcome.target)
    message = f"{outcome.error.message}; without outputs: {fault}"
    error = _cleaned(replace(outcome.error, message=message), remover)
    return replace(outcome, outputs=None, error=error, redactions=remover.count)


def _cleaned(error: ActionError | None, remover: SecretRemover) -> ActionError | None:
    return None if error is None else replace(error, message=remover.text(error.message)[:_MESSAGE])


def _size_fault(outputs: Any, most: int) -> str | None:
    """The reason why *outputs* cannot leave, or None. They are never cut: half a JSON value is a lie."""
    try:
        size = len(orjson.dumps(outputs))
    except (TypeError, ValueError):
        return "the outputs cannot be written as JSON"
    return (
        f"the outputs have {size} bytes, more than {most}: a `select` can choose what is needed"
        if size > most
        else None
    )


def _channel(order: Order) -> str:
    return "push" if order.client == "app" else "pull"


def _tell_unwritable(error: AuditError) -> None:
    log.error("%s", error, extra={"action": "audit_unwritable"})
