"""Operations on apps: push, list and delete them."""

from __future__ import annotations

from typing import Any

import msgspec

from controlplane.operations.operation import Operation
from controlplane.service import apps
from controlplane.service.apps import AppView
from controlplane.service.principal import KeyScope, Principal
from controlplane.store.apps import StoredApp
from controlplane.store.database import Database
from worker.clock import Clock


class PushApp(msgspec.Struct, frozen=True):
    """*app* is the definition, as docs/actions.md describes it."""

    app: dict[str, Any]


class ListApps(msgspec.Struct, frozen=True):
    """A question without members: there are few."""


class DeleteApp(msgspec.Struct, frozen=True):
    """*app* is a name or an id."""

    app: str


async def _push(database: Database, clock: Clock, by: Principal, sent: PushApp) -> AppView:
    return await apps.push(database, clock, by, sent.app)


async def _list(database: Database, _clock: Clock, by: Principal, _sent: ListApps) -> tuple[AppView, ...]:
    return await apps.list_all(database, by)


async def _delete(database: Database, clock: Clock, by: Principal, sent: DeleteApp) -> StoredApp:
    return await apps.delete(database, clock, by, sent.app)


PUSH: Operation[PushApp, AppView] = Operation(
    name="apps/push",
    about="Make an app, or put another version in its place. Needs a scope for each action that its queries name.",
    sent=PushApp,
    reply=AppView,
    run=_push,
    scopes=(KeyScope.WRITE,),
)
LIST: Operation[ListApps, tuple[AppView, ...]] = Operation(
    name="apps/list",
    about="List apps with their definitions.",
    sent=ListApps,
    reply=tuple[AppView, ...],
    run=_list,
    scopes=(KeyScope.READ,),
)
DELETE: Operation[DeleteApp, StoredApp] = Operation(
    name="apps/delete",
    about="End an app: no token is minted for it any more.",
    sent=DeleteApp,
    reply=StoredApp,
    run=_delete,
    scopes=(KeyScope.WRITE,),
)
OPERATIONS = (PUSH, LIST, DELETE)
