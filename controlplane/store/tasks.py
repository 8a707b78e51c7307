"""Runs of private actions and their tasks: rows, and the states that they move through. `actions.states` decides.

Orders and outcomes are sealed and bound to their row: who can only write the database makes no order, and moves none.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.actions.states import DOUBT_MS, ENDED, HELD, TaskEffect, TaskEvent, TaskState, following
from controlplane.errors import ConflictError, DatabaseError
from controlplane.leases import lease_of
from controlplane.store.sealing import Sealer
from controlplane.store.tables import action_runs, action_tasks

BATCH = 200
"""Rows of one step of upkeep."""
_OPEN = tuple(state.value for state in TaskState if state not in ENDED)
_HELD = tuple(state.value for state in HELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRun:
    """A row of `action_runs`. Times are epoch milliseconds."""

    id: str
    runner: str
    action: str
    connection: str | None
    client: str
    by_kind: str
    by_id: str
    task: str
    created_at: int
    idempotency_key: str | None = None
    request_sha256: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTask:
    """A row of `action_tasks` without what is sealed in it."""

    id: str
    run: str
    runner: str
    number: int
    state: TaskState
    effect: TaskEffect
    order_sha256: str
    created_at: int
    expires_at: int
    delivery: int = 0
    silent: int = 0
    instance: str | None = None
    given_at: int | None = None
    renewed_at: int | None = None
    began: bool = False
    doubtful_at: int | None = None
    ended_at: int | None = None
    code: str | None = None
    reason: str | None = None

    @property
    def lease(self) -> str:
        """The name of the newest lease."""
        return lease_of(self.id, self.delivery)


_TASK_COLUMNS = [
    column for column in action_tasks.c if column.name not in ("order_sealed", "outcome_sealed", "result_id")
]


async def add_run(connection: AsyncConnection, run: ActionRun) -> None:
    """Store a new run. Raises ConflictError where its idempotency key is taken."""
    row = {
        "id": run.id,
        "runner_id": run.runner,
        "action": run.action,
        "connection": run.connection,
        "client": run.client,
        "by_kind": run.by_kind,
        "by_id": run.by_id,
        "task_id": run.task,
        "created_at": run.created_at,
        "idempotency_key": run.idempotency_key,
        "request_sha256": run.request_sha256,
    }
    try:
        await connection.execute(action_runs.insert().values(row))
    except IntegrityError as error:
        raise ConflictError("run", run.idempotency_key or run.id) from error


async def add_task(connection: AsyncConnection, sealer: Sealer, task: ActionTask, order: str) -> None:
    """Store a new task with its signed *order*."""
    row = {
        "id": task.id,
        "run_id": task.run,
        "runner_id": task.runner,
        "number": task.number,
        "state": task.state.value,
        "effect": task.effect.value,
        "order_sealed": sealer.seal(order.encode(), _order_context(task.id)),
        "order_sha256": task.order_sha256,
        "created_at": task.created_at,
        "expires_at": task.expires_at,
        "delivery": 0,
        "silent": 0,
        "began": False,
    }
    await connection.execute(action_tasks.insert().values(row))
    await connection.execute(update(action_runs).where(action_runs.c.id == task.run).values(task_id=task.id))


async def run_by_id(connection: AsyncConnection, run: str) -> ActionRun | None:
    row = (await connection.execute(select(action_runs).where(action_runs.c.id == run))).one_or_none()
    return None if row is None else _run(row)


async def run_by_key(connection: AsyncConnection, *, by_kind: str, by_id: str, key: str) -> ActionRun | None:
    """The run that this caller asked for under this idempotency key."""
    mine = (action_runs.c.by_kind == by_kind) & (action_runs.c.by_id == by_id)
    row = (
        await connection.execute(select(action_runs).where(mine, action_runs.c.idempotency_key == key))
    ).one_or_none()
    return None if row is None else _run(row)


async def forget_key(connection: AsyncConnection, run: str) -> None:
    """Let the idempotency key of a run of long ago be used again."""
    await connection.execute(update(action_runs).where(action_runs.c.id == run).values(idempotency_key=None))


async def newest_runs(
    connection: AsyncConnection, *, limit: int, runner: str | None = None, states: Collection[str] = ()
) -> Sequence[tuple[ActionRun, ActionTask]]:
    """The newest runs, each with its newest task, the newest first."""
    query = select(action_runs, *(column.label(f"task__{column.name}") for column in _TASK_COLUMNS)).join(
        action_tasks, action_tasks.c.id == action_runs.c.task_id
    )
    if runner is not None:
        query = query.where(action_runs.c.runner_id == runner)
    if states:
        query = query.where(action_tasks.c.state.in_(tuple(states)))
    rows = await connection.execute(query.order_by(action_runs.c.created_at.desc(), action_runs.c.id).limit(limit))
    return [(_run(row), _task(row, prefix="task__")) for row in rows]


async def tasks_of(connection: AsyncConnection, run: str) -> Sequence[ActionTask]:
    """Every task of a run, the oldest first."""
    query = select(*_TASK_COLUMNS).where(action_tasks.c.run_id == run).order_by(action_tasks.c.number)
    return [_task(row) for row in await connection.execute(query)]


async def by_ids(connection: AsyncConnection, tasks: Collection[str]) -> dict[str, ActionTask]:
    found: dict[str, ActionTask] = {}
    ids = list(tasks)
    for start in range(0, len(ids), BATCH):
        query = select(*_TASK_COLUMNS).where(action_tasks.c.id.in_(ids[start : start + BATCH]))
        found |= {row.id: _task(row) for row in await connection.execute(query)}
    return found


async def held_by(connection: AsyncConnection, *, runner: str, instance: str) -> Sequence[ActionTask]:
    """The open tasks whose newest lease this instance has, doubtful ones too."""
    query = select(*_TASK_COLUMNS).where(
        action_tasks.c.state.in_((*_HELD, TaskState.DOUBTFUL.value)),
        action_tasks.c.runner_id == runner,
        action_tasks.c.instance == instance,
    )
    return [_task(row) for row in await connection.execute(query)]


async def queued(connection: AsyncConnection, *, runner: str, now: int, limit: int) -> Sequence[ActionTask]:
    """The tasks that may be given to *runner* now, the oldest first."""
    query = (
        select(*_TASK_COLUMNS)
        .where(action_tasks.c.state == TaskState.QUEUED.value, action_tasks.c.runner_id == runner)
        .where(action_tasks.c.expires_at > now)
        .order_by(action_tasks.c.created_at, action_tasks.c.id)
        .limit(limit)
    )
    return [_task(row) for row in await connection.execute(query)]


async def stirring(connection: AsyncConnection, runners: Collection[str]) -> set[str]:
    """Those of *runners* for whom something is queued, or to be cancelled."""
    wanted = (TaskState.QUEUED.value, TaskState.CANCELLING.value)
    query = select(action_tasks.c.runner_id).where(action_tasks.c.state.in_(wanted)).distinct()
    return set(runners) & {row.runner_id for row in await connection.execute(query)}


async def give(connection: AsyncConnection, task: ActionTask, *, instance: str, now: int) -> ActionTask | None:
    """Lease a queued task to *instance*; None where somebody was faster."""
    given = {
        "state": TaskState.LEASED.value,
        "instance": instance,
        "delivery": task.delivery + 1,
        "given_at": now,
        "renewed_at": now,
        "began": False,
        "doubtful_at": None,
    }
    still = (action_tasks.c.id == task.id) & (action_tasks.c.state == TaskState.QUEUED.value)
    moved = await connection.execute(update(action_tasks).where(still).values(given))
    if moved.rowcount != 1:
        return None
    return (await by_ids(connection, [task.id]))[task.id]


async def renew(connection: AsyncConnection, tasks: Collection[str], *, now: int) -> None:
    """Note that the instance that holds *tasks* was heard."""
    await connection.execute(update(action_tasks).where(action_tasks.c.id.in_(tuple(tasks))).values(renewed_at=now))


async def hand_over(connection: AsyncConnection, task: str, *, instance: str, now: int) -> None:
    """Give the lease of a task to *instance*, which has the result that its predecessor left."""
    values = {"instance": instance, "renewed_at": now}
    await connection.execute(update(action_tasks).where(action_tasks.c.id == task).values(values))


async def fail(connection: AsyncConnection, task: ActionTask, *, now: int, code: str, reason: str) -> None:
    """End a queued task that cannot be given to anybody."""
    still = (action_tasks.c.id == task.id) & (action_tasks.c.state == TaskState.QUEUED.value)
    values = {"state": TaskState.FAILED.value, "ended_at": now, "code": code, "reason": reason}
    await connection.execute(update(action_tasks).where(still).values(values))


async def note_began(connection: AsyncConnection, task: str, effect: TaskEffect | None) -> None:
    """Note that the action has begun, and what the runner says of its effect."""
    values: dict[str, Any] = {"began": True}
    if effect is not None:
        values["effect"] = effect.value
    await connection.execute(update(action_tasks).where(action_tasks.c.id == task).values(values))


async def move(
    connection: AsyncConnection, task: ActionTask, event: TaskEvent, *, now: int, **values: Any
) -> TaskState | None:
    """Move *task* by *event* where the table has a move and nobody was faster; returns the state that it has now, else None."""
    after = following(task.state, event, task.effect, silent=task.silent)
    if after is None:
        return None
    if event is TaskEvent.SILENT:
        values["silent"] = task.silent + 1
    if after is TaskState.LOST:
        values["code"] = "LOST"
    if after is TaskState.DOUBTFUL:
        values["doubtful_at"] = now
    if after in ENDED:
        values["ended_at"] = now
    if after is TaskState.QUEUED:
        values["instance"] = None
    as_read = (action_tasks.c.id == task.id) & (action_tasks.c.state == task.state.value)
    same = as_read & (action_tasks.c.delivery == task.delivery)
    moved = await connection.execute(update(action_tasks).where(same).values(state=after.value, **values))
    return after if moved.rowcount == 1 else None


async def order_of(connection: AsyncConnection, sealer: Sealer, task: str) -> str | None:
    """The signed order of a task; None where what is stored does not open: it was not stored by us, or not for this row."""
    sealed = await connection.scalar(select(action_tasks.c.order_sealed).where(action_tasks.c.id == task))
    if sealed is None:
        return None
    try:
        return sealer.open(sealed, _order_context(task)).reveal().decode("ascii")
    except (DatabaseError, UnicodeDecodeError):
        return None


def sealed_outcome(sealer: Sealer, task: str, outcome: bytes) -> bytes:
    return sealer.seal(outcome, _outcome_context(task))


async def outcome_of(connection: AsyncConnection, sealer: Sealer, task: str) -> bytes | None:
    """The result of a task as it came, None where there is none. Raises DatabaseError where it does not open."""
    sealed = await connection.scalar(select(action_tasks.c.outcome_sealed).where(action_tasks.c.id == task))
    return None if sealed is None else sealer.open(sealed, _outcome_context(task)).reveal()


async def result_of(connection: AsyncConnection, task: str) -> str | None:
    """The id of the result that is stored for a task."""
    found: str | None = await connection.scalar(select(action_tasks.c.result_id).where(action_tasks.c.id == task))
    return found


async def overdue(connection: AsyncConnection, *, now: int, expiry: int) -> Sequence[tuple[ActionTask, TaskEvent]]:
    """Open tasks that time moves: `late`, `silent` (not renewed since *expiry*), or `forsaken`; at most `BATCH`."""
    state, column = action_tasks.c.state, action_tasks.c
    late = (state == TaskState.QUEUED.value) & (column.expires_at <= now)
    silent = state.in_(_HELD) & (column.renewed_at < expiry)
    forsaken = (state == TaskState.DOUBTFUL.value) & (column.doubtful_at <= now - DOUBT_MS)
    query = select(*_TASK_COLUMNS).where(state.in_(_OPEN), or_(late, silent, forsaken)).limit(BATCH)
    found = [_task(row) for row in await connection.execute(query)]
    return [(one, _of_time(one)) for one in found]


def _of_time(task: ActionTask) -> TaskEvent:
    if task.state is TaskState.QUEUED:
        return TaskEvent.LATE
    return TaskEvent.FORSAKEN if task.state is TaskState.DOUBTFUL else TaskEvent.SILENT


async def shift(connection: AsyncConnection, *, by: int) -> None:
    """Move by *by* milliseconds what is compared with the clock. A signed order keeps the time that it bears."""
    column = action_tasks.c
    moved = {"renewed_at": column.renewed_at + by, "doubtful_at": column.doubtful_at + by}
    await connection.execute(update(action_tasks).where(column.state.in_(_OPEN)).values(moved))


async def count_open(connection: AsyncConnection, runner: str) -> int:
    query = select(func.count()).select_from(action_tasks)
    mine = query.where(action_tasks.c.runner_id == runner, action_tasks.c.state.in_(_OPEN))
    return await connection.scalar(mine) or 0


async def prune(connection: AsyncConnection, *, before: int, limit: int) -> int:
    """Delete runs that were made before *before* and have ended; how many there were."""
    ended = select(action_runs.c.id).join(action_tasks, action_tasks.c.id == action_runs.c.task_id)
    old = ended.where(action_runs.c.created_at < before, action_tasks.c.state.not_in(_OPEN)).limit(limit)
    gone = await connection.execute(delete(action_runs).where(action_runs.c.id.in_(old.scalar_subquery())))
    return gone.rowcount


def _order_context(task: str) -> str:
    return f"action_tasks.order:{task}"


def _outcome_context(task: str) -> str:
    return f"action_tasks.outcome:{task}"


def _run(row: Any) -> ActionRun:
    return ActionRun(
        id=row.id,
        runner=row.runner_id,
        action=row.action,
        connection=row.connection,
        client=row.client,
        by_kind=row.by_kind,
        by_id=row.by_id,
        task=row.task_id,
        created_at=row.created_at,
        idempotency_key=row.idempotency_key,
        request_sha256=row.request_sha256,
    )


def _task(row: Any, prefix: str = "") -> ActionTask:
    at = {column.name: getattr(row, prefix + column.name) for column in _TASK_COLUMNS}
    at |= {"run": at.pop("run_id"), "runner": at.pop("runner_id")}
    return ActionTask(**at | {"state": TaskState(at["state"]), "effect": TaskEffect(at["effect"])})
