"""Opens the database: pragmas, migrations, its key; and gives out transactions. What is in it is the other modules' business.

Writers of one process wait for each other in order instead of polling SQLite's lock; writers of several processes share that
lock. A transaction that writes takes it at its start (BEGIN IMMEDIATE), so that none fails half-way. WAL with synchronous=FULL:
what was committed survives a kill and a power cut, and is committed before anybody is told.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event, inspect, select, text
from sqlalchemy.exc import DatabaseError as DriverError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from controlplane.errors import DatabaseError
from controlplane.store import sealing
from controlplane.store.sealing import Sealer
from controlplane.store.tables import REVISION, about
from worker.secret import Secret

BUSY_MILLISECONDS = 10_000
"""How long a writer waits for another process before it gives up; the longest transaction is a batch of some thousand rows."""

SWITCHES = 20
"""Attempts to switch a new file to its write-ahead log while others do the same: one of them succeeds in each round."""

_PRIMARY = 0xFF
"""Of an extended result code (sqlite.org/rescode.html)."""

KEY_CHECK = "about.key_check"
_KEY_CHECK_TEXT = b"synthetics-controlplane"


class Database:
    """An open database. Take `write()` for anything that changes a row, `read()` otherwise; keep both short."""

    def __init__(self, engine: AsyncEngine, sealer: Sealer, path: Path) -> None:
        self.sealer = sealer
        self.path = path
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)
        self._writers = asyncio.Lock()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction; committed, on disk, when the block is left without an exception."""
        async with self._writers, self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view. It waits for nobody and nobody waits for it."""
        async with self._reader.begin() as connection:
            yield connection

    async def close(self) -> None:
        await self._engine.dispose()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """Where the database's key comes from: *key* itself, or *path*; *given* says that an operator named it."""

    path: Path
    key: Secret[bytes] | None = None
    origin: str = ""
    given: bool = False


async def open_database(path: Path, keyring: Keyring, *, create: bool) -> Database:
    """Open the SQLite file at *path*, bring its schema up to date and check its key.

    With *create*, a missing file and a missing key are made. Raises DatabaseError with one line that says what is wrong.
    """
    _prepare_file(path, create=create)
    engine = _engine(path)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_migrate, path, create)
            sealer = await _unlock(connection, path, keyring)
    except DriverError as error:
        await engine.dispose()
        raise DatabaseError(f"database {path}: {error.orig}") from error
    except BaseException:
        await engine.dispose()
        raise
    return Database(engine, sealer, path)


def _prepare_file(path: Path, *, create: bool) -> None:
    if not path.exists() and not create:
        raise DatabaseError(f"database {path} does not exist; `serve` and `location create` make it")
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    try:
        os.close(os.open(path, flags, 0o600))  # SQLite gives its -wal and -shm files the mode of this one
    except OSError as error:
        raise DatabaseError(f"database {path}: {error.strerror}") from error


def _engine(path: Path) -> AsyncEngine:
    url = URL.create("sqlite+aiosqlite", database=str(path.absolute()))
    engine = create_async_engine(url, hide_parameters=True)  # what is bound to a statement belongs into no log
    event.listen(engine.sync_engine, "connect", _set_pragmas)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _set_pragmas(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: _begin does
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    _keep_a_write_ahead_log(cursor)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _keep_a_write_ahead_log(cursor: Any) -> None:
    """Of several that switch a new file at once SQLite lets one, and refuses the others without waiting for `busy_timeout`."""
    for left in reversed(range(SWITCHES)):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not left or error.sqlite_errorcode & _PRIMARY != sqlite3.SQLITE_BUSY:
                raise
            cursor.execute("BEGIN IMMEDIATE")  # this does wait, until the other has done it
            cursor.execute("COMMIT")
        else:
            return


def _begin(connection: Connection) -> None:
    reading = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _migrate(connection: Connection, path: Path, create: bool) -> None:  # noqa: FBT001 - run_sync passes no keywords
    names = set(inspect(connection).get_table_names())
    if names and "alembic_version" not in names:
        raise DatabaseError(f"database {path} belongs to something else: it has a table {min(names)!r}")
    if not names and not create:
        raise DatabaseError(f"database {path} is empty; `serve` and `location create` fill it")
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if names else None
    if found == REVISION:
        return
    from controlplane.store import migrating  # noqa: PLC0415 - Alembic takes longer to import than most commands to run

    migrating.upgrade(connection, path, found=found)


async def _unlock(connection: AsyncConnection, path: Path, keyring: Keyring) -> Sealer:
    check = await connection.scalar(select(about.c.value).where(about.c.name == "key_check"))
    origin = keyring.origin or f"key file {keyring.path}"
    key = keyring.key
    if key is None:
        fresh = check is None and not keyring.given
        key = sealing.make_key(keyring.path) if fresh else sealing.load_key(keyring.path)
    sealer = Sealer(key, origin=origin)
    if check is None:
        sealed = sealer.seal(_KEY_CHECK_TEXT, KEY_CHECK)
        await connection.execute(about.insert().values(name="key_check", value=sealed))
    else:
        try:
            sealer.open(check, KEY_CHECK)
        except DatabaseError as error:
            raise DatabaseError(f"database {path} was sealed with another key than the one in {origin}") from error
    return sealer
