"""Runs of private actions: order one, look at it, end it, and say what a person knows of it.

An order is signed here, when its caller was authorised, and nothing later changes it. Who may order an action may see its runs.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.actions.effects import shown_by
from controlplane.actions.states import ENDED, TaskEvent, TaskState
from controlplane.errors import ConflictError, DatabaseError, NotFoundError, UnusableError
from controlplane.service import audit, enrolments, runnerkeys
from controlplane.service.principal import Principal
from controlplane.service.runnerkeys import ORG
from controlplane.store import runners, tasks
from controlplane.store.database import Database
from controlplane.store.runners import StoredRunner
from controlplane.store.tasks import ActionRun, ActionTask
from worker.clock import Clock
from worker.wire import order
from worker.wire.order import MAX_INPUT_BYTES, MAX_WITHIN_MS, Client, OrderedBy, TaskOrder

REFERENCE_PREFIX = "com.datadoghq."
"""Accepted and dropped wherever a person writes an action's name."""
DEFAULT_WITHIN_MS = 300_000
DEFAULT_TIMEOUT_MS = 3_600_000
"""As long as any action may take: the runner's own caps are shorter."""
KEY_MS = 24 * 3600 * 1000
"""Milliseconds for which an idempotency key stands for its run."""
MOST_OPEN = 10_000
"""Open tasks of one runner: more are not waiting for a runner, but for somebody to notice."""
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
class RunView:
    """A run with its tasks, the newest last, and the outcome of the newest as its JSON; None where there is none."""

    run: ActionRun
    runner_name: str
    tasks: tuple[ActionTask, ...]
    outcome: dict[str, Any] | None
    is_new: bool = False

    @property
    def task(self) -> ActionTask:
        return self.tasks[-1]

    @property
    def state(self) -> TaskState:
        return self.task.state

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED


async def create(database: Database, clock: Clock, by: Principal, wanted: WantedRun, *, client: Client) -> RunView:
    """Authorise, sign and queue a run; the same one again for the same idempotency key and wish.

    Raises ForbiddenError, UnusableError, NotFoundError, and ConflictError where the key stands for another wish.
    """
    wanted = replace(wanted, action=wanted.action.removeprefix(REFERENCE_PREFIX))
    by.require_action(wanted.action)
    _check(wanted)
    digest = _digest(wanted)
    async with database.write() as connection:
        now = epoch.milliseconds(clock)
        earlier = await _earlier(connection, by, wanted, digest, now)
        if earlier is None:
            runner = await _runner(connection, database, wanted.runner)
            run, task, token = await _made(connection, database, by, wanted, runner, client, now)
            await tasks.add_run(connection, replace(run, request_sha256=digest))
            await tasks.add_task(connection, database.sealer, task, token)
            await _record(connection, by, "run.create", run, task, now)
            earlier = run.id
            is_new = True
        else:
            is_new = False
    return replace(await show(database, by, earlier), is_new=is_new)


async def show(database: Database, by: Principal, run: str) -> RunView:
    """Read a run. Raises NotFoundError, also for a run whose action the caller may not order."""
    async with database.read() as connection:
        found = await _found(connection, by, run)
        known = tuple(await tasks.tasks_of(connection, found.id))
        outcome = await tasks.outcome_of(connection, database.sealer, found.task)
        name = await _runner_name(connection, database, found.runner)
    return RunView(
        run=found, runner_name=name, tasks=known, outcome=None if outcome is None else msgspec.json.decode(outcome)
    )


async def arguments(database: Database, by: Principal, run: str) -> dict[str, Any]:
    """The inputs of a run, as its order has them. Raises NotFoundError, also for a run whose action the caller may not order."""
    async with database.read() as connection:
        found = await _found(connection, by, run)
        return (await _order_of(connection, database, (await tasks.tasks_of(connection, found.id))[-1])).input


