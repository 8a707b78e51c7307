"""An open database: its schema the one that this program knows, its key checked; it gives out transactions.

Only `serve` and `migrate` change the schema of a database that is there, after a backup. The other modules know what is in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, inspect, select, text
from sqlalchemy import Engine as SyncEngine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.util import greenlet_spawn

from controlplane.errors import (
    DatabaseError,
    DatabaseTrouble,
    OutdatedError,
    ReplacedError,
    SchemaError,
    StatementError,
)
from controlplane.store import keys, sealing
from controlplane.store.engines.engine import READ_ONLY, UNBEGUN, Changes, Engine, T
from controlplane.store.sealing import Sealer
from controlplane.store.sharing import TURN_SECONDS, BeginShared, SharedWrites
from controlplane.store.tables import REVISION, about
from controlplane.store.versions import TableVersions
from worker.secret import Secret

_REVISION_QUERY = "SELECT version_num FROM alembic_version"
KEY_CHECK = "about.key_check"
WRITE_CHECK = "write_check"
MOST_CONNECTIONS = 15
"""Readers at a time; the others wait."""
_KEY_CHECK_TEXT = b"synthetics-controlplane"


class Database:
    """An open database. Take `write()` for anything that changes a row, `read()` otherwise; keep both short.

    Both raise StatementError where the database fails. *upgraded* is what opening it did to its schema. Whoever changes many rows
    does it in steps, a transaction each, and rests for *rest_seconds* between them. *before_write* is done at the beginning of
    each transaction that writes, once the lock is there.
    """

    def __init__(self, engine: Engine, pool: AsyncEngine, sealer: Sealer, upgraded: Upgrade | None) -> None:
        self.sealer = sealer
        self.upgraded = upgraded
        self.rest_seconds = engine.rest_seconds
        self.before_write: Callable[[AsyncConnection], Awaitable[None]] | None = None
        self._engine = engine
        self._pool = pool
        self._reader = pool.execution_options(**{READ_ONLY: True})
        self._queue = asyncio.Lock() if engine.queue_writers else None
        writer = engine.connect(1) if engine.queue_writers else pool
        self._writer = writer.execution_options(**{UNBEGUN: True})
        self._idle: list[Connection] = []
        self._identity = engine.identity()
        self.versions = TableVersions()
        self._counted: list[tuple[Collection[str], Collection[str]]] = []
        self._shared = SharedWrites(self._turn, self._transact, self._count, self._late)

    @asynccontextmanager
    async def write(self, locations: Collection[str] = ()) -> AsyncIterator[AsyncConnection]:
        """One transaction; committed, on disk, when the block is left without an exception.

        *locations* are those of whose runs and jobs it changes any, read when it ends; empty means that it may be any.
        """
        async with self._turn(), self._changing(locations) as (connection, changes):
            _sync(connection).begin()
            await self._engine.begin(connection)
            await self._start_writing(connection, changes)
            yield connection
            self._check_identity()  # once more: an exception before the commit tells nobody that a result was stored

    @asynccontextmanager
    async def _changing(self, locations: Collection[str]) -> AsyncIterator[tuple[AsyncConnection, Changes]]:
        """A connection for a transaction that changes rows at *locations*, and the changes that it sees.

        At the end SQLAlchemy commits what it knows to be begun; what `Engine.transact` does it never hears of.
        It is kept afterwards, unless anything failed: to take one from a pool, and to give it back, takes longer than to begin.
        """
        self._check_identity()
        with _translated(self._engine):
            connection = await self._taken()
            changes = self._engine.changes(connection)
            try:
                async with _ending(connection, Connection.commit):
                    yield AsyncConnection(self._writer, connection), changes
            finally:  # whatever its end was, and before the next one begins
                self.versions.count(changes.take_statements(), locations)
                self._count_again()
            self._idle.append(connection)

    async def _taken(self) -> Connection:
        if self._idle:
            return self._idle.pop()
        return await _connected(self._writer.sync_engine.connect, self._engine.place)

    async def _start_writing(self, connection: AsyncConnection, changes: Changes) -> None:
        """Do what each transaction that writes begins with, once it has the lock."""
        self.versions.follow(changes.others)
        if self.before_write is not None:
            await self.before_write(connection)

    def _count(self, connection: AsyncConnection, locations: Collection[str]) -> None:
        """Count what a piece of a transaction has changed, for the pieces after it; and at its end once more, for all others.

        Whoever reads between the two sees what was there before, and must not take that for newer.
        """
        statements = self._engine.changes(_sync(connection)).take_statements()
        self.versions.count(statements, locations)
        self._counted.append((statements, locations))

    def _count_again(self) -> None:
        for statements, locations in self._counted:
            self.versions.count(statements, locations)
        self._counted.clear()

    async def share(self, begin: BeginShared[T], *, location: str, weight: int, patience: float = 0.0) -> T:
        """Do *begin*'s work in a transaction with others' that wait for theirs: see `SharedWrites.run`."""
        return await self._shared.run(begin, location=location, weight=weight, patience=patience)

    def share_ahead(self, begin: BeginShared[T], *, location: str, weight: int) -> AbstractAsyncContextManager[T]:
        """Do *begin*'s work as `share` does, and meet its value while it is being committed: see `SharedWrites.ahead`."""
        return self._shared.ahead(begin, location=location, weight=weight)

    def hurry(self) -> None:
        """Let nobody's patience wait any longer."""
        self._shared.hurry()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view. It waits for nobody and nobody waits for it."""
        self._check_identity()
        with _translated(self._engine):
            connection = await _connected(partial(_begun, self._reader.sync_engine), self._engine.place)
            async with _ending(connection, _committed_and_closed):
                yield AsyncConnection(self._reader, connection)

    @asynccontextmanager
    async def _transact(
        self, locations: Collection[str], work: BeginShared[T], ahead: Callable[[T], None]
    ) -> AsyncIterator[T]:
        """One transaction of whoever has the turn, with what `write` does of its own, in fewer exchanges."""
        async with self._changing(locations) as (connection, changes):

            async def whole() -> T:
                await self._start_writing(connection, changes)
                return await work(connection)

            def checked(value: T) -> None:
                self._check_identity()
                ahead(value)

            value = await self._engine.transact(connection, whole, checked)
            self._count_again()  # whoever hears of the commit goes by what there is now
            yield value

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """The turn of one of the writers of this process, where they queue."""
        if self._queue is None:
            yield
            return
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._queue.acquire()
        except TimeoutError as error:
            raise self._late() from error
        try:
            yield
        finally:
            self._queue.release()

    def _late(self) -> StatementError:
        reason = f"other writers did not end within {TURN_SECONDS:g} s"
        return StatementError(self._engine.place, reason, DatabaseTrouble.LOCKED)

    def _check_identity(self) -> None:
        if self._engine.identity() != self._identity:
            raise ReplacedError(self._engine.place)

    async def check_writing(self) -> None:
        """Write a row. Raises StatementError where that fails: a full disk, a lock that is never given back."""
        async with self.write() as connection:
            await connection.execute(about.delete().where(about.c.name == WRITE_CHECK))
            await connection.execute(about.insert().values(name=WRITE_CHECK, value=b""))

    async def check_schema(self) -> None:
        """Raise SchemaError where another program has changed the schema since this one opened the database."""
        async with self.read() as connection:
            found = await connection.scalar(text(_REVISION_QUERY))
        if found != REVISION:
            raise SchemaError(self._engine.place, found=str(found), known=REVISION)

    def size(self) -> int:
        """Bytes of all its data."""
        return self._engine.size()

    async def close(self) -> None:
        await self._shared.close()
        while self._idle:
            await greenlet_spawn(self._idle.pop().close)
        await self._writer.dispose()
        await self._pool.dispose()
        await self._engine.until_closed()


def _sync(connection: AsyncConnection) -> Connection:
    assert connection.sync_connection is not None
    return connection.sync_connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """The database's key: *key* itself, or in the file *path*; *given* says that an operator named it."""

    path: Path
    key: Secret[bytes] | None = None
    origin: str = ""
    given: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The rights of an opening: *create* a missing database and its key; *upgrade* an older schema, having made a *backup*."""

    create: bool = False
    upgrade: bool = False
    backup: bool = True


USE = Opening()
"""For commands: the database is there, and its schema is this program's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """A change of schema *from_revision* to ours. *backup* is the database as it was before, None where none was wanted."""

    from_revision: str
    backup: Path | None


