"""Jobs that run a failed run once more, after a wait in which nobody holds them. `controlplane.retries` says when.

A run is judged by its last execution. That is the one before, where the next one never comes to an end: because nobody took it,
its worker died, or its test was changed meanwhile. Then no further note is written: the run has its result.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import outcomes
from controlplane.outcomes import Outcome
from controlplane.store import ends
from controlplane.store.states import RunEnd
from controlplane.store.tables import assignments, jobs, results


def is_to_follow(job: Mapping[str, Any], status: str) -> bool:
    """Tell if the execution *job*, which ended with *status*, is to be followed by another one.

    *job* is a row of `jobs` with the `retries` and `paused` of its test, and whether it is the *current* one of its assignment.
    """
    return status == "failed" and job["current"] and not job["paused"] and job["attempt"] <= job["retries"]


async def follow(connection: AsyncConnection, failed: Sequence[tuple[Mapping[str, Any], str]], *, now: int) -> None:
    """Make the next job of each of *failed*: a job that `is_to_follow`, and its result's id. The test's next run waits for it."""
    following = [_next(job, result, now) for job, result in failed]
    if not following:
        return
    await connection.execute(jobs.insert(), following)
    there = (assignments.c.test_id == bindparam("test")) & (assignments.c.location_id == bindparam("location"))
    await connection.execute(
        update(assignments).where(there).values(job_id=bindparam("job")),
        [{"test": job["test_id"], "location": job["location_id"], "job": job["id"]} for job in following],
    )


def _next(job: Mapping[str, Any], result: str, now: int) -> dict[str, Any]:
    not_before = now + job["retry_interval_ms"]
    return {
        "id": str(uuid.uuid4()),
        "test_id": job["test_id"],
        "location_id": job["location_id"],
        "scheduled_at": job["scheduled_at"],
        "until": not_before + job["period_ms"],
        "delivery": 0,
        "leased_at": now,
        "not_before": not_before,
        "attempt": job["attempt"] + 1,
        "retry_of": job["id"],
        "initial_id": job["initial_id"] or result,
    }


async def give_up(connection: AsyncConnection, before: Collection[str]) -> None:
    """Let the executions decide whose next ones came to no end: *before* are their jobs."""
    if not before:
        return
    theirs = results.c.job_id.in_(sorted(before))
    await connection.execute(update(results).where(theirs).values(is_last=True))
    rows = await connection.execute(select(results).where(theirs).order_by(results.c.seq))
    await ends.put(connection, [_end(row) for row in rows])


def _end(row: Any) -> RunEnd:
    outcome = outcomes.read(row.outcome.encode())
    assert isinstance(outcome, Outcome), "nothing else was stored"
    return RunEnd(
        test=row.test_id,
        location=row.location_id,
        status=row.status,
        at=row.stored_at,
        result=row.id,
        scheduled_at=row.scheduled_at,
        code=outcome.code,
        message=outcome.message,
        unhealthy=outcome.unhealthy,
    )


async def outdate(connection: AsyncConnection, before: Collection[str]) -> None:
    """Let the executions decide no more whose next ones have come to an end, be it after they were given up."""
    if before:
        await connection.execute(update(results).where(results.c.job_id.in_(sorted(before))).values(is_last=False))


async def cancel(connection: AsyncConnection, tests: Collection[str], *, now: int) -> None:
    """Close what waits of *tests* to be run once more, or was given back: they have been changed, and are due anew."""
    mine = (jobs.c.test_id.in_(sorted(tests))) & jobs.c.retry_of.is_not(None)
    waiting = select(jobs.c.id, jobs.c.retry_of).where(mine, jobs.c.closed.is_(None), jobs.c.worker.is_(None))
    found = (await connection.execute(waiting)).all()
    if not found:
        return
    ids = [row.id for row in found]
    await connection.execute(update(jobs).where(jobs.c.id.in_(ids)).values(closed="cancelled", closed_at=now))
    await connection.execute(update(assignments).where(assignments.c.job_id.in_(ids)).values(job_id=None))
    await give_up(connection, [row.retry_of for row in found])
