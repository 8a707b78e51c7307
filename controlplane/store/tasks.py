"""Tasks of private actions: rows, and the states that they move through. `actions.states` decides.

Orders and outcomes are sealed and bound to their row: who can only write the database makes no order, and moves none.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Integer, bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.actions.states import DOUBT_MS, ENDED, HELD, TaskEffect, TaskEvent, TaskState, following
from controlplane.errors import DatabaseError
from controlplane.leases import lease_of
from controlplane.store.portions import portions
from controlplane.store.sealing import Sealer
from controlplane.store.tables import action_runs, action_tasks

BATCH = 200
"""Rows of one step of upkeep."""
OPEN = tuple(state.value for state in TaskState if state not in ENDED)
"""States in which somebody works on a task, or will."""
_HELD = tuple(state.value for state in HELD)
_GIVEN = ("instance", "delivery", "given_at", "renewed_at", "began", "doubtful_at")
"""Columns that a lease sets, beside the state."""


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


TASK_COLUMNS = [
    column for column in action_tasks.c if column.name not in ("order_sealed", "outcome_sealed", "result_id")
]
"""Those of an `ActionTask`."""


_HELD_BY = select(*TASK_COLUMNS).where(
    action_tasks.c.state.in_((*_HELD, TaskState.DOUBTFUL.value)),
    action_tasks.c.runner_id == bindparam("runner"),
    action_tasks.c.instance == bindparam("holder"),
)
_QUEUED = (
    select(*TASK_COLUMNS)
    .where(action_tasks.c.state == TaskState.QUEUED.value, action_tasks.c.runner_id == bindparam("runner"))
    .where(action_tasks.c.expires_at > bindparam("now"))
    .order_by(action_tasks.c.created_at, action_tasks.c.id)
    .limit(bindparam("most", type_=Integer))
)
_ONE = action_tasks.c.id == bindparam("task_")
_OF_RUN = select(*TASK_COLUMNS).where(action_tasks.c.run_id == bindparam("run")).order_by(action_tasks.c.number)
_ORDER, _OUTCOME, _RESULT = (
    select(column).where(_ONE)
    for column in (action_tasks.c.order_sealed, action_tasks.c.outcome_sealed, action_tasks.c.result_id)
)
_GIVE = (
    update(action_tasks)
    .where(_ONE, action_tasks.c.state == TaskState.QUEUED.value)
    .values({name: bindparam(name) for name in _GIVEN} | {"state": TaskState.LEASED.value})
)
_STIRRING = (
    select(action_tasks.c.runner_id)
    .where(action_tasks.c.state.in_((TaskState.QUEUED.value, TaskState.CANCELLING.value)))
    .distinct()
)
_OPEN_OF = (
    select(func.count())
    .select_from(action_tasks)
    .where(action_tasks.c.runner_id == bindparam("runner"), action_tasks.c.state.in_(OPEN))
)
_ADD = action_tasks.insert()
_NEWEST = update(action_runs).where(action_runs.c.id == bindparam("run")).values(task_id=bindparam("newest"))
# Those of each order and pull, made once: SQLAlchemy takes as long to build a statement as SQLite to run it.


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
    await connection.execute(_ADD, row)
    await connection.execute(_NEWEST, {"run": task.run, "newest": task.id})


async def tasks_of(connection: AsyncConnection, run: str) -> Sequence[ActionTask]:
    """Every task of a run, the oldest first."""
    return [task_of(row) for row in await connection.execute(_OF_RUN, {"run": run})]


async def by_ids(connection: AsyncConnection, tasks: Collection[str]) -> dict[str, ActionTask]:
    found: dict[str, ActionTask] = {}
    for some in portions(list(tasks)):
        query = select(*TASK_COLUMNS).where(action_tasks.c.id.in_(some))
        found |= {row.id: task_of(row) for row in await connection.execute(query)}
    return found


async def held_by(connection: AsyncConnection, *, runner: str, instance: str) -> Sequence[ActionTask]:
    """The open tasks whose newest lease this instance has, doubtful ones too."""
    return [task_of(row) for row in await connection.execute(_HELD_BY, {"runner": runner, "holder": instance})]


async def queued(connection: AsyncConnection, *, runner: str, now: int, limit: int) -> Sequence[ActionTask]:
    """The tasks that may be given to *runner* now, the oldest first."""
    values = {"runner": runner, "now": now, "most": limit}
    return [task_of(row) for row in await connection.execute(_QUEUED, values)]


async def stirring(connection: AsyncConnection, runners: Collection[str]) -> set[str]:
    """Those of *runners* for whom something is queued, or to be cancelled."""
    return set(runners) & {row.runner_id for row in await connection.execute(_STIRRING)}


async def give(connection: AsyncConnection, task: ActionTask, *, instance: str, now: int) -> ActionTask | None:
    """Lease a queued task to *instance*; None where somebody was faster."""
    given = replace(
        task,
        state=TaskState.LEASED,
        instance=instance,
        delivery=task.delivery + 1,
        given_at=now,
        renewed_at=now,
        began=False,
        doubtful_at=None,
    )
    moved = await connection.execute(_GIVE, {"task_": task.id} | {name: getattr(given, name) for name in _GIVEN})
    return given if moved.rowcount == 1 else None


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


async def add_refused(connection: AsyncConnection, task: ActionTask) -> None:
    """Store a task that was never signed, as it failed: *code* and *reason* say why."""
    row = {
        "id": task.id,
        "run_id": task.run,
        "runner_id": task.runner,
        "number": task.number,
        "state": TaskState.FAILED.value,
        "effect": task.effect.value,
        "order_sealed": b"",
        "order_sha256": "",
        "created_at": task.created_at,
        "expires_at": task.created_at,
        "delivery": 0,
        "silent": 0,
        "began": False,
        "ended_at": task.created_at,
        "code": task.code,
        "reason": task.reason,
    }
    await connection.execute(_ADD, row)
    await connection.execute(_NEWEST, {"run": task.run, "newest": task.id})


async def order_of(connection: AsyncConnection, sealer: Sealer, task: str) -> str | None:
    """The signed order of a task; None where what is stored does not open: it was not stored by us, or not for this row."""
    sealed = await connection.scalar(_ORDER, {"task_": task})
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
    sealed = await connection.scalar(_OUTCOME, {"task_": task})
    return None if sealed is None else sealer.open(sealed, _outcome_context(task)).reveal()


async def result_of(connection: AsyncConnection, task: str) -> str | None:
    """The id of the result that is stored for a task."""
    found: str | None = await connection.scalar(_RESULT, {"task_": task})
    return found


async def overdue(connection: AsyncConnection, *, now: int, expiry: int) -> Sequence[tuple[ActionTask, TaskEvent]]:
    """Open tasks that time moves: `late`, `silent` (not renewed since *expiry*), or `forsaken`; at most `BATCH`."""
    state, column = action_tasks.c.state, action_tasks.c
    late = (state == TaskState.QUEUED.value) & (column.expires_at <= now)
    silent = state.in_(_HELD) & (column.renewed_at < expiry)
    forsaken = (state == TaskState.DOUBTFUL.value) & (column.doubtful_at <= now - DOUBT_MS)
    query = select(*TASK_COLUMNS).where(state.in_(OPEN), or_(late, silent, forsaken)).limit(BATCH)
    found = [task_of(row) for row in await connection.execute(query)]
    return [(one, _of_time(one)) for one in found]


def _of_time(task: ActionTask) -> TaskEvent:
    if task.state is TaskState.QUEUED:
        return TaskEvent.LATE
    return TaskEvent.FORSAKEN if task.state is TaskState.DOUBTFUL else TaskEvent.SILENT


async def shift(connection: AsyncConnection, *, by: int) -> None:
    """Move by *by* milliseconds what is compared with the clock. A signed order keeps the time that it bears."""
    column = action_tasks.c
    moved = {"renewed_at": column.renewed_at + by, "doubtful_at": column.doubtful_at + by}
    await connection.execute(update(action_tasks).where(column.state.in_(OPEN)).values(moved))


async def count_open(connection: AsyncConnection, runner: str) -> int:
    return await connection.scalar(_OPEN_OF, {"runner": runner}) or 0


def _order_context(task: str) -> str:
    return f"action_tasks.order:{task}"


def _outcome_context(task: str) -> str:
    return f"action_tasks.outcome:{task}"


def task_of(row: Any, prefix: str = "") -> ActionTask:
    """A row of `action_tasks`, whose columns have names with *prefix*."""
    at = {column.name: getattr(row, prefix + column.name) for column in TASK_COLUMNS}
    at |= {"run": at.pop("run_id"), "runner": at.pop("runner_id")}
    return ActionTask(**at | {"state": TaskState(at["state"]), "effect": TaskEffect(at["effect"])})
