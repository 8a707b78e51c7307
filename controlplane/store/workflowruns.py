"""Runs of workflows: the copy of the definition that they go by, the step that they are at, and the steps that they made.

Both are sealed: who can only write the database moves no run to another step. Outputs are those of the steps' tasks.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.actions.states import TaskState
from controlplane.actions.workflows import Workflow
from controlplane.errors import DatabaseError
from controlplane.store.portions import portions
from controlplane.store.sealing import Sealer
from controlplane.store.workflowtables import workflow_runs, workflow_steps

BATCH = 200
"""Rows of one step of upkeep."""


class RunContent(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a run goes by from its first step to its last. *by* is the caller's kind and id."""

    workflow: Workflow
    params: dict[str, Any]
    trigger: dict[str, Any]
    client: str
    by: tuple[str, str]


class RunProgress(msgspec.Struct, frozen=True, kw_only=True):
    """The *attempt*, from 1, of the step at *position*, from 0: *task* is its newest task, *resume_at* when it is tried again."""

    position: int
    attempt: int
    task: str
    resume_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRun:
    """A row of `workflow_runs`, opened. *state* is None while it goes on."""

    run: str
    workflow_id: str
    content: RunContent
    progress: RunProgress
    cancelled: bool = False
    state: TaskState | None = None
    ended_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAttempt:
    """A row of `workflow_steps`."""

    task: str
    run: str
    position: int
    attempt: int
    name: str
    action: str
    input_sha256: str


async def add(connection: AsyncConnection, sealer: Sealer, run: WorkflowRun) -> None:
    """Store what a new run goes by."""
    row = {
        "run_id": run.run,
        "workflow_id": run.workflow_id,
        "sealed": sealer.seal(msgspec.json.encode(run.content), f"workflow_runs.sealed:{run.run}"),
        "progress_sealed": _sealed_progress(sealer, run.run, run.progress),
        "cancelled": run.cancelled,
    }
    await connection.execute(insert(workflow_runs).values(row))


async def add_step(connection: AsyncConnection, attempt: StepAttempt) -> None:
    """Store an attempt of a step, whose task is there."""
    row = {
        "task_id": attempt.task,
        "run_id": attempt.run,
        "position": attempt.position,
        "attempt": attempt.attempt,
        "name": attempt.name,
        "action": attempt.action,
        "input_sha256": attempt.input_sha256,
    }
    await connection.execute(insert(workflow_steps).values(row))


async def by_run(connection: AsyncConnection, sealer: Sealer, run: str) -> WorkflowRun | None:
    """The run of a workflow; None where *run* is of a single action. Raises DatabaseError where it does not open."""
    row = (await connection.execute(select(workflow_runs).where(workflow_runs.c.run_id == run))).one_or_none()
    return None if row is None else _run(row, sealer)


async def move(connection: AsyncConnection, sealer: Sealer, run: str, progress: RunProgress) -> None:
    """Note the step that a run is at. It goes on."""
    values = {
        "progress_sealed": _sealed_progress(sealer, run, progress),
        "resume_at": progress.resume_at,
        "state": None,
        "ended_at": None,
    }
    await connection.execute(update(workflow_runs).where(workflow_runs.c.run_id == run).values(values))


async def end(connection: AsyncConnection, run: str, state: TaskState, *, now: int) -> None:
    """Note the end of a run."""
    values = {"state": state.value, "ended_at": now, "resume_at": None}
    await connection.execute(update(workflow_runs).where(workflow_runs.c.run_id == run).values(values))


async def set_cancelled(connection: AsyncConnection, run: str, *, cancelled: bool) -> None:
    """Note whether anybody still wants a run to go on."""
    await connection.execute(update(workflow_runs).where(workflow_runs.c.run_id == run).values(cancelled=cancelled))


async def workflow_runs_among(connection: AsyncConnection, runs: Collection[str]) -> Sequence[str]:
    """Those of *runs* that are of workflows, by id."""
    found: list[str] = []
    for some in portions(sorted(runs)):
        query = select(workflow_runs.c.run_id).where(workflow_runs.c.run_id.in_(some))
        found += await connection.scalars(query.order_by(workflow_runs.c.run_id))
    return found


async def to_resume(connection: AsyncConnection, *, now: int) -> Sequence[str]:
    """Runs that wait no longer for another attempt, `BATCH` at most."""
    query = select(workflow_runs.c.run_id).where(workflow_runs.c.resume_at <= now, workflow_runs.c.state.is_(None))
    return list(await connection.scalars(query.order_by(workflow_runs.c.resume_at).limit(BATCH)))


async def steps_of(connection: AsyncConnection, run: str) -> Sequence[StepAttempt]:
    """Every attempt of every step that a run has made, in no order."""
    rows = await connection.execute(select(workflow_steps).where(workflow_steps.c.run_id == run))
    return [
        StepAttempt(
            task=row.task_id,
            run=row.run_id,
            position=row.position,
            attempt=row.attempt,
            name=row.name,
            action=row.action,
            input_sha256=row.input_sha256,
        )
        for row in rows
    ]


async def shift(connection: AsyncConnection, *, by: int) -> None:
    """Move by *by* milliseconds what is compared with the clock."""
    column = workflow_runs.c.resume_at
    await connection.execute(update(workflow_runs).where(column.is_not(None)).values(resume_at=column + by))


def _run(row: Any, sealer: Sealer) -> WorkflowRun:
    try:
        content = msgspec.json.decode(
            sealer.open(row.sealed, f"workflow_runs.sealed:{row.run_id}").reveal(), type=RunContent
        )
        progress = msgspec.json.decode(
            sealer.open(row.progress_sealed, f"workflow_runs.progress:{row.run_id}").reveal(), type=RunProgress
        )
    except msgspec.DecodeError as error:
        raise DatabaseError(f"the run {row.run_id} was stored by another version") from error
    return WorkflowRun(
        run=row.run_id,
        workflow_id=row.workflow_id,
        content=content,
        progress=progress,
        cancelled=row.cancelled,
        state=None if row.state is None else TaskState(row.state),
        ended_at=row.ended_at,
    )


def _sealed_progress(sealer: Sealer, run: str, progress: RunProgress) -> bytes:
    return sealer.seal(msgspec.json.encode(progress), f"workflow_runs.progress:{run}")
