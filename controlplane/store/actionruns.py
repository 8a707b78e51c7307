"""Runs of private actions and of workflows: what callers asked for, found by id, by idempotency key, or the newest first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, case, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.actions.states import TaskState
from controlplane.errors import ConflictError
from controlplane.store.tables import action_runs, action_tasks
from controlplane.store.tasks import OPEN, TASK_COLUMNS, ActionTask, task_of
from controlplane.store.workflowtables import workflow_runs


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


_RUN_STATE = case(
    (workflow_runs.c.state.is_not(None), workflow_runs.c.state),
    (workflow_runs.c.resume_at.is_not(None), TaskState.QUEUED.value),
    else_=action_tasks.c.state,
)
"""A run's state is its newest task's; that of a workflow may have ended otherwise, or wait to try a step again."""


_BY_ID = select(action_runs).where(action_runs.c.id == bindparam("run"))
_ADD = action_runs.insert()
# Made once: SQLAlchemy takes as long to build a statement as SQLite to run it.


async def add(connection: AsyncConnection, run: ActionRun) -> None:
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
        await connection.execute(_ADD, row)
    except IntegrityError as error:
        raise ConflictError("run", run.idempotency_key or run.id) from error


async def by_id(connection: AsyncConnection, run: str) -> ActionRun | None:
    row = (await connection.execute(_BY_ID, {"run": run})).one_or_none()
    return None if row is None else _run(row)


async def by_key(connection: AsyncConnection, *, by_kind: str, by_id: str, key: str) -> ActionRun | None:
    """The run that this caller asked for under this idempotency key."""
    mine = (action_runs.c.by_kind == by_kind) & (action_runs.c.by_id == by_id)
    row = (
        await connection.execute(select(action_runs).where(mine, action_runs.c.idempotency_key == key))
    ).one_or_none()
    return None if row is None else _run(row)


async def forget_key(connection: AsyncConnection, run: str) -> None:
    """Let the idempotency key of a run of long ago be used again."""
    await connection.execute(update(action_runs).where(action_runs.c.id == run).values(idempotency_key=None))


async def newest(
    connection: AsyncConnection, *, limit: int, runner: str | None = None, states: Collection[str] = ()
) -> Sequence[tuple[ActionRun, ActionTask, TaskState]]:
    """The newest runs, each with its newest task and its own state, the newest first."""
    query = (
        select(
            action_runs,
            *(column.label(f"task__{column.name}") for column in TASK_COLUMNS),
            _RUN_STATE.label("run_state"),
        )
        .join(action_tasks, action_tasks.c.id == action_runs.c.task_id)
        .outerjoin(workflow_runs, workflow_runs.c.run_id == action_runs.c.id)
    )
    if runner is not None:
        query = query.where(action_runs.c.runner_id == runner)
    if states:
        query = query.where(_RUN_STATE.in_(tuple(states)))
    rows = await connection.execute(query.order_by(action_runs.c.created_at.desc(), action_runs.c.id).limit(limit))
    return [(_run(row), task_of(row, prefix="task__"), TaskState(row.run_state)) for row in rows]


async def state_of(connection: AsyncConnection, run: str) -> TaskState:
    """The state of a run that is there."""
    query = (
        select(_RUN_STATE)
        .select_from(action_runs)
        .join(action_tasks, action_tasks.c.id == action_runs.c.task_id)
        .outerjoin(workflow_runs, workflow_runs.c.run_id == action_runs.c.id)
    )
    found: str = (await connection.execute(query.where(action_runs.c.id == run))).scalar_one()
    return TaskState(found)


async def prune(connection: AsyncConnection, *, before: int, limit: int) -> int:
    """Delete runs that were made before *before* and have ended; how many there were."""
    ended = (
        select(action_runs.c.id)
        .join(action_tasks, action_tasks.c.id == action_runs.c.task_id)
        .outerjoin(workflow_runs, workflow_runs.c.run_id == action_runs.c.id)
    )
    old = ended.where(action_runs.c.created_at < before, _RUN_STATE.not_in(OPEN)).limit(limit)
    gone = await connection.execute(delete(action_runs).where(action_runs.c.id.in_(old.scalar_subquery())))
    return gone.rowcount


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
