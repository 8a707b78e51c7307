"""Operations on channels, and on the state of one notification."""

from __future__ import annotations

from typing import Any

import msgspec

from controlplane.operations.operation import Operation
from controlplane.service import channels
from controlplane.service.channels import ShownChannel
from controlplane.service.principal import KeyScope, Principal
from controlplane.store.database import Database
from controlplane.store.notifications import NotificationState
from worker.clock import Clock


class CreateChannel(msgspec.Struct, frozen=True):
    """*settings* hold the `type` and what that type has, secrets included."""

    name: str
    settings: dict[str, Any]


class ListChannels(msgspec.Struct, frozen=True):
    """A question without members: there are few."""


class DeleteChannel(msgspec.Struct, frozen=True):
    name: str


class TryChannel(msgspec.Struct, frozen=True):
    name: str


class QueuedNotification(msgspec.Struct, frozen=True):
    """*key* is the notification's, by which its state is read and receivers know it."""

    key: str


class ReadNotification(msgspec.Struct, frozen=True):
    key: str


async def _create(database: Database, clock: Clock, by: Principal, sent: CreateChannel) -> ShownChannel:
    return await channels.create(database, clock, by, sent.name, sent.settings)


async def _list(database: Database, _clock: Clock, by: Principal, _sent: ListChannels) -> tuple[ShownChannel, ...]:
    return await channels.list_all(database, by)


async def _delete(database: Database, clock: Clock, by: Principal, sent: DeleteChannel) -> ShownChannel:
    return await channels.delete(database, clock, by, sent.name)


async def _try(database: Database, clock: Clock, by: Principal, sent: TryChannel) -> QueuedNotification:
    return QueuedNotification(await channels.attempt(database, clock, by, sent.name))


async def _read(database: Database, _clock: Clock, by: Principal, sent: ReadNotification) -> NotificationState:
    return await channels.notification(database, by, sent.key)


CREATE: Operation[CreateChannel, ShownChannel] = Operation(
    name="alerts/channels/create",
    about="Make a channel: a way in which alerts reach people. Its secrets are never shown again.",
    sent=CreateChannel,
    reply=ShownChannel,
    run=_create,
    scopes=(KeyScope.WRITE,),
)
LIST: Operation[ListChannels, tuple[ShownChannel, ...]] = Operation(
    name="alerts/channels/list",
    about="List channels, without their secrets.",
    sent=ListChannels,
    reply=tuple[ShownChannel, ...],
    run=_list,
    scopes=(KeyScope.READ,),
)
DELETE: Operation[DeleteChannel, ShownChannel] = Operation(
    name="alerts/channels/delete",
    about="Delete a channel; what waits for it is given up.",
    sent=DeleteChannel,
    reply=ShownChannel,
    run=_delete,
    scopes=(KeyScope.WRITE,),
)
TRY: Operation[TryChannel, QueuedNotification] = Operation(
    name="alerts/channels/test",
    about="Send a message that nothing happened for through a channel.",
    sent=TryChannel,
    reply=QueuedNotification,
    run=_try,
    scopes=(KeyScope.WRITE,),
)
READ: Operation[ReadNotification, NotificationState] = Operation(
    name="alerts/notifications/read",
    about="Read how far a notification is: queued, delivered or failed, and why.",
    sent=ReadNotification,
    reply=NotificationState,
    run=_read,
    scopes=(KeyScope.READ,),
)
OPERATIONS = (CREATE, LIST, DELETE, TRY, READ)
