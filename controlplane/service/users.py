"""Users of the pages: make, list, change and delete them. The last administrator stays: somebody must be able to do this."""

from __future__ import annotations

import secrets
import unicodedata
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.errors import UnusableError
from controlplane.service import audit, passwords
from controlplane.service.passwords import Passwords
from controlplane.service.principal import KeyScope, Principal, Role
from controlplane.store import sessions, users
from controlplane.store.database import Database
from controlplane.store.users import StoredUser
from worker.clock import Clock
from worker.secret import Secret

MAX_NAME = 100


async def create(
    database: Database,
    clock: Clock,
    by: Principal,
    name: str,
    *,
    role: Role,
    password: Secret[str] | None = None,
    hasher: Passwords,
) -> StoredUser:
    """Make a user; one without a password signs in by a link or a provider. Raises UnusableError, ConflictError."""
    by.require(KeyScope.ADMIN)
    check_name(name)
    hashed = await _hashed(password, hasher)
    user = new_user(name, role, by, now=epoch.milliseconds(clock))
    async with database.write() as connection:
        await add(connection, by, user, password_hash=hashed)
    return replace(user, has_password=hashed is not None)


async def list_all(database: Database, by: Principal) -> tuple[StoredUser, ...]:
    """List every user, by name."""
    by.require(KeyScope.ADMIN)
    async with database.read() as connection:
        return tuple(await users.list_all(connection))


async def read(database: Database, by: Principal, name: str) -> StoredUser:
    """Find a user by name or id. Raises NotFoundError."""
    by.require(KeyScope.ADMIN)
    async with database.read() as connection:
        return await users.find(connection, name, login=login_of(name))


async def set_role(database: Database, clock: Clock, by: Principal, name: str, role: Role) -> StoredUser:
    """Give a user another role, from their next request on."""
    by.require(KeyScope.ADMIN)
    async with database.write() as connection:
        user = await users.find(connection, name, login=login_of(name))
        await users.change(connection, user.id, role=role.value)
        await _keep_an_admin(connection, user)
        changed = replace(user, role=role.value)
        await _note(connection, by, "user.role", user, changed, now=epoch.milliseconds(clock))
    return changed


async def set_enabled(database: Database, clock: Clock, by: Principal, name: str, *, enabled: bool) -> StoredUser:
    """Let a user in again, or keep them out and end their sessions at once."""
    by.require(KeyScope.ADMIN)
    async with database.write() as connection:
        user = await users.find(connection, name, login=login_of(name))
        await users.change(connection, user.id, enabled=enabled)
        await _keep_an_admin(connection, user)
        if not enabled:
            await sessions.end_all(connection, user.id)
        changed = replace(user, enabled=enabled)
        action = "user.enable" if enabled else "user.disable"
        await _note(connection, by, action, user, changed, now=epoch.milliseconds(clock))
    return changed


async def delete(database: Database, clock: Clock, by: Principal, name: str) -> StoredUser:
    """Delete a user and their sessions. What they made stays, under their name."""
    by.require(KeyScope.ADMIN)
    async with database.write() as connection:
        user = await users.find(connection, name, login=login_of(name))
        await users.remove(connection, user.id)
        await _keep_an_admin(connection, user)
        await _note(connection, by, "user.delete", user, None, now=epoch.milliseconds(clock))
    return user


async def set_password(
    database: Database, clock: Clock, by: Principal, name: str, password: Secret[str], *, hasher: Passwords
) -> StoredUser:
    """Give a user another password, and end their sessions."""
    by.require(KeyScope.ADMIN)
    hashed = await _hashed(password, hasher)
    async with database.write() as connection:
        user = await users.find(connection, name, login=login_of(name))
        await users.change(connection, user.id, password_hash=hashed)
        await sessions.end_all(connection, user.id)
        await _note(connection, by, "user.password", user, user, now=epoch.milliseconds(clock))
    return replace(user, has_password=True)


def check_name(name: str) -> None:
    """Raise UnusableError for a name that nobody could tell from another's, or type."""
    if not name.strip() or name != name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise UnusableError(
            f"user {name[:40]!r}: a name has 1 to {MAX_NAME} printable characters and no space around them",
            field="name",
        )


def login_of(name: str) -> str:
    """The spelling by which a user is found: without case, and with one form of each character."""
    return unicodedata.normalize("NFKC", name).casefold()[: 2 * MAX_NAME]


def new_user(name: str, role: Role, by: Principal, *, now: int) -> StoredUser:
    """A user who is not stored yet."""
    return StoredUser(
        id=secrets.token_hex(8), name=name, role=role.value, enabled=True, created_at=now, created_by=by.name
    )


async def add(
    connection: AsyncConnection,
    by: Principal,
    user: StoredUser,
    *,
    password_hash: str | None = None,
    identity: bytes | None = None,
) -> None:
    """Store a new user and write it down. Raises ConflictError."""
    login = login_of(user.name)
    await users.add(connection, user, login=login, password_hash=password_hash, identity=identity)
    await _note(connection, by, "user.create", None, user, now=user.created_at)


async def _hashed(password: Secret[str] | None, hasher: Passwords) -> str | None:
    if password is None:
        return None
    passwords.check(password)
    return await hasher.hash(password)


async def _keep_an_admin(connection: AsyncConnection, user: StoredUser) -> None:
    """Raise UnusableError, which undoes the change, where nobody is left who could undo it."""
    if user.role == Role.ADMIN.value and not await users.enabled_admins(connection, role=Role.ADMIN.value):
        raise UnusableError(f"user {user.name!r} is the last administrator: make another one first")


async def _note(
    connection: AsyncConnection,
    by: Principal,
    action: str,
    before: StoredUser | None,
    after: StoredUser | None,
    *,
    now: int,
) -> None:
    subject = after or before
    assert subject is not None
    await audit.record(connection, by, action, subject.id, before=_state(before), after=_state(after), now=now)


def _state(user: StoredUser | None) -> dict[str, object] | None:
    return None if user is None else {"name": user.name, "role": user.role, "enabled": user.enabled}
