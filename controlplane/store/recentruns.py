"""The newest results of one test for a page: a part of its index at a time, each result with what it says of its run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.tables import locations, results, triggered

PORTION = 20
ROOM = 8 * 1024 * 1024
"""Characters of outcomes that a page reads, exceeded once: a hundred ordinary ones have less than a tenth of it."""
UNREAD = "{}"


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
    """At most *limit* results, the newest first; with *before*, those that come behind it in this order.

    Outcomes are read while there is room for them: those of results beyond `ROOM` are `UNREAD`.
    """
    found: list[RecentRun] = []
    room = ROOM
    while len(found) < limit:
        wanted = min(PORTION, limit - len(found))
        some = await _portion(
            connection, test, results.c.outcome if room > 0 else literal(UNREAD), limit=wanted, before=before
        )
        found += some
        if len(some) < wanted:
            break
        room -= sum(len(one.outcome) for one in some)
        before = Place(some[-1].stored_at, some[-1].seq)
    return found


async def _portion(
    connection: AsyncConnection, test: str, outcome: ColumnElement[str], *, limit: int, before: Place | None
) -> Sequence[RecentRun]:
    query = _columns(outcome).where(results.c.test_id == test)
    if before is not None:
        here = tuple_(results.c.stored_at, results.c.seq)
        query = query.where(here < (before.stored_at, before.seq))
    rows = await connection.execute(query.order_by(results.c.stored_at.desc(), results.c.seq.desc()).limit(limit))
    return [RecentRun(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


def _columns(outcome: ColumnElement[str]) -> Any:
    return (
        select(
            func.coalesce(triggered.c.result_id, results.c.seq).label("id"),
            results.c.seq,
            results.c.location_id.label("location"),
            func.coalesce(locations.c.name, results.c.location_id).label("location_name"),
            *(results.c.worker, results.c.status, results.c.origin, results.c.runs, results.c.stored_at),
            outcome.label("outcome"),
            *(results.c.attempt, results.c.is_last, triggered.c.triggered_at),
        )
        .outerjoin(triggered, triggered.c.job_id == results.c.job_id)
        .outerjoin(locations, locations.c.id == results.c.location_id)
    )
