"""Results as the public API reads them: by the id that a trigger gave out, or by their sequence number."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.tables import batches, locations, results, triggered

_NEWEST_FIRST = (results.c.stored_at.desc(), results.c.seq.desc())
"""The order of the index: a span of time is one piece of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicResult:
    """A stored result. *id* is the public one. *batch* and *details* are those of the pipeline that asked for it.

    *definition* is the JSON text that a triggered run brought; None for a scheduled run.
    """

    id: int
    test_id: str
    test_name: str
    location: str
    location_name: str
    status: str
    origin: str
    stored_at: int
    outcome: str
    triggered_at: int | None
    batch: str | None
    details: str | None
    definition: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The results to read: stored from *since* to before *until*, epoch milliseconds; at *places* alone where there are any."""

    since: int | None = None
    until: int | None = None
    places: Collection[str] = ()
    statuses: Collection[str] = ()


async def newest(connection: AsyncConnection, test: str, window: Window, *, limit: int) -> Sequence[PublicResult]:
    """The newest *limit* results of a test, the newest first."""
    query = _query().where(results.c.test_id == test).order_by(*_NEWEST_FIRST).limit(limit)
    if window.since is not None:
        query = query.where(results.c.stored_at >= window.since)
    if window.until is not None:
        query = query.where(results.c.stored_at < window.until)
    if window.places:
        query = query.where(results.c.location_id.in_(sorted(window.places)))
    if window.statuses:
        query = query.where(results.c.status.in_(sorted(window.statuses)))
    return [_read(row) for row in await connection.execute(query)]


async def by_id(connection: AsyncConnection, number: int, *, triggered_from: int) -> PublicResult | None:
    """One result, None where it is unknown or has not come yet. Ids from *triggered_from* on were given out by a trigger."""
    column = triggered.c.result_id if number >= triggered_from else results.c.seq
    row = (await connection.execute(_query().where(column == number))).one_or_none()
    return None if row is None else _read(row)


async def by_pushed_id(connection: AsyncConnection, result: str) -> PublicResult | None:
    """The result that its worker, or the control plane itself, gave this id."""
    row = (await connection.execute(_query().where(results.c.id == result))).one_or_none()
    return None if row is None else _read(row)


def _query() -> Any:
    return (
        select(
            func.coalesce(triggered.c.result_id, results.c.seq).label("id"),
            results.c.test_id,
            results.c.test_name,
            results.c.location_id.label("location"),
            func.coalesce(locations.c.name, results.c.location_id).label("location_name"),
            results.c.status,
            results.c.origin,
            results.c.stored_at,
            results.c.outcome,
            triggered.c.triggered_at,
            triggered.c.batch_id.label("batch"),
            batches.c.details,
            triggered.c.definition,
        )
        .outerjoin(triggered, triggered.c.job_id == results.c.job_id)
        .outerjoin(batches, batches.c.id == triggered.c.batch_id)
        .outerjoin(locations, locations.c.id == results.c.location_id)
    )


def _read(row: Any) -> PublicResult:
    return PublicResult(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
