"""Runs of private actions: order one, look at it, end it, and say what a person knows of it.

An order is signed here, when its caller was authorised, and nothing later changes it. Who may order an action may see its runs.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.actions.states import ENDED, TaskEvent, TaskState
from controlplane.errors import ConflictError, NotFoundError, UnusableError
from controlplane.service import audit, orders, steps
from controlplane.service.orders import OrderWish
from controlplane.service.principal import WORKFLOW, Principal
from controlplane.store import actionruns, runners, tasks, workflowruns
from controlplane.store.actionruns import ActionRun
from controlplane.store.database import Database
from controlplane.store.tasks import ActionTask
from controlplane.store.workflowruns import StepAttempt
from worker.clock import Clock
from worker.wire.actionwords import plain_name
from worker.wire.order import MAX_INPUT_BYTES, MAX_WITHIN_MS, OrderClient, OrderedBy

DEFAULT_WITHIN_MS = 300_000
DEFAULT_TIMEOUT_MS = 3_600_000
"""As long as any action may take: the runner's own caps are shorter."""
KEY_MS = 24 * 3600 * 1000
"""Milliseconds for which an idempotency key stands for its run."""
MOST_LISTED = 1000
KEEP_MS = 7 * 24 * 3600 * 1000
"""Milliseconds for which runs, with their outputs, are kept after they were made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedRun:
    """A caller's wish. *within_ms* is how long it may wait for its start, *runner* a name or an id."""

    action: str
    runner: str
    connection: str | None = None
    arguments: dict[str, Any]
    select: str | None = None
    within_ms: int = DEFAULT_WITHIN_MS
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """An attempt of a step: its task, and its outcome as its JSON; None where there is none."""

    attempt: StepAttempt
    task: ActionTask
    outcome: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run with its tasks, the newest last, and the outcome of the newest as its JSON; None where there is none.

    *steps* are those of a workflow's run, in the order in which they were made.
    """

    run: ActionRun
    runner_name: str
    state: TaskState
    tasks: tuple[ActionTask, ...]
    outcome: dict[str, Any] | None
    steps: tuple[StepView, ...] = ()
    is_new: bool = False

    @property
    def task(self) -> ActionTask:
        return self.tasks[-1]

    @property
    def workflow(self) -> str | None:
        """The name of the workflow, None of a run of one action."""
        return self.run.action.removeprefix(WORKFLOW) if self.run.action.startswith(WORKFLOW) else None

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED


async def create(database: Database, clock: Clock, by: Principal, wanted: WantedRun, *, client: OrderClient) -> RunView:
    """Authorise, sign and queue a run; the same one again for the same idempotency key and wish.

    Raises ForbiddenError, UnusableError, NotFoundError, and ConflictError where the key stands for another wish.
    """
    wanted = replace(wanted, action=plain_name(wanted.action))
    by.require_action(wanted.action)
    _check(wanted)
    digest = _digest(wanted)
    async with database.write() as connection:
        now = epoch.milliseconds(clock)
        earlier = await earlier_run(connection, by, wanted.idempotency_key, digest, now=now)
        if earlier is None:
            return await _make(connection, database, by, wanted, digest, client, now)
    return await show(database, by, earlier)


async def show(database: Database, by: Principal, run: str) -> RunView:
    """Read a run. Raises NotFoundError, also for a run that the caller may not make."""
    async with database.read() as connection:
        found = await _found(connection, by, run)
        known = tuple(await tasks.tasks_of(connection, found.id))
        name = await runners.name_of(connection, found.runner) or found.runner
        state = known[-1].state
        made: tuple[StepView, ...] = ()
        if found.action.startswith(WORKFLOW):
            state = await actionruns.state_of(connection, found.id)
            made = await _steps(connection, database, found.id, known)
        outcome = made[-1].outcome if made else await _outcome(connection, database, found.task)
    return RunView(run=found, runner_name=name, state=state, tasks=known, outcome=outcome, steps=made)


async def _steps(
    connection: AsyncConnection, database: Database, run: str, known: Sequence[ActionTask]
) -> tuple[StepView, ...]:
    attempts = {one.task: one for one in await workflowruns.steps_of(connection, run)}
    return tuple(
        [
            StepView(attempt=attempts[task.id], task=task, outcome=await _outcome(connection, database, task.id))
            for task in known
            if task.id in attempts
        ]
    )


async def _outcome(connection: AsyncConnection, database: Database, task: str) -> dict[str, Any] | None:
    outcome = await tasks.outcome_of(connection, database.sealer, task)
    return None if outcome is None else msgspec.json.decode(outcome)


async def arguments(database: Database, by: Principal, run: str) -> dict[str, Any]:
    """The inputs of a run, as its newest order has them. Raises NotFoundError, also for a run that the caller may not make."""
    async with database.read() as connection:
        found = await _found(connection, by, run)
        return (await orders.claims_of(connection, database, (await tasks.tasks_of(connection, found.id))[-1])).input


async def list_newest(
    database: Database, by: Principal, *, limit: int, runner: str | None = None, states: Collection[str] = ()
) -> tuple[RunView, ...]:
    """List the newest runs that the caller may make, without their outcomes. Raises NotFoundError for a runner."""
    by.require_any_run()
    async with database.read() as connection:
        chosen = None if runner is None else (await runners.find(connection, database.sealer, runner)).id
        found = await actionruns.newest(connection, limit=min(limit, MOST_LISTED), runner=chosen, states=states)
        names = {one.id: one.name for one in await runners.list_all(connection, database.sealer)}
    return tuple(
        RunView(run=run, runner_name=names.get(run.runner, run.runner), state=state, tasks=(task,), outcome=None)
        for run, task, state in found
        if by.may_see(run.action)
    )


async def cancel(database: Database, clock: Clock, by: Principal, run: str) -> RunView:
    """Want a run no more: queued, it ends at once; taken, its runner is told. Raises NotFoundError, UnusableError."""
    await _moved(database, clock, by, run, TaskEvent.CANCEL, "run.cancel")
    return await show(database, by, run)


async def resolve(database: Database, clock: Clock, by: Principal, run: str, *, succeeded: bool) -> RunView:
    """Say how a run of unknown end has ended. Raises NotFoundError, UnusableError."""
    event = TaskEvent.RESOLVED_SUCCEEDED if succeeded else TaskEvent.RESOLVED_FAILED
    await _moved(database, clock, by, run, event, "run.resolve")
    return await show(database, by, run)


async def retry(database: Database, clock: Clock, by: Principal, run: str) -> RunView:
    """Order the same once more, under a new task, because a person says so. Raises NotFoundError, UnusableError."""
    async with database.write() as connection:
        found = await _found(connection, by, run)
        now = epoch.milliseconds(clock)
        if found.action.startswith(WORKFLOW):
            task = await steps.go_on(connection, database, found.id, ordered_by(by), now=now)
        else:
            task = await _again(connection, database, by, found, now)
        await record(connection, by, "run.retry", found, task, now)
    return await show(database, by, found.id)


async def _again(
    connection: AsyncConnection, database: Database, by: Principal, run: ActionRun, now: int
) -> ActionTask:
    last = (await tasks.tasks_of(connection, run.id))[-1]
    if last.state not in ENDED or last.state is TaskState.SUCCEEDED:
        raise UnusableError(f"run {run.id} is {last.state.value}: only what has ended otherwise can be retried")
    before = await orders.claims_of(connection, database, last)
    runner = await orders.runner(connection, database, run.runner)
    again = msgspec.structs.replace(
        before, task=str(uuid.uuid4()), by=ordered_by(by), iat=now, exp=now + before.exp - before.iat
    )
    signed = await orders.sign_order(connection, database, again, runner=runner.id, number=last.number + 1)
    await orders.queue(connection, database, signed)
    return signed.task


async def _moved(database: Database, clock: Clock, by: Principal, run: str, event: TaskEvent, action: str) -> None:
    async with database.write() as connection:
        found = await _found(connection, by, run)
        task = (await tasks.tasks_of(connection, found.id))[-1]
        now = epoch.milliseconds(clock)
        reason = f"{event.value.replace('_', ' ')} by {by.name}"[:300]
        workflow = found.action.startswith(WORKFLOW)
        waited = workflow and event is TaskEvent.CANCEL and await steps.cancel(connection, database, run, now=now)
        if not waited:
            if await tasks.move(connection, task, event, now=now, reason=reason) is None:
                raise UnusableError(f"run {found.id} is {task.state.value}: {_advice(task.state, event)}")
            await steps.advance(connection, database, [found.id] if workflow else (), now=now)
        await record(connection, by, action, found, task, now, event=event)


def _advice(state: TaskState, event: TaskEvent) -> str:
    if event is TaskEvent.CANCEL:
        if state is TaskState.DOUBTFUL:
            return "its instance has vanished, so that nobody can be told"
        return "it is being cancelled already" if state is TaskState.CANCELLING else "it has ended"
    return "only a run whose end is unknown can be resolved"


async def earlier_run(
    connection: AsyncConnection, by: Principal, key: str | None, digest: bytes, *, now: int
) -> str | None:
    """The run that this caller's idempotency key stands for. Raises ConflictError where that was another wish."""
    if key is None:
        return None
    kind, name = _caller(by)
    found = await actionruns.by_key(connection, by_kind=kind, by_id=name, key=key)
    if found is None:
        return None
    if now - found.created_at > KEY_MS:
        await actionruns.forget_key(connection, found.id)
        return None
    if found.request_sha256 != digest:
        raise ConflictError("run with another body and the idempotency key", key)
    return found.id


