"""Notices that hold, and what is to be looked at for new ones: locations with tests, their workers and their troubles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import delete, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.alerts.notices import OpenNotice, PlaceSight
from controlplane.store.channeltables import notices
from controlplane.store.tables import assignments, locations, workers


async def sights(connection: AsyncConnection, *, seen_since: int) -> Sequence[PlaceSight]:
    """The enabled locations that have tests, by name. Workers that were seen at *seen_since* or later tell their troubles."""
    seen = select(workers.c.location_id, func.max(workers.c.last_seen).label("last_seen")).group_by(
        workers.c.location_id
    )
    newest = seen.subquery()
    watched = exists().where(assignments.c.location_id == locations.c.id)
    query = (
        select(locations.c.id, locations.c.name, newest.c.last_seen)
        .outerjoin(newest, newest.c.location_id == locations.c.id)
        .where(locations.c.enabled, watched)
        .order_by(locations.c.name)
    )
    troubled = select(workers.c.location_id, workers.c.host, workers.c.degraded).where(
        workers.c.last_seen >= seen_since, workers.c.degraded.is_not(None)
    )
    troubles = defaultdict(list)
    for row in await connection.execute(troubled.order_by(workers.c.host, workers.c.id)):
        troubles[row.location_id].append((row.host, row.degraded))
    return [
        PlaceSight(id=row.id, name=row.name, last_seen=row.last_seen, troubles=tuple(troubles[row.id]))
        for row in await connection.execute(query)
    ]


async def known(connection: AsyncConnection) -> dict[str, OpenNotice]:
    """The notices that hold, by their subjects."""
    rows = await connection.execute(select(notices))
    return {row.subject: OpenNotice(subject=row.subject, alert=row.alert_id, since=row.since) for row in rows}


async def add(connection: AsyncConnection, notice: OpenNotice) -> None:
    row = {"subject": notice.subject, "alert_id": notice.alert, "since": notice.since}
    await connection.execute(notices.insert().values(**row))


async def remove(connection: AsyncConnection, subject: str) -> None:
    await connection.execute(delete(notices).where(notices.c.subject == subject))
