"""The newest results of one test for a page: a part of its index at a time, each result with what it says of its run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.tables import locations, results, triggered


class RecentRun(Struct, frozen=True, kw_only=True):
    """*id* is the public one, *seq* the number by which pages go on. *outcome* is the JSON text of the run."""

    id: int
    seq: int
    location: str
    location_name: str
    worker: str | None
    status: str
    origin: str
    runs: int
    stored_at: int
    outcome: str
    attempt: int
    is_last: bool
    triggered_at: int | None


class Place(Struct, frozen=True):
    """A place in the order of a test's results: before the one stored then, with that number."""

    stored_at: int
    seq: int


async def newest(connection: AsyncConnection, test: str, *, limit: int, before: Place | None) -> Sequence[RecentRun]:
    """At most *limit* results, the newest first; with *before*, those that come behind it in this order."""
    query = _columns().where(results.c.test_id == test)
    if before is not None:
        here = tuple_(results.c.stored_at, results.c.seq)
        query = query.where(here < (before.stored_at, before.seq))
    rows = await connection.execute(query.order_by(results.c.stored_at.desc(), results.c.seq.desc()).limit(limit))
    return [RecentRun(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


def _columns() -> Any:
    return (
        select(
            func.coalesce(triggered.c.result_id, results.c.seq).label("id"),
            results.c.seq,
            results.c.location_id.label("location"),
            func.coalesce(locations.c.name, results.c.location_id).label("location_name"),
            *(results.c.worker, results.c.status, results.c.origin, results.c.runs, results.c.stored_at),
            *(results.c.outcome, results.c.attempt, results.c.is_last, triggered.c.triggered_at),
        )
        .outerjoin(triggered, triggered.c.job_id == results.c.job_id)
        .outerjoin(locations, locations.c.id == results.c.location_id)
    )
