"""Keys of the public API: pairs by their hashes. No key itself comes in or goes out.

What a pair may do is sealed and bound to its row: who can only write the database makes no key that opens anything, and gives
none another scope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.errors import ConflictError, DatabaseError, NotFoundError
from controlplane.store.sealing import Sealer
from controlplane.store.tables import keys

UNSEALED_BEFORE = "0020"
"""The revision from which on every pair is sealed; they are numbered in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """A pair of keys. *last_used_at* is None until its first use, and a minute behind at most."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: int
    last_used_at: int | None = None


async def add(
    connection: AsyncConnection, sealer: Sealer, key: StoredKey, *, api_key_hash: bytes, app_key_hash: bytes
) -> None:
    """Store a new pair. Raises ConflictError where its name is taken."""
    row = {"id": key.id, "name": key.name, "scopes": ",".join(key.scopes), "created_at": key.created_at}
    row |= {"api_key_hash": api_key_hash, "app_key_hash": app_key_hash}
    sealed = sealer.seal(_members(key, api_key_hash, app_key_hash), _context(key.id))
    try:
        await connection.execute(keys.insert().values(sealed=sealed, **row))
    except IntegrityError as error:
        raise ConflictError("key", key.name) from error


async def by_hashes(
    connection: AsyncConnection,
    sealer: Sealer,
    *,
    api_key_hash: bytes | None = None,
    app_key_hash: bytes | None = None,
) -> StoredKey | None:
    """The pair with these hashes; one of the two may be unknown, both not. None also for a row that was planted or altered."""
    given = {keys.c.api_key_hash: api_key_hash, keys.c.app_key_hash: app_key_hash}
    conditions = [column == value for column, value in given.items() if value is not None]
    assert conditions, "somebody is to be found by something"
    row = (await connection.execute(select(keys).where(*conditions))).one_or_none()
    return _key(row) if row is not None and _is_as_made(sealer, row) else None


async def seal_older(connection: AsyncConnection, sealer: Sealer) -> None:
    """Seal what an older version stored, once: with the change of its schema."""
    for row in (await connection.execute(select(keys).where(keys.c.sealed.is_(None)))).all():
        sealed = sealer.seal(_members(_key(row), row.api_key_hash, row.app_key_hash), _context(row.id))
        await connection.execute(update(keys).where(keys.c.id == row.id).values(sealed=sealed))


async def list_all(connection: AsyncConnection) -> Sequence[StoredKey]:
    return [_key(row) for row in await connection.execute(select(keys).order_by(keys.c.name))]


async def find(connection: AsyncConnection, name: str) -> StoredKey:
    """Find a pair by its name or id. Raises NotFoundError with the names that there are."""
    named = select(keys).where(or_(keys.c.name == name, keys.c.id == name)).order_by(keys.c.name != name)
    row = (await connection.execute(named)).first()
    if row is None:
        raise NotFoundError("key", name, [key.name for key in await list_all(connection)])
    return _key(row)


async def remove(connection: AsyncConnection, key: str) -> None:
    await connection.execute(delete(keys).where(keys.c.id == key))


async def note_use(connection: AsyncConnection, key: str, *, now: int) -> None:
    await connection.execute(update(keys).where(keys.c.id == key).values(last_used_at=now))


def _is_as_made(sealer: Sealer, row: Any) -> bool:
    try:
        sealed = sealer.open(row.sealed or b"", _context(row.id)).reveal()
    except DatabaseError:
        return False
    return sealed == _members(_key(row), row.api_key_hash, row.app_key_hash)


def _members(key: StoredKey, api_key_hash: bytes, app_key_hash: bytes) -> bytes:
    return msgspec.json.encode([key.name, key.scopes, api_key_hash, app_key_hash])


def _context(key: str) -> str:
    return f"keys.sealed:{key}"


def _key(row: Any) -> StoredKey:
    return StoredKey(
        id=row.id,
        name=row.name,
        scopes=tuple(row.scopes.split(",")),
        created_at=row.created_at,
        last_used_at=row.last_used_at,
    )