async def open_database(engine: Engine, keyring: Keyring, opening: Opening = USE) -> Database:
    """Connect, look at the schema and check the key. Raises DatabaseError with one line that says what is wrong.

    A backup and a large change take as long as the file is large, in which the loop does nothing else.
    """
    engine.prepare(opening.create)
    pool = engine.connect(MOST_CONNECTIONS)
    changing = opening.create or opening.upgrade
    connections = pool if changing else pool.execution_options(**{READ_ONLY: True})
    try:
        with _translated(engine):
            async with connections.begin() as connection:
                upgraded = await connection.run_sync(_ready, engine, opening)
                with _unneeded_on_failure(upgraded.backup if upgraded else None):
                    sealer = await _unlock(connection, engine.place, keyring)
                    if upgraded and upgraded.from_revision < keys.UNSEALED_BEFORE:
                        await keys.seal_older(connection, sealer)
    except BaseException:
        await pool.dispose()
        raise
    return Database(engine, pool, sealer, upgraded)


async def look_at(engine: Engine, keyring: Keyring) -> str:
    """The schema of a database of ours that *keyring* opens, ours or an older one; nothing is changed. Raises DatabaseError."""
    pool = engine.connect(1)
    try:
        with _translated(engine):
            async with pool.execution_options(**{READ_ONLY: True}).begin() as connection:
                found = await connection.run_sync(_known_revision, engine.place)
                if await connection.scalar(select(about.c.value).where(about.c.name == "key_check")) is None:
                    raise DatabaseError(f"database {engine.place} has no key: it was never used")
                await _unlock(connection, engine.place, keyring)
                return found
    finally:
        await pool.dispose()


