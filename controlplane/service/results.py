"""Results: store what workers push, and read what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controlplane import epoch
from controlplane.errors import SequenceError
from controlplane.service.pulls import Caller
from controlplane.store import results, workers
from controlplane.store.database import Database
from controlplane.store.results import Kept, StoredResult
from worker.clock import Clock
from worker.wire.messages import ResultItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """The newest results, the oldest of them first, and the sequence number after which later ones come."""

    results: tuple[StoredResult, ...]
    last: int


async def push(database: Database, clock: Clock, caller: Caller, items: Sequence[ResultItem]) -> tuple[Kept, ...]:
    """Store results; they are on disk when this returns. Raises SequenceError."""
    location, now = caller.access.location.id, epoch.milliseconds(clock)
    async with database.write() as connection:
        last = await workers.advance_push(connection, location=location, worker=caller.worker, seq=caller.seq, now=now)
        if last is not None:
            raise SequenceError(last)
        return await results.keep(connection, location=location, worker=caller.worker, items=items, now=now)


async def newest(database: Database, *, test: str | None, limit: int) -> Newest:
    """Read the newest *limit* results, of one test (a public id or a name) or of all."""
    async with database.read() as connection:
        last = await results.last(connection)
        return Newest(results=tuple(await results.newest(connection, test=test, limit=limit)), last=last)


async def since(database: Database, *, test: str | None, after: int, limit: int) -> tuple[StoredResult, ...]:
    """Read the oldest *limit* results after sequence number *after*, in order."""
    async with database.read() as connection:
        return tuple(await results.read(connection, test=test, after=after, limit=limit))
