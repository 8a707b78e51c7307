"""SQLite: one file, many readers, one writer at a time.

Writers of several processes share the file's lock; those of one process queue before it. A transaction that writes takes the
lock at its start (BEGIN IMMEDIATE), so that none fails half-way. WAL with synchronous=FULL: what was committed survives a kill
and a power cut, and is committed before anybody is told.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from controlplane.errors import DatabaseError, DatabaseTrouble
from controlplane.store.engines import sqlitedriver
from controlplane.store.engines.engine import READ_ONLY, UNBEGUN, Engine, T

BUSY_MILLISECONDS = 5_000
"""The wait of a writer for another process, after which it gives up. The longest transaction is a batch of some thousand rows;
a worker waits ten seconds for its answer."""
KEPT_CONNECTIONS = 5
"""Of a pool, while nobody uses them; each has a thread and a cache of its own."""
POOL_SECONDS = 4.0
"""The wait for one of the pool's connections: before a worker stops waiting, too."""

REST_SECONDS = 0.025
"""Another process that waits for the lock looks again after 25 ms at most, in its first 128 ms (`sqliteDefaultBusyCallback`): who
holds it for less than a tenth of a second and then rests for this long lets it in."""

SWITCHES = 20
"""Attempts to switch a new file to its write-ahead log while others do the same: one of them succeeds in each round."""

_PRIMARY = 0xFF
"""Of an extended result code (sqlite.org/rescode.html)."""
_TROUBLES = {
    sqlite3.SQLITE_BUSY: DatabaseTrouble.LOCKED,
    sqlite3.SQLITE_LOCKED: DatabaseTrouble.LOCKED,
    sqlite3.SQLITE_FULL: DatabaseTrouble.FULL,
    sqlite3.SQLITE_READONLY: DatabaseTrouble.READ_ONLY,
}


def engine(path: Path) -> Engine:
    """The database in the file *path*."""
    return Engine(
        place=str(path),
        key_file=path.with_name(f"{path.name}.key"),
        prepare=partial(_prepare, path),
        connect=partial(_connect, path),
        queue_writers=True,
        rest_seconds=REST_SECONDS,
        begin=_begin_writing,
        transact=_transact,
        changes=sqlitedriver.of,
        until_closed=sqlitedriver.until_closed,
        copy=partial(_copy, path),
        back_up=partial(_back_up, path),
        errors=sqlite3.Error,
        trouble=lambda error: _trouble(error.orig if isinstance(error, DBAPIError) else error),
        identity=partial(_identity, path),
        size=partial(_size, path),
        stage=partial(_stage, path),
        install=partial(_install, path),
    )


def _prepare(path: Path, create: bool) -> None:  # noqa: FBT001 - the border's signature
    if not path.exists() and not create:
        raise DatabaseError(f"database {path} does not exist; `serve` and `location create` make it")
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    try:
        os.close(os.open(path, flags, 0o600))  # SQLite gives its -wal and -shm files the mode of this one
    except OSError as error:
        raise DatabaseError(f"database {path}: {error.strerror}") from error


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _size(path: Path) -> int:
    """Bytes of the file and of the log beside it, which has what was written last."""
    size = 0
    for part in (path, path.with_name(f"{path.name}-wal")):
        with suppress(OSError):
            size += part.stat().st_size
    return size


def _back_up(path: Path, label: str) -> Path:
    backup = _unused(path, label)
    _copy(path, backup)
    return backup


def _copy(path: Path, target: Path) -> None:
    """A reader of its own sees what is committed, also while a writer holds the lock."""
    part = target.with_name(f"{target.name}.part")  # a kill leaves this, and the next attempt replaces it
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            _vacuum(reader, part)
        part.rename(target)
        _sync(target.absolute().parent)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        reason = error.strerror if isinstance(error, OSError) else error
        raise DatabaseError(f"database {path}: its copy {target} cannot be written: {reason}") from error


def _vacuum(reader: sqlite3.Connection, part: Path) -> None:
    """`VACUUM INTO` syncs nothing by itself, and reads every page."""
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    reader.execute("VACUUM INTO ?", (str(part),))
    _sync(part)


