"""Test definitions and the next run of each at each of its locations. `schedule` does the arithmetic."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, column, delete, exists, select, table, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.errors import ConflictError, NotFoundError
from controlplane.retries import NEVER, LongRetry
from controlplane.schedule import Run, Timetable, at_once, in_phase
from controlplane.store import alerting, monitors, retries, runs
from controlplane.store.portions import portions
from controlplane.store.prepared import Prepared
from controlplane.store.tables import assignments, jobs, locations, tests

STEP = 500
"""Assignments that one step of a switch changes: some milliseconds of the one writer's time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTest:
    """*definition* is JSON text that carries the same public id and version; *period_ms* is `tick_every`.

    *frames* are those of the week in which it runs, as `frames.written` puts them; None where it always does. *retry* is
    the control plane's part of `options.retry`, *alerting* the rule of its alerts, as `alerts.rule` writes it.
    """

    public_id: str
    name: str
    subtype: str
    version: int
    paused: bool
    period_ms: int
    definition: str
    modified_at: int
    frames: str | None = None
    retry: LongRetry = NEVER
    created_at: int = 0
    created_by: str = ""
    modified_by: str = ""
    tags: tuple[str, ...] = ()
    alerting: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """*due_at* is None while nothing is to be run; *running* says that a job is in flight.

    *last_status* and *last_at* (when it was stored) are of the test's newest run there that is decided, None without one.
    """

    test: str
    location: str
    location_name: str
    due_at: int | None
    running: bool
    last_status: str | None
    last_at: int | None


async def by_id(connection: AsyncConnection, public_id: str) -> StoredTest | None:
    return (await by_ids(connection, [public_id])).get(public_id)


async def by_ids(connection: AsyncConnection, public_ids: Collection[str]) -> dict[str, StoredTest]:
    """The tests that there are of *public_ids*, at most `portions.MOST_NAMED`."""
    rows = await connection.execute(select(tests).where(tests.c.public_id.in_(sorted(public_ids))))
    return {row.public_id: from_row(row) for row in rows}


async def by_name(connection: AsyncConnection, name: str) -> Sequence[StoredTest]:
    return (await by_names(connection, [name])).get(name, ())


async def by_names(connection: AsyncConnection, names: Collection[str]) -> dict[str, list[StoredTest]]:
    """The tests of each of *names*, at most `portions.MOST_NAMED`, by public id; names that no test has are left out."""
    rows = await connection.execute(select(tests).where(tests.c.name.in_(sorted(names))).order_by(tests.c.public_id))
    found: dict[str, list[StoredTest]] = {}
    for row in rows:
        found.setdefault(row.name, []).append(from_row(row))
    return found


async def get(connection: AsyncConnection, name: str) -> StoredTest:
    """Find a test by its public id or name. Raises NotFoundError, or ConflictError where several have that name."""
    found = await by_id(connection, name)
    named = [found] if found is not None else await by_name(connection, name)
    if not named:
        raise NotFoundError("test", name)
    if len(named) > 1:
        raise ConflictError("test", name, [test.public_id for test in named])
    return named[0]


async def list_page(connection: AsyncConnection, *, offset: int, limit: int) -> Sequence[StoredTest]:
    """At most *limit* tests by name, from number *offset*."""
    page = select(tests).order_by(tests.c.name, tests.c.public_id).offset(offset).limit(limit)
    return [from_row(row) for row in await connection.execute(page)]


async def list_assignments(connection: AsyncConnection, ids: Sequence[str]) -> Sequence[Assignment]:
    """List the assignments of these tests, by test and location."""
    found: list[Assignment] = []
    for some in portions(ids):
        found += await _assignments_of(connection, some)
    return found


async def _assignments_of(connection: AsyncConnection, ids: Sequence[str]) -> Sequence[Assignment]:
    rows = await connection.execute(
        select(assignments, locations.c.name.label("location_name"))
        .join(locations, locations.c.id == assignments.c.location_id)
        .where(assignments.c.test_id.in_(ids))
        .order_by(assignments.c.test_id, locations.c.name)
    )
    return [
        Assignment(
            test=row.test_id,
            location=row.location_id,
            location_name=row.location_name,
            due_at=row.due_at,
            running=row.job_id is not None,
            last_status=row.last_status,
            last_at=row.last_at,
        )
        for row in rows
    ]