async def list_newest(
    database: Database, by: Principal, *, limit: int, runner: str | None = None, states: Collection[str] = ()
) -> tuple[RunView, ...]:
    """List the newest runs of actions that the caller may order, without their outcomes. Raises NotFoundError for a runner."""
    by.require_any_action()
    async with database.read() as connection:
        chosen = None if runner is None else (await runners.find(connection, database.sealer, runner)).id
        found = await tasks.newest_runs(connection, limit=min(limit, MOST_LISTED), runner=chosen, states=states)
        names = {one.id: one.name for one in await runners.list_all(connection, database.sealer)}
    return tuple(
        RunView(run=run, runner_name=names.get(run.runner, run.runner), tasks=(task,), outcome=None)
        for run, task in found
        if by.may_act(run.action)
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
        last = (await tasks.tasks_of(connection, found.id))[-1]
        if last.state not in ENDED or last.state is TaskState.SUCCEEDED:
            raise UnusableError(f"run {found.id} is {last.state.value}: only what has ended otherwise can be retried")
        now = epoch.milliseconds(clock)
        before = await _order_of(connection, database, last)
        runner = await _runner(connection, database, found.runner)
        again = msgspec.structs.replace(
            before, task=str(uuid.uuid4()), by=_ordered_by(by), iat=now, exp=now + before.exp - before.iat
        )
        token = await _signed(connection, database, again, now)
        task = _task(again, runner, token, number=last.number + 1)
        await tasks.add_task(connection, database.sealer, task, token)
        await _record(connection, by, "run.retry", found, task, now)
    return await show(database, by, found.id)


async def _moved(database: Database, clock: Clock, by: Principal, run: str, event: TaskEvent, action: str) -> None:
    async with database.write() as connection:
        found = await _found(connection, by, run)
        task = (await tasks.tasks_of(connection, found.id))[-1]
        now = epoch.milliseconds(clock)
        reason = f"{event.value.replace('_', ' ')} by {by.name}"[:300]
        if await tasks.move(connection, task, event, now=now, reason=reason) is None:
            raise UnusableError(f"run {found.id} is {task.state.value}: {_advice(task.state, event)}")
        await _record(connection, by, action, found, task, now, event=event)


def _advice(state: TaskState, event: TaskEvent) -> str:
    if event is TaskEvent.CANCEL:
        if state is TaskState.DOUBTFUL:
            return "its instance has vanished, so that nobody can be told"
        return "it is being cancelled already" if state is TaskState.CANCELLING else "it has ended"
    return "only a run whose end is unknown can be resolved"


async def _earlier(
    connection: AsyncConnection, by: Principal, wanted: WantedRun, digest: bytes, now: int
) -> str | None:
    """The run that this caller's key stands for. Raises ConflictError where that was another wish."""
    if wanted.idempotency_key is None:
        return None
    kind, name = _caller(by)
    found = await tasks.run_by_key(connection, by_kind=kind, by_id=name, key=wanted.idempotency_key)
    if found is None:
        return None
    if now - found.created_at > KEY_MS:
        await tasks.forget_key(connection, found.id)
        return None
    if found.request_sha256 != digest:
        raise ConflictError("run with another body and the idempotency key", wanted.idempotency_key)
    return found.id


async def _made(
    connection: AsyncConnection,
    database: Database,
    by: Principal,
    wanted: WantedRun,
    runner: StoredRunner,
    client: Client,
    now: int,
) -> tuple[ActionRun, ActionTask, str]:
    if await tasks.count_open(connection, runner.id) >= MOST_OPEN:
        raise UnusableError(f"runner {runner.name!r} has {MOST_OPEN} tasks waiting or running")
    run_id = str(uuid.uuid4())
    wish = TaskOrder(
        task=str(uuid.uuid4()),
        run=run_id,
        org=ORG,
        aud=enrolments.urn(runner),
        action=wanted.action,
        connection=wanted.connection,
        input=wanted.arguments,
        select=wanted.select,
        client=client,
        by=_ordered_by(by),
        iat=now,
        exp=now + wanted.within_ms,
        timeout_ms=wanted.timeout_ms,
    )
    token = await _signed(connection, database, wish, now)
    kind, name = _caller(by)
    run = ActionRun(
        id=run_id,
        runner=runner.id,
        action=wanted.action,
        connection=wanted.connection,
        client=client,
        by_kind=kind,
        by_id=name,
        task=wish.task,
        created_at=now,
        idempotency_key=wanted.idempotency_key,
    )
    return run, _task(wish, runner, token, number=1), token


async def _signed(connection: AsyncConnection, database: Database, wish: TaskOrder, now: int) -> str:
    """Sign with the key in force. Raises UnusableError for a wish that no runner would read."""
    keys = await runnerkeys.ensure(connection, database.sealer, now=now)
    try:
        return order.sign(wish, keys.signing)
    except ValueError as error:
        raise UnusableError(str(error)) from error


async def _order_of(connection: AsyncConnection, database: Database, task: ActionTask) -> TaskOrder:
    """The order that was signed for *task*, by our own signature. Raises DatabaseError where it is not ours."""
    token = await tasks.order_of(connection, database.sealer, task.id)
    if token is None:
        raise DatabaseError(f"the stored order of task {task.id} does not open")
    return order.decode_unverified(token)


def _task(wish: TaskOrder, runner: StoredRunner, token: str, *, number: int) -> ActionTask:
    return ActionTask(
        id=wish.task,
        run=wish.run,
        runner=runner.id,
        number=number,
        state=TaskState.QUEUED,
        effect=shown_by(wish.action, wish.input),
        order_sha256=order.payload_sha256(token),
        created_at=wish.iat,
        expires_at=wish.exp,
    )


async def _runner(connection: AsyncConnection, database: Database, name: str) -> StoredRunner:
    """A runner that takes tasks. Raises NotFoundError, UnusableError."""
    runner = await runners.find(connection, database.sealer, name)
    if "pull" not in runner.modes:
        raise UnusableError(f"runner {runner.name!r} takes requests of apps alone: its modes lack pull")
    if runner.state in ("disabled", "revoked"):
        raise UnusableError(f"runner {runner.name!r} is {runner.state}")
    return runner


async def _found(connection: AsyncConnection, by: Principal, run: str) -> ActionRun:
    found = await tasks.run_by_id(connection, run)
    if found is None or not by.may_act(found.action):
        raise NotFoundError("run", run)
    return found


async def _runner_name(connection: AsyncConnection, database: Database, runner: str) -> str:
    try:
        return (await runners.find(connection, database.sealer, runner)).name
    except NotFoundError:
        return runner


async def _record(
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
    key = wanted.idempotency_key
    if key is not None and not (1 <= len(key) <= 200 and key.isascii() and key.isprintable()):
        raise UnusableError("Idempotency-Key: is not 1 to 200 printable ASCII characters")


def _digest(wanted: WantedRun) -> bytes:
    """Tells two wishes apart, whatever the order of their members."""
    said = [wanted.action, wanted.runner, wanted.connection, wanted.arguments, wanted.select, wanted.within_ms]
    return hashlib.sha256(msgspec.json.encode([*said, wanted.timeout_ms], order="sorted")).digest()


def _caller(by: Principal) -> tuple[str, str]:
    return ("key", by.key) if by.key else ("user", by.name)


def _ordered_by(by: Principal) -> OrderedBy:
    kind, name = _caller(by)
    return OrderedBy(kind=kind, id=name)
