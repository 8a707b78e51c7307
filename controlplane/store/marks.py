"""Moments that outlive a process: how far time had come when the upkeep was done last."""

from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.ageing import Ageing
from controlplane.steady import Anchor
from controlplane.store.tables import about, workers

_CLOCK, _ANCHOR, _AGEING = "clock_mark", "clock_anchor", "ageing_mark"


async def latest(connection: AsyncConnection) -> int:
    """The latest moment at which this database is known to have been used, 0 where it never was."""
    seen = await connection.scalar(select(func.max(workers.c.last_seen)))
    mark = await _read(connection, _CLOCK)
    return max(int(mark or 0), seen or 0)


async def put_clock(connection: AsyncConnection, now: int) -> None:
    await _put(connection, _CLOCK, b"%d" % now)


async def anchor(connection: AsyncConnection) -> Anchor | None:
    """The time that this database's times are kept by, None where nobody ever kept it."""
    mark = await _read(connection, _ANCHOR)
    if mark is None:
        return None
    zero, offset, line = mark.decode().split(" ", 2)
    return Anchor(line, int(zero), int(offset))


async def put_anchor(connection: AsyncConnection, kept: Anchor) -> None:
    await _put(connection, _ANCHOR, f"{kept.zero_ms} {kept.offset_ms} {kept.line}".encode())


async def ageing(connection: AsyncConnection) -> Ageing | None:
    """The ages of results as they were counted last, None where they never were."""
    mark = await _read(connection, _AGEING)
    return None if mark is None else Ageing(*map(int, mark.split()))


async def put_ageing(connection: AsyncConnection, counted: Ageing) -> None:
    await _put(connection, _AGEING, b"%d %d %d" % (counted.at, counted.moment, counted.leapt))


async def _read(connection: AsyncConnection, name: str) -> bytes | None:
    value: bytes | None = await connection.scalar(select(about.c.value).where(about.c.name == name))
    return value


async def _put(connection: AsyncConnection, name: str, value: bytes) -> None:
    await connection.execute(delete(about).where(about.c.name == name))
    await connection.execute(about.insert().values(name=name, value=value))
