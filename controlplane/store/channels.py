"""Channels: their names and kinds, and their settings, sealed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.alerts.channels import table
from controlplane.alerts.channels.table import Channel
from controlplane.errors import ConflictError, NotFoundError
from controlplane.store.channeltables import channels
from controlplane.store.sealing import Sealer


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChannel:
    """A channel and its settings, with their secrets."""

    name: str
    channel: Channel
    created_at: int
    created_by: str


async def add(connection: AsyncConnection, sealer: Sealer, new: StoredChannel) -> None:
    """Store a new channel. Raises ConflictError where its name is taken."""
    row = {
        "name": new.name,
        "kind": table.kind_of(new.channel),
        "settings_sealed": sealer.seal(table.written(new.channel), _context(new.name)),
        "created_at": new.created_at,
        "created_by": new.created_by,
    }
    try:
        await connection.execute(channels.insert().values(**row))
    except IntegrityError as error:
        raise ConflictError("channel", new.name) from error


async def count(connection: AsyncConnection) -> int:
    return await connection.scalar(select(func.count()).select_from(channels)) or 0


async def kinds(connection: AsyncConnection) -> dict[str, str]:
    """The kind of each channel, by its name."""
    rows = await connection.execute(select(channels.c.name, channels.c.kind).order_by(channels.c.name))
    return {row.name: row.kind for row in rows}


async def get(connection: AsyncConnection, sealer: Sealer, name: str) -> StoredChannel:
    """Read a channel. Raises NotFoundError with the names that there are."""
    row = (await connection.execute(select(channels).where(channels.c.name == name))).one_or_none()
    if row is None:
        raise NotFoundError("channel", name, list(await kinds(connection)))
    return _channel(sealer, row)


async def list_all(connection: AsyncConnection, sealer: Sealer) -> Sequence[StoredChannel]:
    rows = await connection.execute(select(channels).order_by(channels.c.name))
    return [_channel(sealer, row) for row in rows]


async def remove(connection: AsyncConnection, name: str) -> None:
    await connection.execute(delete(channels).where(channels.c.name == name))


def _channel(sealer: Sealer, row: Any) -> StoredChannel:
    settings = sealer.open(row.settings_sealed, _context(row.name)).reveal()
    return StoredChannel(
        name=row.name, channel=table.restored(settings), created_at=row.created_at, created_by=row.created_by
    )


def _context(name: str) -> str:
    return f"channels.settings {name}"
