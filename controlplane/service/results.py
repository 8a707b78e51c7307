"""Results: store what workers push, and read what is stored."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.errors import NotFoundError, SequenceError
from controlplane.service.callers import Caller
from controlplane.service.principal import KeyScope, Principal
from controlplane.store import locations, results, tests, workers
from controlplane.store.database import Database
from controlplane.store.results import Filter, Kept, StoredResult
from worker.clock import Clock
from worker.wire.messages import ResultItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """The newest results, the oldest of them first, and the sequence number after which later ones come."""

    results: tuple[StoredResult, ...]
    last: int


async def push(database: Database, clock: Clock, caller: Caller, items: Sequence[ResultItem]) -> tuple[Kept, ...]:
    """Store results; they are on disk when this returns. Raises SequenceError."""

    def begin(connection: AsyncConnection) -> Coroutine[Any, Any, tuple[Kept, ...]]:
        return _push(connection, caller, items, now=epoch.milliseconds(clock))

    return await database.share(begin, location=caller.access.location.id, weight=1 + len(items))


async def _push(
    connection: AsyncConnection, caller: Caller, items: Sequence[ResultItem], *, now: int
) -> tuple[Kept, ...]:
    location, worker = caller.access.location.id, caller.worker
    last = await workers.advance_push(connection, location=location, worker=worker, seq=caller.seq, now=now)
    if last is not None:
        raise SequenceError(last)
    return await results.keep(connection, location=location, worker=worker, items=items, now=now)


async def choose(
    database: Database, by: Principal, *, test: str | None, location: str | None, failed: bool, since: int | None
) -> Filter:
    """Find what is named, also of tests and locations that were deleted since. Raises NotFoundError for what nothing ever had."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        ids = None if test is None else await _test_ids(connection, test)
        place = None if location is None else await _location_id(connection, location)
    return Filter(tests=ids, named=test, location=place, failed=failed, since=since)


async def newest(database: Database, by: Principal, which: Filter, *, limit: int, before: int | None = None) -> Newest:
    """Read the newest *limit* results of those that *which* lets through; those older than sequence number *before*."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        last = await results.last(connection)
        return Newest(results=tuple(await results.newest(connection, which, limit=limit, before=before)), last=last)


async def since(
    database: Database, by: Principal, which: Filter, *, after: int, limit: int
) -> tuple[StoredResult, ...]:
    """Read the oldest *limit* results after sequence number *after*, in order."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        return tuple(await results.read(connection, which, after=after, limit=limit))


async def _test_ids(connection: AsyncConnection, name: str) -> frozenset[str]:
    """The public ids that *name* is, or that have it now. Several tests of one name are read together."""
    named = await tests.by_name(connection, name)
    if await tests.by_id(connection, name) is None and not named and not await results.is_known_test(connection, name):
        raise NotFoundError("test", name)
    return frozenset({name, *(test.public_id for test in named)})


async def _location_id(connection: AsyncConnection, name: str) -> str:
    try:
        return (await locations.find(connection, name)).id
    except NotFoundError:
        if not await results.is_known_location(connection, name):
            raise
        return name
