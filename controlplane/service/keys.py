"""Keys of the public API: make, list, end and prove them. A key is shown once, when it is made.

They are random, 128 and 160 bits, so that a plain hash keeps them: there is nothing to guess that salt would slow down.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from controlplane import epoch
from controlplane.errors import StatementError, UnusableError
from controlplane.service import audit
from controlplane.service.principal import KeyScope, Principal, held, held_actions, held_workflows, read_scopes
from controlplane.store import keys
from controlplane.store.database import Database
from controlplane.store.keys import StoredKey
from worker.clock import Clock
from worker.secret import Secret

log = logging.getLogger(__name__)

API_KEY_BYTES = 16
APP_KEY_BYTES = 20
"""As hexadecimal: 32 and 40 characters, the reference system's lengths, which some clients look at."""
MAX_KEY_CHARACTERS = 200
"""Of a key that somebody sends: nothing longer is hashed."""
USE_MS = 60_000
"""Milliseconds between two notes that a key was used: each is a write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A pair of keys as it is handed over, once."""

    key: StoredKey
    api_key: Secret[str]
    app_key: Secret[str]


async def create(database: Database, clock: Clock, by: Principal, name: str, *, scopes: Sequence[str]) -> NewKey:
    """Make a pair of keys. Raises UnusableError, ConflictError where the name is taken.

    Nobody gives away what they do not have: raises ForbiddenError for a scope that *by* lacks.
    """
    by.require(KeyScope.WRITE)
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise UnusableError(f"key {name[:40]!r}: a name has 1 to 200 printable characters")
    granted = read_scopes(scopes)
    for scope in granted:
        by.require_grant(scope)
    now = epoch.milliseconds(clock)
    new = NewKey(
        key=StoredKey(id=secrets.token_hex(8), name=name, scopes=granted, created_at=now),
        api_key=Secret(secrets.token_hex(API_KEY_BYTES)),
        app_key=Secret(secrets.token_hex(APP_KEY_BYTES)),
    )
    async with database.write() as connection:
        await keys.add(
            connection,
            database.sealer,
            new.key,
            api_key_hash=_hash(new.api_key.reveal()),
            app_key_hash=_hash(new.app_key.reveal()),
        )
        await audit.record(connection, by, "key.create", new.key.id, after=_state(new.key), now=now)
    return new


async def list_all(database: Database, by: Principal) -> tuple[StoredKey, ...]:
    """List every pair, by name."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        return tuple(await keys.list_all(connection))


async def revoke(database: Database, clock: Clock, by: Principal, name: str) -> StoredKey:
    """End a pair of keys, by its name or id: its next request is refused.

    Nobody ends what they could not make: raises ForbiddenError for a key with a scope that *by* lacks.
    """
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        key = await keys.find(connection, name)
        for scope in key.scopes:
            by.require_grant(scope)
        await keys.remove(connection, key.id)
        now = epoch.milliseconds(clock)
        await audit.record(connection, by, "key.revoke", key.id, before=_state(key), now=now)
    return key


async def identify(database: Database, clock: Clock, *, api_key: str | None, app_key: str | None) -> Principal | None:
    """The holder of these keys, None where they are not a pair of ours. The application key alone is enough.

    The API key alone shows that it is known, and opens nothing: it comes without a scope.
    """
    if any(key is not None and len(key) > MAX_KEY_CHARACTERS for key in (api_key, app_key)) or not (api_key or app_key):
        return None
    async with database.read() as connection:
        key = await keys.by_hashes(
            connection,
            database.sealer,
            api_key_hash=_hash(api_key) if api_key else None,
            app_key_hash=_hash(app_key) if app_key else None,
        )
    if key is None:
        return None
    await _note_use(database, key, now=epoch.milliseconds(clock))
    scopes = key.scopes if app_key else ()
    return Principal(
        name=key.name,
        via="api",
        scopes=held(scopes),
        key=key.id,
        actions=held_actions(scopes),
        workflows=held_workflows(scopes),
    )


async def _note_use(database: Database, key: StoredKey, *, now: int) -> None:
    """Best effort: a database that takes no writes may still be read."""
    if key.last_used_at is not None and 0 <= now - key.last_used_at < USE_MS:
        return
    try:
        async with database.write() as connection:
            await keys.note_use(connection, key.id, now=now)
    except StatementError as error:
        extra = {"action": "database_failed", "trouble": error.trouble.value}
        log.warning("cannot note the use of a key: %s", error.reason, extra=extra)


def fingerprint(api_key: str | None, app_key: str | None) -> bytes:
    """A hash of what somebody shows, to recognise it by without keeping it."""
    return _hash(f"{(api_key or '')[:MAX_KEY_CHARACTERS]}\n{(app_key or '')[:MAX_KEY_CHARACTERS]}")


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _state(key: StoredKey) -> dict[str, object]:
    return {"name": key.name, "scopes": list(key.scopes)}