def _stage(path: Path, source: Path) -> Path:
    """Nothing is written where the copy lies: it may be on a medium that cannot be written to."""
    part = path.with_name(f"{path.name}.restored.part")
    try:
        place = f"{source.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(place, uri=True, isolation_level=None)) as reader:
            _vacuum(reader, part)
        _check(part)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        reason = error.strerror if isinstance(error, OSError) else error
        raise DatabaseError(f"{source}: cannot be restored: {reason}") from error
    return part


def _check(part: Path) -> None:
    """Raise sqlite3.DatabaseError for a file whose pages do not fit together."""
    with closing(sqlite3.connect(part)) as staged:
        (found,) = staged.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def _install(path: Path, staged: Path) -> Path | None:
    """One rename decides: before it the old database is in its place, after it the new one."""
    kept = _unused(path, "replaced") if path.exists() else None
    try:
        if kept is None:
            staged.rename(path)
        else:
            with _alone(path):
                os.link(path, kept)
                for suffix in ("-wal", "-shm"):  # there is one only where the old file cannot be read
                    with suppress(FileNotFoundError):
                        path.with_name(path.name + suffix).rename(kept.with_name(kept.name + suffix))
                staged.rename(path)
        _sync(path.absolute().parent)
    except OSError as error:
        raise DatabaseError(f"database {path}: {error.strerror}") from error
    return kept


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """The database to ourselves. Leaving the write-ahead log succeeds only where nobody else has the file open, and empties it.

    A file that is none any more is nobody's.
    """
    with closing(sqlite3.connect(path, isolation_level=None, timeout=1)) as connection:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            if mode == "delete":
                connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            mode = "" if error.sqlite_errorcode & _PRIMARY == sqlite3.SQLITE_BUSY else "delete"
        if mode != "delete":
            raise DatabaseError(
                f"database {path} is open elsewhere: stop `serve`, and every command that uses it, first"
            )
        yield


def _unused(path: Path, label: str) -> Path:
    """A name that nothing has: a backup is never replaced."""
    names = chain([f"{path.name}.{label}.backup"], (f"{path.name}.{label}-{number}.backup" for number in count(2)))
    return next(backup for backup in map(path.with_name, names) if not backup.exists())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _connect(path: Path, most: int) -> AsyncEngine:
    url = URL.create(sqlitedriver.SCHEME, database=str(path.absolute()))
    kept = min(most, KEPT_CONNECTIONS)
    pool = create_async_engine(
        url,
        hide_parameters=True,  # what is bound to a statement belongs in no log
        pool_size=kept,
        max_overflow=most - kept,
        pool_timeout=POOL_SECONDS,
    )
    event.listen(pool.sync_engine, "connect", _set_pragmas)
    event.listen(pool.sync_engine, "begin", _begin)
    return pool


def _set_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    _keep_a_write_ahead_log(cursor)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _keep_a_write_ahead_log(cursor: Any) -> None:
    """Switch the file to it. Of several that do so at once SQLite lets one, and refuses the others at once."""
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
    options = connection.get_execution_options()
    if options.get(READ_ONLY, False):
        sqlitedriver.of(connection).begin_reading()
    elif not options.get(UNBEGUN, False):
        connection.exec_driver_sql(sqlitedriver.BEGIN_WRITING)


async def _begin_writing(connection: AsyncConnection) -> None:
    assert connection.sync_connection is not None
    await sqlitedriver.of(connection.sync_connection).begin_writing()


async def _transact(
    connection: AsyncConnection, work: Callable[[], Coroutine[Any, Any, T]], ahead: Callable[[T], None]
) -> T:
    assert connection.sync_connection is not None
    return await sqlitedriver.of(connection.sync_connection).transact(work, ahead)


def _trouble(error: BaseException | None) -> DatabaseTrouble:
    if not isinstance(error, sqlite3.Error):
        return DatabaseTrouble.OTHER
    code = getattr(error, "sqlite_errorcode", 0)  # only what SQLite itself reports has one
    return _TROUBLES.get(code & _PRIMARY, DatabaseTrouble.OTHER)
