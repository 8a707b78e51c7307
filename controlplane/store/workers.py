"""Worker processes: the numbers of their requests, their last pull, and their reports of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, bindparam, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.errors import RefusedError
from controlplane.store.prepared import Prepared
from controlplane.store.tables import jobs, workers
from controlplane.store.versions import UNNOTED
from worker.wire.messages import Pull

MOST_WORKERS = 1000
"""Processes of one location that are known at a time. Each start makes a new one, and so does whoever has the location's key."""
REPLAYABLE = 10 * 60 * 1000
"""Milliseconds for which a process's numbers are kept at least: twice the skew of the clocks, after which a replay is refused."""

_awaited = exists().where(
    jobs.c.location_id == workers.c.location_id, jobs.c.worker == workers.c.id, jobs.c.closed.is_(None)
)
"""An open job waits for the process."""


class _Numbers:
    """The statements of one of a process's two sequences of numbers: to *advance* it, and to read its *last* one.

    *said* are the columns that are told with a number.
    """

    def __init__(self, column: Column[int], *said: str) -> None:
        mine = (workers.c.location_id == bindparam("here")) & (workers.c.id == bindparam("process"))
        self.column = column.name
        told = {column: bindparam("number")} | {workers.c[name]: bindparam(name) for name in said}
        newer = update(workers).prefix_with(UNNOTED).where(mine, column < bindparam("number"))
        self.advance = Prepared(newer.values(told))
        self.last = Prepared(select(column.label("number")).where(mine))


_PULLS = _Numbers(
    workers.c.pull_seq,
    *("last_seen", "agent", "concurrency", "free_slots", "running", "draining", "degraded", "host", "address"),
    "access_key",
)
_PUSHES = _Numbers(workers.c.push_seq)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenWorker:
    location: str
    id: str
    last_seen: int
    agent: str
    concurrency: int
    free_slots: int
    running: int
    draining: bool
    degraded: str | None
    host: str
    address: str
    access_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The *address* that a request came from, and the *access_key* that it was signed with."""

    address: str
    access_key: str


async def advance_pull(
    connection: AsyncConnection, *, location: str, worker: str, origin: Origin, seq: int, pull: Pull, now: int
) -> int | None:
    """Record pull number *seq*: the heartbeat. None where it is newer than all before, otherwise the last number."""
    seen = {
        "pull_seq": seq,
        "last_seen": now,
        "agent": pull.agent,
        "concurrency": pull.concurrency,
        "free_slots": pull.free_slots,
        "running": len(pull.holding),
        "draining": pull.draining,
        "degraded": pull.degraded,
        "host": pull.host,
        "address": origin.address,
        "access_key": origin.access_key,
    }
    return await _advance(connection, location, worker, _PULLS, seen, first={"push_seq": 0, "first_seen": now})


async def advance_push(connection: AsyncConnection, *, location: str, worker: str, seq: int, now: int) -> int | None:
    """Record push number *seq*. A push renews nothing: only a pull says what is held."""
    unknown = {
        "pull_seq": 0,
        "first_seen": now,
        "last_seen": now,
        "agent": "",
        "concurrency": 0,
        "free_slots": 0,
        "running": 0,
        "draining": False,
    }
    return await _advance(connection, location, worker, _PUSHES, {"push_seq": seq}, first=unknown)


async def _advance(
    connection: AsyncConnection,
    location: str,
    worker: str,
    numbers: _Numbers,
    values: dict[str, Any],
    *,
    first: dict[str, Any],
) -> int | None:
    number = values[numbers.column]
    if await numbers.advance.change(connection, here=location, process=worker, number=number, **values) == 1:
        return None
    known = await numbers.last.row(connection, here=location, process=worker)
    last: int | None = None if known is None else known.number
    if last is None:
        await _make_room(connection, location, now=first["first_seen"])
        await connection.execute(workers.insert().values(location_id=location, id=worker, **first, **values))
    return last


async def _make_room(connection: AsyncConnection, location: str, *, now: int) -> None:
    """Forget the location's processes of long ago where it has very many. Raises RefusedError where it has them all the same."""
    here = workers.c.location_id == location
    many = select(func.count()).select_from(workers).where(here)
    if (await connection.scalar(many) or 0) < MOST_WORKERS:
        return
    await connection.execute(delete(workers).where(here, workers.c.last_seen < now - REPLAYABLE, ~_awaited))
    if (await connection.scalar(many) or 0) >= MOST_WORKERS:
        raise RefusedError(429, "workers", f"the location has {MOST_WORKERS} worker processes already")


async def list_all(connection: AsyncConnection) -> Sequence[SeenWorker]:
    rows = await connection.execute(select(workers).order_by(workers.c.location_id, workers.c.first_seen))
    return [
        SeenWorker(
            location=row.location_id,
            id=row.id,
            last_seen=row.last_seen,
            agent=row.agent,
            concurrency=row.concurrency,
            free_slots=row.free_slots,
            running=row.running,
            draining=row.draining,
            degraded=row.degraded,
            host=row.host,
            address=row.address,
            access_key=row.access_key,
        )
        for row in rows
    ]


async def forget(connection: AsyncConnection, *, before: int) -> None:
    """Drop processes last seen before *before* that no open job waits for. Their numbers may go: older dates are refused."""
    await connection.execute(delete(workers).where(workers.c.last_seen < before, ~_awaited))