def _known_revision(connection: Connection, place: str) -> str:
    if "alembic_version" not in inspect(connection).get_table_names():
        raise DatabaseError(f"database {place} is not one of this program")
    found = str(connection.execute(text(_REVISION_QUERY)).scalar())
    if found != REVISION:
        from controlplane.store import migrating  # noqa: PLC0415 - for an older one alone

        if not migrating.is_older(found):
            raise SchemaError(place, found=found, known=REVISION)
    return found


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    """Make the driver's errors ours, here and nowhere else."""
    try:
        yield
    except DBAPIError as error:
        raise StatementError(engine.place, str(error.orig), engine.trouble(error)) from error
    except engine.errors as error:
        raise StatementError(engine.place, str(error), engine.trouble(error)) from error
    except SQLAlchemyError as error:  # of the pool and of its connections, which are no errors of the driver
        raise StatementError(engine.place, str(error), DatabaseTrouble.OTHER) from error


async def _connected(connect: Callable[[], Connection], place: str) -> Connection:
    """The connection of *connect*. No thread for it, no descriptor and no memory are troubles of the database, too."""
    try:
        return await greenlet_spawn(connect)
    except (OSError, RuntimeError, MemoryError) as error:
        raise StatementError(place, f"no connection: {error or 'out of memory'}", DatabaseTrouble.OTHER) from error


def _begun(pool: SyncEngine) -> Connection:
    connection = pool.connect()
    try:
        connection.begin()
    except BaseException:
        connection.close()
        raise
    return connection


@asynccontextmanager
async def _ending(connection: Connection, end: Callable[[Connection], None]) -> AsyncIterator[None]:
    """*end* it after the block; or roll back, and close it. SQLAlchemy's own context takes three greenlets and a task."""
    try:
        yield
        await greenlet_spawn(end, connection)
    except BaseException:
        with suppress(SQLAlchemyError):  # no news beside what led to it
            await greenlet_spawn(_given_up, connection)
        raise


def _committed_and_closed(connection: Connection) -> None:
    connection.commit()
    connection.close()


def _given_up(connection: Connection) -> None:
    try:
        connection.rollback()
    finally:
        connection.close()


def _ready(connection: Connection, engine: Engine, opening: Opening) -> Upgrade | None:
    """Make the schema ours, as far as *opening* allows. Raises DatabaseError."""
    place = engine.place
    names = set(inspect(connection).get_table_names())
    if names and "alembic_version" not in names:
        raise DatabaseError(f"database {place} belongs to something else: it has a table {min(names)!r}")
    if not names and not opening.create:
        raise DatabaseError(f"database {place} is empty; `serve` and `location create` fill it")
    found = connection.execute(text(_REVISION_QUERY)).scalar() if names else None
    if found == REVISION:
        return None
    from controlplane.store import migrating  # noqa: PLC0415 - Alembic takes longer to import than most commands to run

    if found is None:
        migrating.upgrade(connection)
        return None
    if not migrating.is_older(found):
        raise SchemaError(place, found=found, known=REVISION)
    if not opening.upgrade:
        raise OutdatedError(place, found=found, known=REVISION)
    backup = engine.back_up(f"schema-{found}") if opening.backup else None
    with _unneeded_on_failure(backup):
        migrating.upgrade(connection)
    return Upgrade(from_revision=found, backup=backup)


@contextmanager
def _unneeded_on_failure(backup: Path | None) -> Iterator[None]:
    """Remove a backup where nothing was changed after all: the next attempt makes its own, and a service is started for ever."""
    try:
        yield
    except BaseException:
        if backup is not None:
            backup.unlink(missing_ok=True)
        raise


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
