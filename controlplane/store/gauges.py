"""The state of things for metrics, by location and by test, read by indices alone: a scrape costs what is due, what is held and
what it shows, however many results there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.tables import assignments, jobs, locations, tests, workers


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationGauges:
    """A location as it stands. *workers*, *degraded*, *slots* and *free_slots* are of those that pulled lately.

    *due* are runs whose time has come, *waiting* jobs that nobody has (asked for, or given back), *leased* those that a worker
    has. *last_seen* is the newest pull, None before the first one.
    """

    id: str
    name: str
    enabled: bool
    workers: int
    degraded: int
    slots: int
    free_slots: int
    due: int
    waiting: int
    leased: int
    last_seen: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewestRun:
    """The newest decided run of a test at a location, as `assignments` has it, and the words by which people know the test."""

    test: str
    name: str
    tags: tuple[str, ...]
    location: str
    location_name: str
    status: str
    at: int
    duration_ms: float | None


async def of_locations(connection: AsyncConnection, *, now: int, seen_since: int) -> Sequence[LocationGauges]:
    """Read every location, by name. Workers count that were seen at *seen_since* or later."""
    alive = (workers.c.last_seen >= seen_since) & (workers.c.concurrency > 0)
    there = (
        select(
            workers.c.location_id,
            func.max(workers.c.last_seen).label("last_seen"),
            *(
                func.sum(case((alive, value), else_=0)).label(name)
                for name, value in (
                    ("workers", 1),
                    ("degraded", case((workers.c.degraded.is_not(None), 1), else_=0)),
                    ("slots", workers.c.concurrency),
                    ("free_slots", workers.c.free_slots),
                )
            ),
        )
        .group_by(workers.c.location_id)
        .subquery()
    )
    due = (
        select(func.count())
        .select_from(assignments)
        .where(
            assignments.c.location_id == locations.c.id,
            assignments.c.waiting_since <= now,  # by the index; it is never later than the next
            assignments.c.due_at <= now,
            assignments.c.until > now,
            assignments.c.job_id.is_(None),
        )
        .scalar_subquery()
    )
    rows = await connection.execute(
        select(locations.c.id, locations.c.name, locations.c.enabled, there, due.label("due"))
        .outerjoin(there, there.c.location_id == locations.c.id)
        .order_by(locations.c.name)
    )
    waiting = await _open_jobs(connection, jobs.c.worker.is_(None))
    leased = await _open_jobs(connection, jobs.c.worker.is_not(None))
    return [
        LocationGauges(
            id=row.id,
            name=row.name,
            enabled=row.enabled,
            workers=row.workers or 0,
            degraded=row.degraded or 0,
            slots=row.slots or 0,
            free_slots=row.free_slots or 0,
            due=row.due,
            waiting=waiting.get(row.id, 0),
            leased=leased.get(row.id, 0),
            last_seen=row.last_seen,
        )
        for row in rows
    ]


async def _open_jobs(connection: AsyncConnection, condition: Any) -> dict[str, int]:
    rows = await connection.execute(
        select(jobs.c.location_id, func.count().label("jobs"))
        .where(jobs.c.closed.is_(None), condition)
        .group_by(jobs.c.location_id)
    )
    return {row.location_id: row.jobs for row in rows}


async def of_tests(connection: AsyncConnection, *, after: tuple[str, str], limit: int) -> Sequence[NewestRun]:
    """Read tests that are not paused at locations that are not disabled, in order of both ids behind *after*, at most *limit*."""
    rows = await connection.execute(
        select(assignments, tests.c.name, tests.c.tags, locations.c.name.label("location_name"))
        .join(tests, tests.c.public_id == assignments.c.test_id)
        .join(locations, locations.c.id == assignments.c.location_id)
        .where(_behind(after), tests.c.paused.is_(False), locations.c.enabled, assignments.c.last_status.is_not(None))
        .order_by(assignments.c.test_id, assignments.c.location_id)
        .limit(limit)
    )
    return [
        NewestRun(
            test=row.test_id,
            name=row.name,
            tags=tuple(tag for tag in row.tags.split("\n") if tag),
            location=row.location_id,
            location_name=row.location_name,
            status=row.last_status,
            at=row.last_at,
            duration_ms=row.last_duration_ms,
        )
        for row in rows
    ]


async def count_behind(connection: AsyncConnection, after: tuple[str, str]) -> int:
    """Count the assignments that come behind *after*."""
    return await connection.scalar(select(func.count()).select_from(assignments).where(_behind(after))) or 0


def _behind(after: tuple[str, str]) -> Any:
    return tuple_(assignments.c.test_id, assignments.c.location_id) > after
