"""Silences and routes: which alerts are not told, and who is told of tests by their tags. There are few of either."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.alerts.monitor import NOT_MUTED
from controlplane.alerts.routing import TagRoute
from controlplane.alerts.windows import Silence, covers, ends_at
from controlplane.store.alerttables import routes, silences

MOST_SILENCES = 500
"""At a time: each alert is compared with all of them."""
MOST_ROUTES = 500
"""At a time, as silences."""


@dataclass(frozen=True, slots=True)
class Muting:
    """A silence that keeps alerts from being told, and its end; `NOT_MUTED` and no silence where there is none."""

    until: int = NOT_MUTED
    by: str = ""


async def list_all(connection: AsyncConnection) -> tuple[Silence, ...]:
    """Every silence, the oldest first."""
    rows = await connection.execute(
        select(silences).order_by(silences.c.created_at, silences.c.id).limit(MOST_SILENCES)
    )
    return tuple(map(_silence, rows))


def muting(known: Sequence[Silence], test: str, tags: Collection[str], *, now: int) -> Muting:
    """The one of *known* silences that keeps alerts of a test from being told for the longest time."""
    found = [Muting(ends_at(silence, now), silence.id) for silence in known if covers(silence, test, tags)]
    return max(found, key=lambda muted: muted.until, default=Muting()) if found else Muting()


async def count(connection: AsyncConnection) -> int:
    return await connection.scalar(select(func.count()).select_from(silences)) or 0


async def add(connection: AsyncConnection, new: Silence) -> None:
    await connection.execute(
        silences.insert().values(
            id=new.id,
            name=new.name,
            test_id=new.test,
            tags=json.dumps(new.tags),
            starts=new.starts,
            zone=new.zone,
            minutes=new.minutes,
            rule=new.rule,
            created_at=new.created_at,
            created_by=new.created_by,
        )
    )


async def remove(connection: AsyncConnection, ids: Collection[str]) -> None:
    """Take silences away; the caller bounds their number."""
    await connection.execute(delete(silences).where(silences.c.id.in_(sorted(ids))))


async def list_routes(connection: AsyncConnection) -> tuple[TagRoute, ...]:
    """Every route, by its name."""
    rows = await connection.execute(select(routes).order_by(routes.c.name).limit(MOST_ROUTES))
    return tuple(
        TagRoute(name=row.name, tags=tuple(json.loads(row.tags)), handles=tuple(json.loads(row.handles)))
        for row in rows
    )


async def put_route(connection: AsyncConnection, route: TagRoute, *, by: str, now: int) -> None:
    """Write a route down in place of the one of the same name."""
    await remove_route(connection, route.name)
    await connection.execute(
        routes.insert().values(
            name=route.name,
            tags=json.dumps(route.tags),
            handles=json.dumps(route.handles),
            created_at=now,
            created_by=by,
        )
    )


async def remove_route(connection: AsyncConnection, name: str) -> bool:
    """Take a route away; False where there is none of this name."""
    return (await connection.execute(delete(routes).where(routes.c.name == name))).rowcount == 1


def _silence(row: Any) -> Silence:
    return Silence(
        id=row.id,
        name=row.name,
        test=row.test_id,
        tags=tuple(json.loads(row.tags)),
        starts=row.starts,
        zone=row.zone,
        minutes=row.minutes,
        rule=row.rule,
        created_at=row.created_at,
        created_by=row.created_by,
    )
