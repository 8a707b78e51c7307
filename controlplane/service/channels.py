"""Channels: make, list, delete and try them. Their settings come in with secrets and are never shown with them again."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from controlplane import epoch
from controlplane.alerts.channels import table
from controlplane.alerts.transitions import Transition, TransitionDetail, TransitionKind, notification_key
from controlplane.errors import NotFoundError, UnusableError
from controlplane.service import audit
from controlplane.service.principal import KeyScope, Principal
from controlplane.store import channels, notifications, transitions
from controlplane.store.channels import StoredChannel
from controlplane.store.database import Database
from controlplane.store.notifications import NotificationState
from worker.clock import Clock

MOST_CHANNELS = 200
"""Each may have a task and a connection of its own at a time."""
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_])?")


class ShownChannel(msgspec.Struct, frozen=True, kw_only=True):
    """A channel for people: *settings* without secrets, of a URL its origin alone."""

    name: str
    kind: str
    settings: dict[str, Any]
    created_at: int
    created_by: str


async def create(
    database: Database, clock: Clock, by: Principal, name: str, settings: Mapping[str, Any]
) -> ShownChannel:
    """Store a new channel. Raises UnusableError for its mistakes, ConflictError where its name is taken."""
    by.require(KeyScope.WRITE)
    if not _NAME.fullmatch(name):
        raise UnusableError(
            f"channel {name[:40]!r}: is not a valid name: expected letters, digits, '.', '_' and '-'", field="name"
        )
    channel = table.read(settings)
    now = epoch.milliseconds(clock)
    new = StoredChannel(name=name, channel=channel, created_at=now, created_by=by.name)
    async with database.write() as connection:
        if await channels.count(connection) >= MOST_CHANNELS:
            raise UnusableError(f"there are {MOST_CHANNELS} channels already; `alert channel delete` makes room")
        await channels.add(connection, database.sealer, new)
        await audit.record(connection, by, "channel.create", name, after=table.shown(channel), now=now)
    return _shown(new)


async def list_all(database: Database, by: Principal) -> tuple[ShownChannel, ...]:
    """List every channel, by name."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        return tuple(_shown(one) for one in await channels.list_all(connection, database.sealer))


async def delete(database: Database, clock: Clock, by: Principal, name: str) -> ShownChannel:
    """Delete a channel. What waits for it is given up. Raises NotFoundError."""
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        known = await channels.get(connection, database.sealer, name)
        await channels.remove(connection, name)
        before, now = table.shown(known.channel), epoch.milliseconds(clock)
        await audit.record(connection, by, "channel.delete", name, before=before, now=now)
    return _shown(known)


async def attempt(database: Database, clock: Clock, by: Principal, name: str) -> str:
    """Queue a message that nothing happened for, to try a channel; the notification's key. Raises NotFoundError."""
    by.require(KeyScope.WRITE)
    now, tried = epoch.milliseconds(clock), str(uuid.uuid4())
    told = Transition(
        id=tried,
        kind=TransitionKind.TEST,
        alert=tried,
        at=now,
        subject=name,
        name=f"the channel {name} is tried",
        summary=f"{by.name} tries the channel {name}. Nothing is wrong.",
        detail=TransitionDetail(since=now),
    )
    async with database.write() as connection:
        await channels.get(connection, database.sealer, name)
        await transitions.put(connection, told, [name], now=now)
        await audit.record(connection, by, "channel.test", name, now=now)
    return notification_key(tried, name)


async def notification(database: Database, by: Principal, key: str) -> NotificationState:
    """Read how far a notification is. Raises NotFoundError."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        found = await notifications.state(connection, key)
    if found is None:
        raise NotFoundError("notification", key[:40])
    return found


def _shown(stored: StoredChannel) -> ShownChannel:
    settings = table.shown(stored.channel)
    kind = settings.pop("type")
    return ShownChannel(
        name=stored.name, kind=kind, settings=settings, created_at=stored.created_at, created_by=stored.created_by
    )
