"""Jobs that run a failed run once more, after a wait in which nobody holds them. `controlplane.retries` says when.

A run is judged by its last execution. That is the one before, where the next one never comes to an end: because nobody took it,
its worker died, or its test was changed meanwhile. Then no further note is written: the run has its result.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import outcomes
from controlplane.outcomes import ReadOutcome
from controlplane.retries import of
from controlplane.store import ends
from controlplane.store.portions import portions
from controlplane.store.states import RunEnd
from controlplane.store.tables import assignments, jobs, results, triggered
from worker.apitest.retry import retry_of
from worker.wire.identifiers import timed_uuid

_POINT = update(triggered).where(triggered.c.job_id == bindparam("ended")).values(job_id=bindparam("instead"))
"""A run on demand shows the execution that decides, or that is awaited."""


@dataclass(frozen=True, slots=True)
class Further:
    """A *job* that executes a run once more, and the one *before* it."""

    job: str
    before: str


async def read_asked(connection: AsyncConnection, asked: Mapping[str, dict[str, Any]]) -> None:
    """Put into rows of `jobs`, by their ids, what the definitions that they bring say: *asked* are runs on demand that failed."""
    for ids in portions(list(asked)):
        some = jobs.c.id.in_(ids)
        for row in await connection.execute(select(jobs.c.id, jobs.c.definition).where(some)):
            long = of(retry_of(json.loads(row.definition)))
            more = {"definition": row.definition, "retries": long.count, "retry_interval_ms": long.interval}
            asked[row.id].update(more)


def is_to_follow(job: Mapping[str, Any], status: str, *, now: int) -> bool:
    """Tell if the execution *job*, which ended with *status*, is to be followed by another one.

    *job* is a row of `jobs` with the `retries` and `paused` of its test, whether it is the *current* one of its assignment, and
    whether it was *triggered*: then nobody waits for it beyond its own `until`.
    """
    if status != "failed":
        return False
    if job["triggered"]:
        return bool(job["attempt"] <= job["retries"] and now + job["retry_interval_ms"] < job["until"])
    return bool(job["current"] and not job["paused"] and job["attempt"] <= job["retries"])


async def follow(connection: AsyncConnection, failed: Sequence[tuple[Mapping[str, Any], str]], *, now: int) -> None:
    """Make the next job of each of *failed*: a job that `is_to_follow`, and its result's id. The test's next run waits for it."""
    following = [_next(job, result, now) for job, result in failed]
    if not following:
        return
    await connection.execute(jobs.insert(), following)
    await _point(connection, [(job["retry_of"], job["id"]) for job in following if job["definition"] is not None])
    scheduled = [job for job in following if job["definition"] is None]
    if scheduled:
        there = (assignments.c.test_id == bindparam("test")) & (assignments.c.location_id == bindparam("location"))
        await connection.execute(
            update(assignments).where(there).values(job_id=bindparam("job")),
            [{"test": job["test_id"], "location": job["location_id"], "job": job["id"]} for job in scheduled],
        )


def _next(job: Mapping[str, Any], result: str, now: int) -> dict[str, Any]:
    not_before = now + job["retry_interval_ms"]
    return {
        "id": timed_uuid(now),
        "test_id": job["test_id"],
        "location_id": job["location_id"],
        "scheduled_at": job["scheduled_at"],
        "until": job["until"] if job["triggered"] else not_before + job["period_ms"],
        "delivery": 0,
        "leased_at": now,
        "not_before": not_before,
        "attempt": job["attempt"] + 1,
        "retry_of": job["id"],
        "initial_id": job["initial_id"] or result,
        "definition": job["definition"] if job["triggered"] else None,
        "test_name": job["test_name"] if job["triggered"] else None,
    }


async def _point(connection: AsyncConnection, moved: Sequence[tuple[str, str]]) -> None:
    """Let the runs on demand of jobs show others *instead*; scheduled jobs are passed over."""
    if moved:
        await connection.execute(_POINT, [{"ended": ended, "instead": instead} for ended, instead in moved])


async def give_up(connection: AsyncConnection, ended: Sequence[Further], *, now: int) -> None:
    """Let the executions decide whose next ones, *ended*, came to nothing."""
    if not ended:
        return
    theirs = results.c.job_id.in_(sorted(one.before for one in ended))
    await connection.execute(update(results).where(theirs).values(is_last=True))
    await _point(connection, [(one.job, one.before) for one in ended])
    scheduled = select(results).join(jobs, jobs.c.id == results.c.job_id).where(theirs, jobs.c.definition.is_(None))
    rows = await connection.execute(scheduled.order_by(results.c.seq))
    await ends.put(connection, [_end(row) for row in rows], now=now)


def _end(row: Any) -> RunEnd:
    outcome = outcomes.read(row.outcome.encode())
    assert isinstance(outcome, ReadOutcome), "nothing else was stored"
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


async def outdate(connection: AsyncConnection, ended: Sequence[Further]) -> None:
    """Let the executions decide no more whose next ones, *ended*, have a result, be it after they were given up."""
    if ended:
        theirs = results.c.job_id.in_(sorted(one.before for one in ended))
        await connection.execute(update(results).where(theirs).values(is_last=False))
        await _point(connection, [(one.before, one.job) for one in ended])


async def cancel(connection: AsyncConnection, tests: Collection[str], *, now: int) -> None:
    """Close what waits of *tests* to be run once more, or was given back: they have been changed, and are due anew.

    Runs on demand go on: they bring the definition of their moment.
    """
    mine = (jobs.c.test_id.in_(sorted(tests))) & jobs.c.retry_of.is_not(None) & jobs.c.definition.is_(None)
    waiting = select(jobs.c.id, jobs.c.retry_of).where(mine, jobs.c.closed.is_(None), jobs.c.worker.is_(None))
    found = (await connection.execute(waiting)).all()
    if not found:
        return
    ids = [row.id for row in found]
    await connection.execute(update(jobs).where(jobs.c.id.in_(ids)).values(closed="cancelled", closed_at=now))
    await connection.execute(update(assignments).where(assignments.c.job_id.in_(ids)).values(job_id=None))
    await give_up(connection, [Further(row.id, row.retry_of) for row in found], now=now)