async def _make(
    connection: AsyncConnection,
    database: Database,
    by: Principal,
    wanted: WantedRun,
    digest: bytes,
    client: OrderClient,
    now: int,
) -> RunView:
    """The new run as `show` would read it: whoever waits for its task hears of it so much the sooner."""
    runner = await orders.runner(connection, database, wanted.runner)
    run = str(uuid.uuid4())
    wish = OrderWish(
        run=run,
        runner=runner,
        action=wanted.action,
        connection=wanted.connection,
        arguments=wanted.arguments,
        select=wanted.select,
        client=client,
        by=ordered_by(by),
        within_ms=wanted.within_ms,
        timeout_ms=wanted.timeout_ms,
    )
    signed = await orders.sign(connection, database, wish, now=now)
    made = ActionRun(
        id=run,
        runner=runner.id,
        action=wanted.action,
        connection=wanted.connection,
        client=client,
        by_kind=wish.by.kind,
        by_id=wish.by.id,
        task=signed.task.id,
        created_at=now,
        idempotency_key=wanted.idempotency_key,
        request_sha256=digest,
    )
    await actionruns.add(connection, made)
    await orders.queue(connection, database, signed)
    await record(connection, by, "run.create", made, signed.task, now)
    return RunView(
        run=made, runner_name=runner.name, state=signed.task.state, tasks=(signed.task,), outcome=None, is_new=True
    )


