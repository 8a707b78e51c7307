"""SQLAlchemy's way to SQLite: a connection in a thread of its own, one exchange with that thread for each statement, or for many.

A statement whose caller is cancelled is stopped and its transaction rolled back before the caller goes on, so that its lock is
nobody's any more. It knows no table and no setting of a connection.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from itertools import count
from queue import SimpleQueue
from threading import Thread, current_thread
from typing import Any, NamedTuple, TypeVar, cast
from weakref import WeakSet

from sqlalchemy import URL, Connection
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool
from sqlalchemy.util import await_only

log = logging.getLogger(__name__)

SCHEME = "sqlite+threads"
"""The scheme of a URL by which SQLAlchemy finds this driver."""
THREAD = "sqlite"
"""The name of a connection's thread."""
BEGIN_WRITING = "BEGIN IMMEDIATE"
"""The statement that begins a transaction with the lock in hand."""
INTERRUPT_SECONDS = 0.01
"""Between two attempts to stop a statement: a writer that is stopped is not to keep the lock for longer."""
STOP_SECONDS = 3.0
"""For a statement to be stopped and rolled back. SQLite notices between its steps; a disk that hangs in one holds no caller."""
CLOSE_SECONDS = 5.0
"""For a connection to be closed. The last one brings the log into the file; a disk that hangs holds no stop."""
CLOSING_SECONDS = 5.0
"""For connections that were given up to be closed: milliseconds, but on a machine that is very busy."""
CLOSED = "Cannot operate on a closed database."
"""SQLAlchemy knows by these words of `sqlite3` that a connection is of no more use."""
T = TypeVar("T")
_GIVEN_UP: WeakSet[Thread] = WeakSet()
"""Threads that close their connection, for which nobody waits, and end."""
_NUMBERS = count()
"""One for each connection: what it counts says nothing of another's."""
_Call = tuple[asyncio.Future[Any] | None, Callable[[], Any]]
"""A function to run, and who waits for what it returns."""


class StatementEnd(NamedTuple):
    """The effects of a statement, and all rows that it found."""

    description: Sequence[Any] | None
    rowcount: int
    lastrowid: int | None
    rows: Sequence[Any]


