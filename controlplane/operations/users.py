"""Operations on users of the pages."""

from __future__ import annotations

import msgspec

from controlplane.operations.operation import Operation
from controlplane.service import links, users
from controlplane.service.links import NewLink
from controlplane.service.passwords import Passwords
from controlplane.service.principal import KeyScope, Principal, Role
from controlplane.store.database import Database
from controlplane.store.users import StoredUser
from worker.clock import Clock
from worker.secret import Secret

_HASHER = Passwords()
"""Beside that of the pages, whose visitors may be anybody: who manages users waits for none of them."""


class CreateUser(msgspec.Struct, frozen=True):
    name: str
    role: Role
    password: Secret[str] | None = None


class ListUsers(msgspec.Struct, frozen=True):
    """A question without members: there are few."""


class UserCalled(msgspec.Struct, frozen=True):
    """*user* is a name or an id."""

    user: str


class ChangeRole(msgspec.Struct, frozen=True):
    user: str
    role: Role


class SwitchUser(msgspec.Struct, frozen=True):
    """*enabled*: the user may sign in."""

    user: str
    enabled: bool


class SetPassword(msgspec.Struct, frozen=True):
    user: str
    password: Secret[str]


async def _create(database: Database, clock: Clock, by: Principal, sent: CreateUser) -> StoredUser:
    return await users.create(database, clock, by, sent.name, role=sent.role, password=sent.password, hasher=_HASHER)


async def _list(database: Database, _clock: Clock, by: Principal, _sent: ListUsers) -> tuple[StoredUser, ...]:
    return await users.list_all(database, by)


async def _change_role(database: Database, clock: Clock, by: Principal, sent: ChangeRole) -> StoredUser:
    return await users.set_role(database, clock, by, sent.user, sent.role)


async def _switch(database: Database, clock: Clock, by: Principal, sent: SwitchUser) -> StoredUser:
    return await users.set_enabled(database, clock, by, sent.user, enabled=sent.enabled)


async def _delete(database: Database, clock: Clock, by: Principal, sent: UserCalled) -> StoredUser:
    return await users.delete(database, clock, by, sent.user)


async def _set_password(database: Database, clock: Clock, by: Principal, sent: SetPassword) -> StoredUser:
    return await users.set_password(database, clock, by, sent.user, sent.password, hasher=_HASHER)


async def _link(database: Database, clock: Clock, by: Principal, sent: UserCalled) -> NewLink:
    return await links.create(database, clock, by, sent.user)


_ADMIN = (KeyScope.ADMIN,)

CREATE: Operation[CreateUser, StoredUser] = Operation(
    name="users/create",
    about="Make a user of the pages. Without a password they sign in by a link.",
    sent=CreateUser,
    reply=StoredUser,
    run=_create,
    scopes=_ADMIN,
)
LIST: Operation[ListUsers, tuple[StoredUser, ...]] = Operation(
    name="users/list",
    about="List the users of the pages.",
    sent=ListUsers,
    reply=tuple[StoredUser, ...],
    run=_list,
    scopes=_ADMIN,
)
ROLE: Operation[ChangeRole, StoredUser] = Operation(
    name="users/role",
    about="Give a user another role, from their next request on.",
    sent=ChangeRole,
    reply=StoredUser,
    run=_change_role,
    scopes=_ADMIN,
)
SWITCH: Operation[SwitchUser, StoredUser] = Operation(
    name="users/switch",
    about="Enable or disable a user. Disabled, they are kept out, and their sessions end.",
    sent=SwitchUser,
    reply=StoredUser,
    run=_switch,
    scopes=_ADMIN,
)
DELETE: Operation[UserCalled, StoredUser] = Operation(
    name="users/delete",
    about="Delete a user and their sessions.",
    sent=UserCalled,
    reply=StoredUser,
    run=_delete,
    scopes=_ADMIN,
)
PASSWORD: Operation[SetPassword, StoredUser] = Operation(
    name="users/password",
    about="Give a user another password, and end their sessions.",
    sent=SetPassword,
    reply=StoredUser,
    run=_set_password,
    scopes=_ADMIN,
)
LINK: Operation[UserCalled, NewLink] = Operation(
    name="users/link",
    about="Make a link that signs a user in, once, within ten minutes. It is in this reply alone.",
    sent=UserCalled,
    reply=NewLink,
    run=_link,
    scopes=_ADMIN,
)
OPERATIONS = (CREATE, LIST, ROLE, SWITCH, DELETE, PASSWORD, LINK)