async def _found(connection: AsyncConnection, by: Principal, run: str) -> ActionRun:
    found = await actionruns.by_id(connection, run)
    if found is None or not by.may_see(found.action):
        raise NotFoundError("run", run)
    return found


async def record(
    connection: AsyncConnection,
    by: Principal,
    action: str,
    run: ActionRun,
    task: ActionTask,
    now: int,
    *,
    event: TaskEvent | None = None,
) -> None:
    """Write down who ordered what; the runner's own audit log has the same task id and the same digest. No inputs."""
    after = {
        "task": task.id,
        "action": run.action,
        "runner": run.runner,
        "connection": run.connection,
        "order_sha256": task.order_sha256,
        **({} if event is None else {"event": event.value}),
    }
    await audit.record(connection, by, action, run.id, after=after, now=now)


def _check(wanted: WantedRun) -> None:
    """Raises UnusableError."""
    if not 1 <= wanted.within_ms <= MAX_WITHIN_MS:
        raise UnusableError(f"within: {wanted.within_ms / 1000:g} s is not a valid time: up to 24 h")
    if not 1 <= wanted.timeout_ms <= DEFAULT_TIMEOUT_MS:
        raise UnusableError(f"timeout: {wanted.timeout_ms / 1000:g} s is not a valid time: up to 1 h")
    if len(msgspec.json.encode(wanted.arguments)) > MAX_INPUT_BYTES:
        raise UnusableError(f"input: larger than {MAX_INPUT_BYTES} bytes")
    check_key(wanted.idempotency_key)


def check_key(key: str | None) -> None:
    """Raise UnusableError for an idempotency key that is not valid."""
    if key is not None and not (1 <= len(key) <= 200 and key.isascii() and key.isprintable()):
        raise UnusableError("Idempotency-Key: is not 1 to 200 printable ASCII characters")


def _digest(wanted: WantedRun) -> bytes:
    """Tells two wishes apart, whatever the order of their members."""
    said = [wanted.action, wanted.runner, wanted.connection, wanted.arguments, wanted.select, wanted.within_ms]
    return hashlib.sha256(msgspec.json.encode([*said, wanted.timeout_ms], order="sorted")).digest()


def _caller(by: Principal) -> tuple[str, str]:
    return ("key", by.key) if by.key else ("user", by.name)


def ordered_by(by: Principal) -> OrderedBy:
    """The caller as orders name them."""
    kind, name = _caller(by)
    return OrderedBy(kind=kind, id=name)
