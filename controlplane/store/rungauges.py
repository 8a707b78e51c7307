"""Runs of private actions for metrics: those that wait for somebody, by their state, and how long each runner's queue waits.

Runs that have ended are left out but for those that a person has to look at: a scrape costs the same however many there were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.actions.states import ENDED, TaskState
from controlplane.store.runnertables import runners
from controlplane.store.tables import action_runs, action_tasks

SHOWN = tuple(state for state in TaskState if state not in ENDED or state is TaskState.UNKNOWN)
"""The states of a run that nobody has finished with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGauges:
    """*states* counts runs. *oldest* has for each runner, by name, since when its oldest queued task waits, None without one."""

    states: Mapping[TaskState, int]
    oldest: Mapping[str, int | None]


async def of_runs(connection: AsyncConnection) -> RunGauges:
    """Count the runs whose newest task is in one of `SHOWN`, and find the oldest that is queued for each runner."""
    state = action_tasks.c.state
    counted = (
        select(state, func.count().label("runs"))
        .join(action_runs, action_runs.c.task_id == action_tasks.c.id)
        .where(state.in_([one.value for one in SHOWN]), action_runs.c.id == action_tasks.c.run_id)
        .group_by(state)
    )
    found = {row.state: row.runs for row in await connection.execute(counted)}
    oldest = (
        select(func.min(action_tasks.c.created_at))
        .where(state == TaskState.QUEUED.value, action_tasks.c.runner_id == runners.c.id)
        .scalar_subquery()
    )
    rows = await connection.execute(select(runners.c.name, oldest.label("oldest")).order_by(runners.c.name))
    return RunGauges(
        states={one: found.get(one.value, 0) for one in SHOWN}, oldest={row.name: row.oldest for row in rows}
    )
