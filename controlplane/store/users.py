"""Users: who may sign in to the pages, with which role. No password comes in or goes out, only hashes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.errors import ConflictError, NotFoundError
from controlplane.store.usertables import users

_SHOWN = (
    *(users.c.id, users.c.name, users.c.role, users.c.enabled, users.c.created_at, users.c.created_by),
    *(users.c.signed_in_at, users.c.password_hash.is_not(None).label("has_password")),
    users.c.identity.is_not(None).label("has_identity"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUser:
    """*has_identity*: a provider of identities signs them in. *signed_in_at* is None until their first time."""

    id: str
    name: str
    role: str
    enabled: bool
    created_at: int
    created_by: str
    signed_in_at: int | None = None
    has_password: bool = False
    has_identity: bool = False


async def add(
    connection: AsyncConnection,
    user: StoredUser,
    *,
    login: str,
    password_hash: str | None = None,
    identity: bytes | None = None,
) -> None:
    """Store a new user. Raises ConflictError where the login is taken."""
    row = {name: getattr(user, name) for name in ("id", "name", "role", "enabled", "created_at", "created_by")}
    try:
        await connection.execute(
            users.insert().values(login=login, password_hash=password_hash, identity=identity, **row)
        )
    except IntegrityError as error:
        raise ConflictError("user", user.name) from error


async def any_at_all(connection: AsyncConnection) -> bool:
    """Tell if there is a user."""
    return bool(await connection.scalar(select(exists(select(users.c.id)))))


async def list_all(connection: AsyncConnection) -> Sequence[StoredUser]:
    """List every user, by name."""
    return [_user(row) for row in await connection.execute(select(*_SHOWN).order_by(users.c.login))]


async def find(connection: AsyncConnection, name: str, *, login: str) -> StoredUser:
    """Find a user by login or id. Raises NotFoundError."""
    named = select(*_SHOWN).where(or_(users.c.login == login, users.c.id == name)).order_by(users.c.login != login)
    row = (await connection.execute(named)).first()
    if row is None:
        raise NotFoundError("user", name)
    return _user(row)


async def by_identity(connection: AsyncConnection, identity: bytes) -> StoredUser | None:
    """Find the user whom a provider calls so."""
    row = (await connection.execute(select(*_SHOWN).where(users.c.identity == identity))).one_or_none()
    return None if row is None else _user(row)


async def password_of(connection: AsyncConnection, login: str) -> tuple[StoredUser, str | None] | None:
    """A user and the hash of their password."""
    query = select(*_SHOWN, users.c.password_hash).where(users.c.login == login)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else (_user(row), row.password_hash)


async def enabled_admins(connection: AsyncConnection, *, role: str) -> int:
    """Count the users of *role* who may sign in."""
    counted = select(func.count()).select_from(users).where(users.c.role == role, users.c.enabled)
    return int(await connection.scalar(counted) or 0)


async def change(connection: AsyncConnection, user: str, **values: Any) -> None:
    """Set columns of a user, by their id."""
    await connection.execute(update(users).where(users.c.id == user).values(**values))


async def remove(connection: AsyncConnection, user: str) -> None:
    await connection.execute(delete(users).where(users.c.id == user))


def _user(row: Any) -> StoredUser:
    return StoredUser(
        id=row.id,
        name=row.name,
        role=row.role,
        enabled=row.enabled,
        created_at=row.created_at,
        created_by=row.created_by,
        signed_in_at=row.signed_in_at,
        has_password=bool(row.has_password),
        has_identity=bool(row.has_identity),
    )
