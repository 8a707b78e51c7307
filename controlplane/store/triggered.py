"""Runs that somebody asked for, alone or in a batch: a job beside the schedule, and the id that its result is read by."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.tables import about, batches, jobs, locations, results, triggered

_CAP = "on_demand_cap"
"""The row of `about` that holds the cap."""
MOST_ASKED = 500
"""Tests of one question: SQLite and PostgreSQL bound the number of parameters of one statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggeredRun:
    """One asked-for run of one test at one location. *job* is None where the execution rule says that nothing is run.

    *definition* is the JSON text of what is run. *deadline* is when nobody waits for it any more.
    """

    result_id: int
    job: str | None
    batch: str | None
    position: int
    test_id: str
    test_name: str
    subtype: str
    location: str
    execution_rule: str
    definition: str
    triggered_at: int
    deadline: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """*details* is the JSON text of the pipeline about itself."""

    id: str
    created_at: int
    deadline: int
    details: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A triggered run as it stands. *origin*, *outcome* and *attempt* are of its stored result, None without one.

    *closed* is how its job ended, None while it is open.
    """

    run: TriggeredRun
    location_name: str
    closed: str | None
    origin: str | None
    status: str | None
    outcome: str | None
    attempt: int | None


async def add_batch(connection: AsyncConnection, batch: Batch) -> None:
    row = {"id": batch.id, "created_at": batch.created_at, "deadline": batch.deadline, "details": batch.details}
    await connection.execute(batches.insert().values(row))


async def add(connection: AsyncConnection, runs: Sequence[TriggeredRun]) -> None:
    """Store runs, and a job of each that a worker of its location can take at once."""
    if runs:
        await connection.execute(triggered.insert(), [_row(run) for run in runs])
    if wanted := [_job(run) for run in runs if run.job is not None]:
        await connection.execute(jobs.insert(), wanted)


def _row(run: TriggeredRun) -> dict[str, Any]:
    return {
        "result_id": run.result_id,
        "job_id": run.job,
        "batch_id": run.batch,
        "position": run.position,
        "test_id": run.test_id,
        "test_name": run.test_name,
        "subtype": run.subtype,
        "location_id": run.location,
        "execution_rule": run.execution_rule,
        "definition": run.definition,
        "triggered_at": run.triggered_at,
        "deadline": run.deadline,
    }


def _job(run: TriggeredRun) -> dict[str, Any]:
    """A job that nobody has, and that was given out no time yet."""
    return {
        "id": run.job,
        "test_id": run.test_id,
        "location_id": run.location,
        "scheduled_at": run.triggered_at,
        "until": run.deadline,
        "delivery": 0,
        "leased_at": run.triggered_at,
        "definition": run.definition,
        "test_name": run.test_name,
    }


async def served(connection: AsyncConnection, location: str, tests: Collection[str], *, since: int) -> dict[str, int]:
    """The moments at which triggered runs of *tests* were given out last at a location, of those to which that happened *since*.

    Where there are very many tests, some are passed over: then none of them is many.
    """
    if not tests:
        return {}
    rows = await connection.execute(
        select(jobs.c.test_id, func.max(jobs.c.leased_at).label("at"))
        .where(
            jobs.c.definition.is_not(None),
            jobs.c.test_id.in_(sorted(tests)[:MOST_ASKED]),
            jobs.c.location_id == location,
            jobs.c.leased_at >= since,
            jobs.c.delivery > 0,
        )
        .group_by(jobs.c.test_id)
    )
    return {row.test_id: row.at for row in rows}


async def batch(connection: AsyncConnection, name: str) -> Batch | None:
    row = (await connection.execute(select(batches).where(batches.c.id == name))).one_or_none()
    return None if row is None else Batch(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


async def of_batch(connection: AsyncConnection, name: str) -> Sequence[Followed]:
    """The runs of a batch, in the order in which they were asked for."""
    query = _followed().where(triggered.c.batch_id == name).order_by(triggered.c.position)
    return [_read(row) for row in await connection.execute(query)]


async def by_result_ids(connection: AsyncConnection, ids: Sequence[int]) -> Sequence[Followed]:
    """The runs with these ids; those that are none are left out. The caller bounds their number."""
    rows = await connection.execute(_followed().where(triggered.c.result_id.in_(sorted(set(ids)))))
    return [_read(row) for row in rows]


def _followed() -> Any:
    return (
        select(
            triggered,
            func.coalesce(locations.c.name, triggered.c.location_id).label("location_name"),
            jobs.c.closed,
            results.c.origin,
            results.c.status,
            results.c.outcome,
            results.c.attempt,
        )
        .outerjoin(locations, locations.c.id == triggered.c.location_id)
        .outerjoin(jobs, jobs.c.id == triggered.c.job_id)
        .outerjoin(results, results.c.job_id == triggered.c.job_id)
    )


def _read(row: Any) -> Followed:
    return Followed(
        run=TriggeredRun(
            result_id=row.result_id,
            job=row.job_id,
            batch=row.batch_id,
            position=row.position,
            test_id=row.test_id,
            test_name=row.test_name,
            subtype=row.subtype,
            location=row.location_id,
            execution_rule=row.execution_rule,
            definition=row.definition,
            triggered_at=row.triggered_at,
            deadline=row.deadline,
        ),
        location_name=row.location_name,
        closed=row.closed,
        origin=row.origin,
        status=row.status,
        outcome=row.outcome,
        attempt=row.attempt,
    )


async def cap(connection: AsyncConnection) -> int:
    """Triggered runs that may be under way at a time; 0 means any number."""
    stored = await connection.scalar(select(about.c.value).where(about.c.name == _CAP))
    return 0 if stored is None else int(stored)


async def put_cap(connection: AsyncConnection, number: int) -> None:
    await connection.execute(delete(about).where(about.c.name == _CAP))
    await connection.execute(about.insert().values(name=_CAP, value=str(number).encode()))


async def room(connection: AsyncConnection) -> int | None:
    """Triggered runs that may be given out now; None where there is no cap."""
    most = await cap(connection)
    if not most:
        return None
    under_way = jobs.c.closed.is_(None) & jobs.c.worker.is_not(None) & jobs.c.test_name.is_not(None)
    taken = await connection.scalar(select(func.count()).select_from(jobs).where(under_way))
    return max(0, most - (taken or 0))


async def prune(connection: AsyncConnection, *, before: int, limit: int) -> int:
    """Delete at most *limit* runs asked for, and as many batches made, before *before*; how many there were."""
    old = select(triggered.c.result_id).where(triggered.c.triggered_at < before).limit(limit)
    gone = await connection.execute(delete(triggered).where(triggered.c.result_id.in_(old)))
    empty = select(batches.c.id).where(batches.c.created_at < before).limit(limit)
    done = await connection.execute(delete(batches).where(batches.c.id.in_(empty)))
    return gone.rowcount + done.rowcount