class SQLiteThread:
    """A thread that runs functions in the order in which they come, until it is told to end."""

    __slots__ = ("_calls", "_thread")

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread = Thread(target=_serve, args=(self._calls,), name=THREAD, daemon=True)
        self._thread.start()

    def is_current(self) -> bool:
        """Tell if it is the thread that asks."""
        return current_thread() is self._thread

    def submit(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Run *function* in its turn, to its end, whether somebody still waits for what it returns or raises or not."""
        waiting: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put((waiting, function))
        return waiting

    def post(self, function: Callable[[], Any]) -> None:
        """Have *function* run before whatever comes later. Nobody hears of its end."""
        self._calls.put((None, function))

    def end(self) -> None:
        """End it once all that it was given has been run."""
        self._calls.put(None)

    def give_up(self, close: Callable[[], Any]) -> None:
        """Have *close* run, and end: only `until_closed` waits for that."""
        _GIVEN_UP.add(self._thread)
        self.post(close)
        self.end()


def _serve(calls: SimpleQueue[_Call | None]) -> None:
    while (call := calls.get()) is not None:
        waiting, function = call
        result, error = None, None
        try:
            result = function()
        except BaseException as caught:  # noqa: BLE001 - it is raised where the answer is waited for
            error = caught
        if waiting is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                waiting.get_loop().call_soon_threadsafe(_settle, waiting, result, error)
        del call, waiting, function, result, error  # what they hold must not live until the next call


def _settle(waiting: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if waiting.done():
        return
    if error is None:
        waiting.set_result(result)
    else:
        waiting.set_exception(error)


async def until_closed() -> None:
    """Wait for the connections that were given up to be closed: the last one to be closed takes the log away."""
    deadline = asyncio.get_running_loop().time() + CLOSING_SECONDS
    for thread in [one for one in _GIVEN_UP if one.is_alive()]:
        left = deadline - asyncio.get_running_loop().time()
        await asyncio.to_thread(thread.join, max(0.0, left))


class SQLiteConnection(AdaptedConnection):
    """A connection as SQLAlchemy sees it. Its methods are called in a greenlet of `sqlalchemy.ext.asyncio`.

    *others* is another value at the beginning of a writing transaction where another connection, of whatever process, has
    committed since this one's last one did. *statements* are the texts of those that changed rows, or more than rows, since
    they were taken.
    """

    __slots__ = ("_lost", "_number", "_open", "_reading", "_sqlite", "_statements", "_thread", "_unbegun", "others")

    def __init__(self, thread: SQLiteThread, connection: sqlite3.Connection) -> None:
        self._thread = thread
        self._sqlite = connection
        self._lost = False
        self._open = False
        self._reading = False
        self._unbegun = False
        self._statements: set[str] = set()
        self._number = next(_NUMBERS)
        self.others = (self._number, 0)

    def take_statements(self) -> frozenset[str]:
        """The statements that changed anything since they were taken last, whether that was committed or not."""
        taken = frozenset(self._statements)
        self._statements.clear()
        return taken

    def note(self, operation: str, executed: StatementEnd) -> None:
        """Note a statement that has changed something."""
        if executed.rowcount > 0 or (executed.rowcount < 0 and executed.description is None):
            self._statements.add(operation)

    async def begin_writing(self) -> None:
        """Begin a transaction that has the lock, and learn if others have committed since the last one."""
        self._open = True
        await self._run(self._begin_writing)

    def _begin_writing(self) -> None:
        self._sqlite.execute(BEGIN_WRITING).close()
        ((version,),) = _execute(self._sqlite.cursor(), "PRAGMA data_version", ()).rows
        self.others = (self._number, version)  # asked in the transaction: the lock keeps it as it is

    @property
    def driver_connection(self) -> sqlite3.Connection:
        """The connection itself; only its own thread may use it."""
        return self._sqlite

    def begin_reading(self) -> None:
        """Begin a transaction that changes nothing, with its first statement."""
        self._reading = self._unbegun = True

    def cursor(self) -> SQLiteCursor:
        return SQLiteCursor(self)

    def execute(self, statement: Callable[[sqlite3.Connection], StatementEnd]) -> StatementEnd:
        """Run one statement, and before it the beginning of a transaction that has none yet."""
        function = self._begun(statement)
        return await_only(_at_once(function) if self._thread.is_current() else self._run(function))

    async def run(self, operation: str, parameters: Sequence[Any]) -> StatementEnd:
        """Run a statement of a transaction that has begun, past SQLAlchemy. Raises sqlite3.Error."""
        return await self._run_here(operation, lambda sqlite: _execute(sqlite.cursor(), operation, parameters))

    async def run_each(self, operation: str, parameters: Sequence[Sequence[Any]]) -> StatementEnd:
        """Run a statement as `run` does, once for each of *parameters*."""
        return await self._run_here(operation, lambda sqlite: _execute_many(sqlite.cursor(), operation, parameters))

    async def _run_here(self, operation: str, statement: Callable[[sqlite3.Connection], StatementEnd]) -> StatementEnd:
        function = self._begun(statement)
        executed = function() if self._thread.is_current() else await self._run(function)
        self.note(operation, executed)
        return executed

    def _begun(self, statement: Callable[[sqlite3.Connection], StatementEnd]) -> Callable[[], StatementEnd]:
        function = partial(_begin_with if self._unbegun else _alone, self._sqlite, statement)
        self._unbegun, self._open = False, True
        return function

    async def transact(self, work: Callable[[], Coroutine[Any, Any, T]], ahead: Callable[[T], None]) -> T:
        """Begin a writing transaction, run what *work* returns, and commit, all in the connection's thread.

        *ahead* is called with its value before the commit, which follows no error. Raises RuntimeError where it waits for
        anything but this connection.
        """

        def transacted() -> T:
            self._begin_writing()
            value = _ended(work())
            ahead(value)
            self._sqlite.commit()
            return value

        self._open = True
        value = await self._run(transacted)
        self._open = False
        return value

    async def _run(self, function: Callable[[], T]) -> T:
        if self._lost:
            raise sqlite3.ProgrammingError(f"{CLOSED} A statement of it could not be stopped.")
        try:
            return await self._thread.submit(function)
        except asyncio.CancelledError:
            self._lost = True
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._stop()
            except TimeoutError:
                reason = "a statement did not end %g s after it was to stop: does the disk of the database hang?"
                log.error(reason, STOP_SECONDS, extra={"action": "database_hangs"})  # noqa: TRY400 - the cut is raised
            raise

    async def _stop(self) -> None:
        """Stop what runs, and roll back. Whoever is cancelled again waits no longer; `terminate` follows, and does the rest.

        So it does where the rollback fails, which is no news beside the cancellation, and where the disk hangs.
        """
        idle = self._thread.submit(_nothing)
        while not idle.done():
            self._sqlite.interrupt()  # again and again: a statement that is just beginning takes no notice of it
            await asyncio.wait([idle], timeout=INTERRUPT_SECONDS)
        with suppress(sqlite3.Error):
            await self._thread.submit(self._sqlite.rollback)
        self._lost = False

    def commit(self) -> None:
        self._end(self._sqlite.commit)

    def rollback(self) -> None:
        self._end(self._sqlite.rollback)

    def _end(self, function: Callable[[], None]) -> None:
        """End the transaction, if there is one. Nobody needs to wait for the end of one that only read."""
        begun, reading = self._open, self._reading
        self._open = self._reading = self._unbegun = False
        if begun and reading and not self._lost:
            self._thread.post(function)
        elif begun:
            await_only(self._run(function))

    def close(self) -> None:
        """Close it, and wait until that is done, or its disk has hung for `CLOSE_SECONDS`."""
        try:
            await_only(_in_time(self._thread.submit(self._close)))
        finally:
            self._thread.end()

    def terminate(self) -> None:
        """Close it when its thread comes to it: the caller has no time, or is no greenlet."""
        self._thread.give_up(self._close)

    def _close(self) -> None:
        """A connection that is closed within a transaction would keep its lock while any cursor of it lives."""
        with suppress(sqlite3.Error):
            self._sqlite.rollback()
        self._sqlite.close()


def of(connection: Connection) -> SQLiteConnection:
    """The driver's connection of a connection of SQLAlchemy."""
    found: Any = connection.connection.dbapi_connection
    return cast("SQLiteConnection", found)


class SQLiteCursor:
    """One statement and its rows, all of which were fetched with it."""

    __slots__ = ("_connection", "_rows", "arraysize", "description", "lastrowid", "rowcount")

    def __init__(self, connection: SQLiteConnection) -> None:
        self._connection = connection
        self._rows: deque[Any] = deque()
        self.arraysize = 1
        self.description: Sequence[Any] | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    def execute(self, operation: str, parameters: Any = ()) -> None:
        executed = self._connection.execute(lambda sqlite: _execute(sqlite.cursor(), operation, parameters))
        self._connection.note(operation, executed)
        self._keep(executed)

    def executemany(self, operation: str, parameters: Sequence[Any]) -> None:
        executed = self._connection.execute(lambda sqlite: _execute_many(sqlite.cursor(), operation, parameters))
        self._connection.note(operation, executed)
        self._keep(executed)

    def _keep(self, executed: StatementEnd) -> None:
        self.description, self.rowcount, self.lastrowid, rows = executed
        self._rows = deque(rows)

    def fetchone(self) -> Any:
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        return [self._rows.popleft() for _ in range(min(size or self.arraysize, len(self._rows)))]

    def fetchall(self) -> list[Any]:
        rows = list(self._rows)
        self._rows.clear()
        return rows

    def __iter__(self) -> Iterator[Any]:
        while self._rows:
            yield self._rows.popleft()

    def close(self) -> None:
        self._rows.clear()

    async def _async_soft_close(self) -> None:
        """Nothing: SQLAlchemy asks for it, and the statement was closed in its thread."""


async def _in_time(closing: asyncio.Future[None]) -> None:
    done, _ = await asyncio.wait([closing], timeout=CLOSE_SECONDS)
    for ended in done:
        ended.result()


async def _at_once(function: Callable[[], T]) -> T:
    return function()


def _ended(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* to its end. Its statements are run in this thread as they come, so that it has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as end:
        return cast("T", end.value)
    work.close()
    raise RuntimeError("what runs beside a connection waits for something else")


def _nothing() -> None:
    """Done when all that came before is."""


def _alone(sqlite: sqlite3.Connection, statement: Callable[[sqlite3.Connection], StatementEnd]) -> StatementEnd:
    return statement(sqlite)


def _begin_with(sqlite: sqlite3.Connection, statement: Callable[[sqlite3.Connection], StatementEnd]) -> StatementEnd:
    sqlite.execute("BEGIN").close()
    return statement(sqlite)


def _execute(cursor: sqlite3.Cursor, operation: str, parameters: Any) -> StatementEnd:
    with closing(cursor):  # a statement that is not at its end would keep its transaction from ending
        cursor.execute(operation, parameters)
        return _executed(cursor)


def _execute_many(cursor: sqlite3.Cursor, operation: str, parameters: Sequence[Any]) -> StatementEnd:
    with closing(cursor):
        cursor.executemany(operation, parameters)
        return _executed(cursor)


def _executed(cursor: sqlite3.Cursor) -> StatementEnd:
    rows = cursor.fetchall() if cursor.description else ()
    return StatementEnd(cursor.description, cursor.rowcount, cursor.lastrowid, rows)


class SQLiteDriver:
    """The module of a driver (PEP 249), as SQLAlchemy's dialect wants it: `sqlite3`, but for its connections."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sqlite3, name)

    def connect(self, database: str, **options: Any) -> SQLiteConnection:
        """A connection without transactions of the driver's own: `isolation_level` is None."""
        connect = partial(sqlite3.connect, database, isolation_level=None, **options)
        return await_only(connected(connect))


async def connected(connect: Callable[[], sqlite3.Connection]) -> SQLiteConnection:
    """Make a connection in a thread of its own."""
    thread = SQLiteThread()
    made: list[sqlite3.Connection] = []

    def make() -> sqlite3.Connection:
        made.append(connect())
        return made[0]

    def close() -> None:
        for one in made:
            one.close()

    try:
        return SQLiteConnection(thread, await thread.submit(make))
    except BaseException:
        thread.give_up(close)  # the caller was cancelled, and it is open all the same
        raise


class SQLiteDialect(SQLiteDialect_pysqlite):
    """SQLAlchemy's SQLite, over this driver."""

    driver = "threads"
    is_async = True
    has_terminate = True
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> Any:
        return SQLiteDriver()

    @classmethod
    def get_pool_class(cls, _url: URL) -> type[Pool]:
        return AsyncAdaptedQueuePool

    def on_connect(self) -> None:  # type: ignore[override]
        """No functions of Python in SQL: no statement of ours calls one."""

    def get_driver_connection(self, connection: Any) -> Any:
        return connection.driver_connection

    def do_terminate(self, dbapi_connection: Any) -> None:
        dbapi_connection.terminate()


registry.register(SCHEME.replace("+", "."), __name__, SQLiteDialect.__name__)
