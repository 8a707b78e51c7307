"""Test definitions and the next run of each at each of its locations. `schedule` does the arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.errors import ConflictError, NotFoundError
from controlplane.schedule import Run, Timetable, at_once, in_phase
from controlplane.store import runs
from controlplane.store.tables import assignments, jobs, locations, results, tests


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTest:
    """*definition* is JSON text that carries the same public id and version; *period_ms* is `tick_every`."""

    public_id: str
    name: str
    subtype: str
    version: int
    paused: bool
    period_ms: int
    definition: str
    modified_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """*due_at* is None while nothing is to be run; *running* says that a job is in flight.

    *last_status* and *last_at* (when it was stored) are of the newest result of the test there, None without one.
    """

    test: str
    location: str
    location_name: str
    due_at: int | None
    running: bool
    last_status: str | None
    last_at: int | None


async def by_id(connection: AsyncConnection, public_id: str) -> StoredTest | None:
    row = (await connection.execute(select(tests).where(tests.c.public_id == public_id))).one_or_none()
    return _test(row) if row else None


async def by_name(connection: AsyncConnection, name: str) -> Sequence[StoredTest]:
    rows = await connection.execute(select(tests).where(tests.c.name == name).order_by(tests.c.public_id))
    return [_test(row) for row in rows]


async def get(connection: AsyncConnection, name: str) -> StoredTest:
    """Find a test by its public id or name. Raises NotFoundError, or ConflictError where several have that name."""
    found = await by_id(connection, name)
    named = [found] if found is not None else await by_name(connection, name)
    if not named:
        raise NotFoundError("test", name)
    if len(named) > 1:
        raise ConflictError("test", name, [test.public_id for test in named])
    return named[0]


async def list_all(connection: AsyncConnection) -> Sequence[StoredTest]:
    return [_test(row) for row in await connection.execute(select(tests).order_by(tests.c.name, tests.c.public_id))]


async def list_assignments(connection: AsyncConnection) -> Sequence[Assignment]:
    """List every assignment of every test, by test and location."""
    theirs = results.alias()
    last = (
        select(theirs.c.seq)
        .where(theirs.c.test_id == assignments.c.test_id, theirs.c.location_id == assignments.c.location_id)
        .order_by(theirs.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = await connection.execute(
        select(assignments, locations.c.name.label("location_name"), results.c.status, results.c.stored_at)
        .join(locations, locations.c.id == assignments.c.location_id)
        .outerjoin(results, results.c.seq == last)
        .order_by(assignments.c.test_id, locations.c.name)
    )
    return [
        Assignment(
            test=row.test_id,
            location=row.location_id,
            location_name=row.location_name,
            due_at=row.due_at,
            running=row.job_id is not None,
            last_status=row.status,
            last_at=row.stored_at,
        )
        for row in rows
    ]


async def add(connection: AsyncConnection, test: StoredTest, *, now: int) -> None:
    """A new test, which runs nowhere yet."""
    await connection.execute(
        tests.insert().values(public_id=test.public_id, created_at=now, modified_at=now, **_content(test))
    )


async def replace(connection: AsyncConnection, test: StoredTest, *, now: int) -> None:
    """Replace the test with the same public id. It is due at once wherever it is assigned, unless it is paused."""
    changed = update(tests).where(tests.c.public_id == test.public_id).values(modified_at=now, **_content(test))
    await connection.execute(changed)
    await _reschedule(connection, test, now=now)


def _content(test: StoredTest) -> dict[str, Any]:
    return {
        "name": test.name,
        "subtype": test.subtype,
        "version": test.version,
        "paused": test.paused,
        "period_ms": test.period_ms,
        "definition": test.definition,
    }


async def assign(connection: AsyncConnection, test: StoredTest, location: str, *, enabled: bool, now: int) -> None:
    """Let a location run a test, at once if both are switched on. Where it does already, nothing changes."""
    there = (assignments.c.test_id == test.public_id) & (assignments.c.location_id == location)
    if await connection.scalar(select(assignments.c.test_id).where(there)) is not None:
        return
    run = None if test.paused or not enabled else at_once(now, _timetable(test, location))
    await connection.execute(
        assignments.insert().values(test_id=test.public_id, location_id=location, **runs.columns(run))
    )


async def unassign(connection: AsyncConnection, test: StoredTest, location: str, *, now: int) -> bool:
    """Let a location run a test no more; nobody waits for its open job there. False where it did not run it."""
    gone = await connection.execute(
        delete(assignments).where(assignments.c.test_id == test.public_id, assignments.c.location_id == location)
    )
    await _cancel(connection, jobs.c.test_id == test.public_id, jobs.c.location_id == location, now=now)
    return gone.rowcount == 1


async def assigned_to(connection: AsyncConnection, location: str) -> Sequence[StoredTest]:
    rows = await connection.execute(
        select(tests).join(assignments).where(assignments.c.location_id == location).order_by(tests.c.name)
    )
    return [_test(row) for row in rows]


async def assigned_nowhere(connection: AsyncConnection) -> Sequence[StoredTest]:
    somewhere = exists().where(assignments.c.test_id == tests.c.public_id)
    return [_test(row) for row in await connection.execute(select(tests).where(~somewhere).order_by(tests.c.name))]


async def set_paused(connection: AsyncConnection, test: StoredTest, *, paused: bool, now: int) -> None:
    """A paused test is due nowhere; what runs of it is let to its end. A resumed one is due at once."""
    await connection.execute(update(tests).where(tests.c.public_id == test.public_id).values(paused=paused))
    if paused:
        nothing = runs.columns(None)
        await connection.execute(update(assignments).where(assignments.c.test_id == test.public_id).values(nothing))
    elif test.paused:
        await _reschedule(connection, test, now=now, paused=False)


async def run_now(connection: AsyncConnection, test: StoredTest, *, now: int) -> Sequence[str]:
    """Make a run due at once at every enabled location of the test, paused or not; the names of those locations."""
    found = await _assigned(connection, test.public_id)
    enabled = [row for row in found if row.enabled]
    for row in enabled:
        await _schedule(connection, test.public_id, row.location_id, at_once(now, _timetable(test, row.location_id)))
    return [row.name for row in enabled]


async def locations_of(connection: AsyncConnection, test: StoredTest) -> Sequence[str]:
    """The names of all locations of the test."""
    return [row.name for row in await _assigned(connection, test.public_id)]


async def remove(connection: AsyncConnection, test: StoredTest, *, now: int) -> None:
    """Delete a test and where it runs. Nobody waits for its open jobs any more; its results stay until they are too old."""
    await _cancel(connection, jobs.c.test_id == test.public_id, now=now)
    await connection.execute(delete(tests).where(tests.c.public_id == test.public_id))


async def _cancel(connection: AsyncConnection, *which: ColumnElement[bool], now: int) -> None:
    ended = update(jobs).where(*which, jobs.c.closed.is_(None)).values(closed="cancelled", closed_at=now)
    await connection.execute(ended)


async def schedule_location(connection: AsyncConnection, location: str, *, enabled: bool, now: int) -> None:
    """Switch every test of a location off, or on again in its own phase, so that they do not all start together."""
    rows = await connection.execute(
        select(tests).join(assignments).where(assignments.c.location_id == location, tests.c.paused.is_(False))
    )
    for test in [_test(row) for row in rows]:
        run = in_phase(now, _timetable(test, location)) if enabled else None
        await _schedule(connection, test.public_id, location, run)


async def _reschedule(connection: AsyncConnection, test: StoredTest, *, now: int, paused: bool | None = None) -> None:
    off = test.paused if paused is None else paused
    for row in await _assigned(connection, test.public_id):
        run = at_once(now, _timetable(test, row.location_id)) if row.enabled and not off else None
        await _schedule(connection, test.public_id, row.location_id, run)


async def _assigned(connection: AsyncConnection, test: str) -> Sequence[Any]:
    rows = await connection.execute(
        select(assignments.c.location_id, locations.c.enabled, locations.c.name)
        .join(locations, locations.c.id == assignments.c.location_id)
        .where(assignments.c.test_id == test)
        .order_by(locations.c.name)
    )
    return rows.all()


async def _schedule(connection: AsyncConnection, test: str, location: str, run: Run | None) -> None:
    there = (assignments.c.test_id == test) & (assignments.c.location_id == location)
    await connection.execute(update(assignments).where(there).values(runs.columns(run)))


def _timetable(test: StoredTest, location: str) -> Timetable:
    return Timetable.of(test.public_id, location, test.period_ms)


def _test(row: Row[Any]) -> StoredTest:
    return StoredTest(
        public_id=row.public_id,
        name=row.name,
        subtype=row.subtype,
        version=row.version,
        paused=row.paused,
        period_ms=row.period_ms,
        definition=row.definition,
        modified_at=row.modified_at,
    )