_NEW_TESTS = Prepared(
    tests.insert(),
    *("public_id", "name", "subtype", "version", "paused", "period_ms", "definition", "created_at", "modified_at"),
    *("frames", "retries", "retry_interval_ms", "created_by", "modified_by", "tags", "alerting"),
)
_columns = ("test_id", "location_id", "due_at", "until", "waiting_since")
_NEW_ASSIGNMENTS = Prepared(assignments.insert(), *_columns)
_placed = table(assignments.name, column("rowid"), *map(column, _columns))
_PLACED_ASSIGNMENTS = Prepared(_placed.insert(), "rowid", *_columns)
"""For SQLite, which keeps rows in the order of a number that may be chosen."""


async def add(connection: AsyncConnection, new: Sequence[StoredTest], *, now: int) -> None:
    """Store new tests, which run nowhere yet."""
    rows = [
        {"public_id": test.public_id, "created_at": now, "created_by": test.created_by, "modified_at": now}
        | _content(test)
        for test in new
    ]
    await _NEW_TESTS.each(connection, rows)


async def replace(connection: AsyncConnection, changed: Sequence[StoredTest], *, now: int) -> None:
    """Replace the tests with the same public ids. They are due at once wherever they are assigned, unless they are paused."""
    rows = [{"test": test.public_id, "modified_at": now, **_content(test)} for test in changed]
    if rows:
        there = update(tests).where(tests.c.public_id == bindparam("test"))
        await connection.execute(there.values({name: bindparam(name) for name in rows[0] if name != "test"}), rows)
    await retries.cancel(connection, [test.public_id for test in changed], now=now)
    await monitors.wake(connection, [test.public_id for test in changed], now=now)
    await _reschedule(connection, changed, now=now)


def _content(test: StoredTest) -> dict[str, Any]:
    return {
        "name": test.name,
        "subtype": test.subtype,
        "version": test.version,
        "paused": test.paused,
        "period_ms": test.period_ms,
        "definition": test.definition,
        "frames": test.frames,
        "retries": test.retry.count,
        "retry_interval_ms": test.retry.interval,
        "alerting": test.alerting,
        "modified_by": test.modified_by,
        "tags": "".join(f"\n{tag}\n" for tag in test.tags),
    }


async def assign(
    connection: AsyncConnection, assigned: Sequence[StoredTest], location: str, *, enabled: bool, now: int
) -> None:
    """Let a location run tests, at once if both are switched on. Where it runs one already, nothing changes for that."""
    ids = [test.public_id for test in assigned]
    there = select(assignments.c.test_id).where(assignments.c.location_id == location, assignments.c.test_id.in_(ids))
    known = set(await connection.scalars(there))
    new = [test for test in assigned if test.public_id not in known]
    rows = []
    for test in new:
        timetable = _timetable(test, location)
        first = None if test.paused or not enabled else at_once(now, timetable)
        placed = {"rowid": runs.place(timetable), "test_id": test.public_id, "location_id": location}
        rows.append(placed | runs.columns(first))
    if rows:
        ordered = connection.dialect.name == "sqlite"
        await (_PLACED_ASSIGNMENTS if ordered else _NEW_ASSIGNMENTS).each(connection, rows)
        await monitors.wake(connection, [test.public_id for test in new], now=now)


async def unassign(connection: AsyncConnection, test: StoredTest, location: str, *, now: int) -> bool:
    """Let a location run a test no more; nobody waits for its open job there. False where it did not run it."""
    gone = await connection.execute(
        delete(assignments).where(assignments.c.test_id == test.public_id, assignments.c.location_id == location)
    )
    await _cancel(connection, jobs.c.test_id == test.public_id, jobs.c.location_id == location, now=now)
    await monitors.wake(connection, [test.public_id], now=now)
    return gone.rowcount == 1


async def assigned_to(connection: AsyncConnection, location: str) -> Sequence[str]:
    """The names of the tests of a location, in order."""
    here = select(tests.c.name).join(assignments).where(assignments.c.location_id == location)
    return (await connection.scalars(here.order_by(tests.c.name))).all()


async def assigned_nowhere(connection: AsyncConnection, among: Collection[str]) -> Sequence[str]:
    """The names of the tests, *among* those with the public ids, that run nowhere, in order."""
    somewhere = exists().where(assignments.c.test_id == tests.c.public_id)
    rows = await connection.execute(select(tests.c.public_id, tests.c.name).where(~somewhere).order_by(tests.c.name))
    return [row.name for row in rows if row.public_id in among]


async def unassign_some(connection: AsyncConnection, location: str, *, now: int) -> Sequence[str]:
    """Let a location run some of its tests no more, at most `STEP`; their public ids."""
    here = assignments.c.location_id == location
    some = (await connection.scalars(select(assignments.c.test_id).where(here).limit(STEP))).all()
    await connection.execute(delete(assignments).where(here, assignments.c.test_id.in_(some)))
    await monitors.wake(connection, some, now=now)
    return some


