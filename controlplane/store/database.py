"""An open database: its schema up to date, its key checked; it gives out transactions. The other modules know what is in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from controlplane.errors import DatabaseError, StatementError
from controlplane.store import sealing
from controlplane.store.engines.engine import READ_ONLY, Engine
from controlplane.store.sealing import Sealer
from controlplane.store.tables import REVISION, about
from worker.secret import Secret

KEY_CHECK = "about.key_check"
_KEY_CHECK_TEXT = b"synthetics-controlplane"


class Database:
    """An open database. Take `write()` for anything that changes a row, `read()` otherwise; keep both short.

    Both raise StatementError where the database fails.
    """

    def __init__(self, engine: Engine, pool: AsyncEngine, sealer: Sealer) -> None:
        self.sealer = sealer
        self._engine = engine
        self._pool = pool
        self._reader = pool.execution_options(**{READ_ONLY: True})
        self._queue: AbstractAsyncContextManager[None] = asyncio.Lock() if engine.queue_writers else nullcontext()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction; committed, on disk, when the block is left without an exception."""
        with _translated(self._engine):
            async with self._queue, self._pool.begin() as connection:
                yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view. It waits for nobody and nobody waits for it."""
        with _translated(self._engine):
            async with self._reader.begin() as connection:
                yield connection

    async def check(self) -> None:
        """Raise StatementError where the database does not answer."""
        async with self.read() as connection:
            await connection.execute(select(1))

    async def close(self) -> None:
        await self._pool.dispose()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """The database's key: *key* itself, or in the file *path*; *given* says that an operator named it."""

    path: Path
    key: Secret[bytes] | None = None
    origin: str = ""
    given: bool = False


async def open_database(engine: Engine, keyring: Keyring, *, create: bool) -> Database:
    """Connect, bring the schema up to date and check the key.

    With *create*, a missing database and a missing key are made. Raises DatabaseError with one line that says what is wrong.
    """
    engine.prepare(create)
    pool = engine.connect()
    try:
        with _translated(engine):
            async with pool.begin() as connection:
                await connection.run_sync(_migrate, engine.place, create)
                sealer = await _unlock(connection, engine.place, keyring)
    except BaseException:
        await pool.dispose()
        raise
    return Database(engine, pool, sealer)


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    """Make the driver's errors ours, here and nowhere else."""
    try:
        yield
    except DBAPIError as error:
        raise StatementError(engine.place, str(error.orig), engine.trouble(error)) from error


def _migrate(connection: Connection, place: str, create: bool) -> None:  # noqa: FBT001 - run_sync passes no keywords
    names = set(inspect(connection).get_table_names())
    if names and "alembic_version" not in names:
        raise DatabaseError(f"database {place} belongs to something else: it has a table {min(names)!r}")
    if not names and not create:
        raise DatabaseError(f"database {place} is empty; `serve` and `location create` fill it")
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if names else None
    if found == REVISION:
        return
    from controlplane.store import migrating  # noqa: PLC0415 - Alembic takes longer to import than most commands to run

    migrating.upgrade(connection, place, found=found)


async def _unlock(connection: AsyncConnection, place: str, keyring: Keyring) -> Sealer:
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
            raise DatabaseError(f"database {place} was sealed with another key than the one in {origin}") from error
    return sealer