async def set_paused(connection: AsyncConnection, test: StoredTest, *, paused: bool, now: int) -> None:
    """A paused test is due nowhere; what runs of it is let to its end. A resumed one is due at once."""
    await connection.execute(update(tests).where(tests.c.public_id == test.public_id).values(paused=paused))
    await retries.cancel(connection, [test.public_id], now=now)
    await monitors.wake(connection, [test.public_id], now=now)
    if paused:
        nothing = runs.columns(None)
        await connection.execute(update(assignments).where(assignments.c.test_id == test.public_id).values(nothing))
    elif test.paused:
        await _reschedule(connection, [dataclasses.replace(test, paused=False)], now=now)


async def locations_of(connection: AsyncConnection, test: StoredTest) -> Sequence[Any]:
    """The `name` of each location of the test, and if it is `enabled`."""
    return await _assigned(connection, [test])


async def remove(connection: AsyncConnection, test: StoredTest, *, now: int) -> None:
    """Delete a test and where it runs. Nobody waits for its open jobs any more; its results stay until they are too old."""
    await _cancel(connection, jobs.c.test_id == test.public_id, now=now)
    await alerting.close(connection, test.public_id, "it was deleted", now=now)
    await connection.execute(delete(tests).where(tests.c.public_id == test.public_id))


async def _cancel(connection: AsyncConnection, *which: ColumnElement[bool], now: int) -> None:
    ended = update(jobs).where(*which, jobs.c.closed.is_(None)).values(closed="cancelled", closed_at=now)
    await connection.execute(ended)


async def switch_on(connection: AsyncConnection, location: str, *, now: int) -> int:
    """Let some tests of a location run, each in its own phase, not all together; how many, at most `STEP`."""
    rows = await connection.execute(
        select(assignments.c.test_id, assignments.c.location_id, *runs.TIMES)
        .join(tests, tests.c.public_id == assignments.c.test_id)
        .where(assignments.c.location_id == location, assignments.c.due_at.is_(None), tests.c.paused.is_(False))
        .limit(STEP)
    )
    off = rows.all()
    await runs.put(connection, [(row, in_phase(now, runs.timetable(row))) for row in off])
    return len(off)


async def switch_off(connection: AsyncConnection, location: str) -> int:
    """Let nothing be due of some tests of a location; of how many, at most `STEP`."""
    here = (assignments.c.location_id == location) & assignments.c.due_at.is_not(None)
    some = select(assignments.c.test_id).where(here).limit(STEP)
    off = update(assignments).where(assignments.c.location_id == location, assignments.c.test_id.in_(some))
    return (await connection.execute(off.values(runs.columns(None)))).rowcount


async def _reschedule(connection: AsyncConnection, changed: Sequence[StoredTest], *, now: int) -> None:
    known = {test.public_id: test for test in changed}

    def due(row: Any) -> Run | None:
        test = known[row.test_id]
        if not row.enabled or test.paused:
            return None
        run = at_once(now, _timetable(test, row.location_id))
        is_due = row.due_at is not None and row.due_at <= now < row.until
        return Run(row.due_at, run.until) if is_due and run.due_at == now else run

    await runs.put(connection, [(row, due(row)) for row in await _assigned(connection, changed)])


async def _assigned(connection: AsyncConnection, some: Sequence[StoredTest]) -> Sequence[Any]:
    rows = await connection.execute(
        select(assignments, locations.c.enabled, locations.c.name)
        .join(locations, locations.c.id == assignments.c.location_id)
        .where(assignments.c.test_id.in_([test.public_id for test in some]))
        .order_by(locations.c.name)
    )
    return rows.all()


def _timetable(test: StoredTest, location: str) -> Timetable:
    return runs.of_test(test.public_id, location, test.period_ms, test.frames)


def from_row(row: Row[Any]) -> StoredTest:
    """A row of `tests`."""
    return StoredTest(
        public_id=row.public_id,
        name=row.name,
        subtype=row.subtype,
        version=row.version,
        paused=row.paused,
        period_ms=row.period_ms,
        definition=row.definition,
        modified_at=row.modified_at,
        frames=row.frames,
        retry=LongRetry(row.retries, row.retry_interval_ms),
        created_at=row.created_at,
        created_by=row.created_by,
        modified_by=row.modified_by,
        tags=tuple(tag for tag in row.tags.split("\n") if tag),
        alerting=row.alerting,
    )
