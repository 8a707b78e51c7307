"""SQLite's driver: whoever is cancelled, in whichever await, leaves no lock behind; and what it tells of a statement."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.errors import StatementError
from controlplane.store.database import Database, Keyring, Opening, open_database
from controlplane.store.engines import sqlite, sqlitedriver
from controlplane.store.tables import about
from tests.support.waiting import until

MOST_AWAITS = 40
"""More than a transaction here has: each statement is one exchange with the connection's thread."""
WITHIN = 30.0
"""Seconds after which a thread that nobody lets go ends all the same."""
MANY = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < :size) "


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the disk is: only a test that says so has one that hangs."""
    monkeypatch.setattr(sqlitedriver, "STOP_SECONDS", WITHIN)
    monkeypatch.setattr(sqlitedriver, "CLOSE_SECONDS", WITHIN)


async def opened(folder: Path) -> Database:
    keyring = Keyring(path=folder / "c.db.key")
    return await open_database(sqlite.engine(folder / "c.db"), keyring, Opening(create=True))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await opened(tmp_path)
    yield database
    await database.close()


class Cut:
    """An awaitable that runs *work* and calls *interfere* while it is in its await number *at*; *awaits* counts them."""

    def __init__(self, work: Coroutine[Any, Any, None], at: int, interfere: Callable[[], object]) -> None:
        self._work = work
        self._at = at
        self._interfere = interfere
        self.awaits = 0

    def __await__(self) -> Generator[Any, None, None]:
        error: BaseException | None = None
        while True:
            try:
                awaited = self._work.send(None) if error is None else self._work.throw(error)
            except StopIteration:
                return
            if self.awaits == self._at:
                self._interfere()
            self.awaits += 1
            error = None
            try:
                yield awaited
            except BaseException as caught:  # noqa: BLE001 - all of it is for *work*
                error = caught


async def transaction(database: Database, size: int) -> None:
    """One that writes, reads, and changes what it reads, so that a statement may be cut before, in and after it."""
    async with database.write() as connection:
        await connection.execute(text("DELETE FROM about WHERE name LIKE 'x%'"))
        await connection.execute(text(f"INSERT INTO about {MANY} SELECT 'x' || x, x'00' FROM c"), {"size": size})
        await connection.execute(text(f"{MANY} SELECT x FROM c"), {"size": size})
        await connection.execute(text("UPDATE about SET value = x'01' WHERE name LIKE 'x%' RETURNING name"))


async def cut(database: Database, at: int, *, size: int, delay: float) -> bool:
    """Cancel a transaction in its await number *at*; tell if it had so many."""
    loop = asyncio.get_running_loop()

    async def run() -> Cut:
        task = asyncio.current_task()
        assert task is not None
        work = Cut(transaction(database, size), at, lambda: loop.call_later(delay, task.cancel))
        await work
        return work

    task = asyncio.create_task(run())
    with suppress(asyncio.CancelledError):
        return (await task).awaits > at
    return True


@contextmanager
def beside(folder: Path) -> Iterator[sqlite3.Connection]:
    """Somebody who waits for no lock. While it is open nobody else's end is the file's last, which takes locks of its own."""
    with closing(sqlite3.connect(folder / "c.db", isolation_level=None, timeout=0)) as other:
        other.execute("SELECT count(*) FROM about").fetchall()
        yield other


@pytest.fixture
def other(database: Database, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    assert database
    with beside(tmp_path) as other:
        yield other


def is_free(other: sqlite3.Connection) -> bool:
    """Tell if *other* can write."""
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    other.execute("ROLLBACK")
    return True


async def test_a_transaction_that_is_cut_in_any_of_its_awaits_is_over_when_its_caller_goes_on(
    database: Database, other: sqlite3.Connection
) -> None:
    for at in range(MOST_AWAITS):
        more = await cut(database, at, size=2_000, delay=0)
        assert is_free(other), f"cut in await {at}"
        if not more:
            return
    pytest.fail("it has more awaits than were tried")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from([0.0, 0.001, 0.003])), min_size=1, max_size=4))
def test_cuts_at_any_moment_leave_neither_locks_nor_halves(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[int, float]]
) -> None:
    """*cuts* are awaits, and the seconds in them: their statements run meanwhile, or have ended."""

    async def run() -> None:
        folder = tmp_path_factory.mktemp("cut")
        database = await opened(folder)
        for at, delay in cuts:
            with beside(folder) as other:
                await cut(database, at, size=5_000, delay=delay)
                assert is_free(other), (at, delay)
            async with database.read() as connection:
                found = (await connection.execute(text("SELECT DISTINCT value FROM about WHERE name LIKE 'x%'"))).all()
            assert found in ([], [(b"\x01",)]), "a transaction that was stored in part"
        await transaction(database, 10)
        await database.close()

    asyncio.run(run())


async def test_a_statement_without_an_end_ends_with_its_caller(database: Database, other: sqlite3.Connection) -> None:
    async def endless() -> None:
        async with database.write() as connection:
            await connection.execute(about.insert().values(name="x", value=b""))
            await connection.execute(text(f"{MANY} SELECT count(*) FROM c"), {"size": 10**12})

    task = asyncio.create_task(endless())
    await until(lambda: not is_free(other))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_free(other)


Transacted = Callable[[Callable[[AsyncConnection], Coroutine[Any, Any, Any]]], Coroutine[Any, Any, Any]]


@pytest.fixture
def transacted(database: Database) -> Transacted:
    """A transaction of one exchange, which ends with its caller: `share` has a task of its own."""

    async def run(work: Callable[[AsyncConnection], Coroutine[Any, Any, Any]]) -> Any:
        async with database._transact((), work, lambda _: None) as value:
            return value

    return run


async def test_what_runs_together_is_one_transaction_like_any_other(
    database: Database, other: sqlite3.Connection, transacted: Transacted
) -> None:
    """It has the lock from its beginning, is run in the connection's thread, ends with its caller, and waits for its own
    statements alone."""

    async def work(size: int, connection: AsyncConnection) -> str:
        raw: Any = await connection.get_raw_connection()
        assert raw.driver_connection.in_transaction
        await connection.execute(about.insert().values(name="x", value=b""))
        await connection.scalar(text(f"{MANY} SELECT count(*) FROM c"), {"size": size})
        return threading.current_thread().name

    task = asyncio.create_task(transacted(partial(work, 10**12)))
    await until(lambda: not is_free(other))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_free(other)
    assert await transacted(partial(work, 10)) == sqlitedriver.THREAD
    with pytest.raises(StatementError, match="UNIQUE"):
        await transacted(partial(work, 10))
    with pytest.raises(RuntimeError, match="waits for something else"):
        await transacted(lambda _: asyncio.sleep(0))
    assert is_free(other)

    async with database.read() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM about WHERE name = 'x'")) == 1


@pytest.mark.parametrize("together", [False, True], ids=["a statement", "work beside it"])
async def test_a_disk_that_hangs_holds_no_caller_and_its_connection_is_used_no_more(
    database: Database,
    other: sqlite3.Connection,
    transacted: Transacted,
    monkeypatch: pytest.MonkeyPatch,
    together: bool,
) -> None:
    monkeypatch.setattr(sqlitedriver, "STOP_SECONDS", 0.02)
    entered, gate = threading.Event(), threading.Event()
    statement = text("SELECT hang()")

    def wait() -> bool:
        entered.set()
        return gate.wait(WITHIN)

    async def hang(connection: AsyncConnection) -> None:
        await connection.execute(about.insert().values(name="x", value=b""))
        raw = await connection.get_raw_connection()
        raw.driver_connection.create_function("hang", 0, wait)  # type: ignore[union-attr]
        await connection.execute(statement)

    async def hang_in_steps() -> None:
        async with database.write() as connection:
            await hang(connection)

    task = asyncio.create_task(transacted(hang) if together else hang_in_steps())
    try:
        await until(entered.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not is_free(other), "the statement hangs, and its lock with it"
        async with database.read() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM about WHERE name = 'x'")) == 0
    finally:
        gate.set()
    await until(lambda: is_free(other))
    await transaction(database, 10)
    async with database.read() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM about WHERE name = 'x'")) == 0


async def test_a_disk_that_hangs_holds_no_end_of_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlitedriver, "CLOSE_SECONDS", 0.02)
    database, gate = await opened(tmp_path), threading.Event()
    try:
        async with database.read() as connection:
            await connection.scalar(text("SELECT 1"))
            assert connection.sync_connection is not None
            sqlitedriver.of(connection.sync_connection)._thread.post(lambda: gate.wait(WITHIN))
        await asyncio.wait_for(database.close(), WITHIN / 2)
    finally:
        gate.set()


async def test_a_second_cancellation_ends_the_wait_and_not_the_rollback(
    database: Database, other: sqlite3.Connection
) -> None:
    entered, gate = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        gate.wait(WITHIN)

    async def held() -> None:
        async with database.write() as connection:
            raw = await connection.get_raw_connection()
            raw.driver_connection.create_function("hold", 0, hold)  # type: ignore[union-attr]
            await connection.execute(text("SELECT hold()"))

    task = asyncio.create_task(held())
    await until(entered.is_set)
    task.cancel()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.shield(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_free(other), "the statement has not ended yet"
    gate.set()
    await until(lambda: is_free(other))


async def test_a_rollback_that_fails_does_not_take_the_place_of_the_cancellation() -> None:
    entered, gate = threading.Event(), threading.Event()

    class Broken:
        def execute(self, *_: object) -> Broken:
            return self

        def close(self) -> None:
            pass

        def cursor(self) -> Any:
            entered.set()
            gate.wait(WITHIN)

        def interrupt(self) -> None:
            gate.set()

        def rollback(self) -> None:
            raise sqlite3.OperationalError("disk I/O error")

    async def nothing() -> None:
        pass

    thread = sqlitedriver.SQLiteThread()
    connection = sqlitedriver.SQLiteConnection(thread, cast("Any", Broken()))
    task = asyncio.create_task(connection.transact(nothing, lambda _: None))
    await until(entered.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    thread.end()


async def test_a_connection_whose_maker_was_cancelled_is_closed() -> None:
    entered, gate, closed = threading.Event(), threading.Event(), threading.Event()

    class Watched(sqlite3.Connection):
        def close(self) -> None:
            super().close()
            closed.set()

    def connect() -> sqlite3.Connection:
        entered.set()
        gate.wait(WITHIN)
        return Watched(":memory:")

    task = asyncio.create_task(sqlitedriver.connected(connect))
    await until(entered.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    await until(closed.is_set)


async def test_the_end_of_a_database_waits_for_connections_that_were_given_up(tmp_path: Path) -> None:
    """One that is closed after all others leaves its log behind."""
    database = await opened(tmp_path)
    gate = threading.Event()
    with suppress(StatementError):  # a transaction whose connection is gone cannot be committed
        async with database.read() as connection:
            await connection.scalar(text("SELECT 1"))
            assert connection.sync_connection is not None
            sqlitedriver.of(connection.sync_connection)._thread.post(gate.wait)
            await connection.invalidate()
    closing = asyncio.create_task(database.close())
    done, _ = await asyncio.wait([closing], timeout=0.2)
    assert not done
    gate.set()
    await closing
    assert not [path for path in tmp_path.iterdir() if path.name.endswith("-wal")]


async def test_threads_end_with_their_connections(tmp_path: Path) -> None:
    def threads() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == sqlitedriver.THREAD}

    before = threads()  # those of an earlier test may be about to end
    database = await opened(tmp_path)
    async with database.read() as one, database.read() as other:
        assert await one.scalar(text("SELECT 1")) == await other.scalar(text("SELECT 1"))
        assert len(threads() - before) == 2
    task = asyncio.create_task(transaction(database, 1_000_000))
    with beside(tmp_path) as watcher:
        await until(lambda: not is_free(watcher))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await database.close()
    await until(lambda: threads() <= before)


async def test_a_read_is_one_view_from_its_first_statement_to_its_end(database: Database) -> None:
    async def count(connection: Any) -> int:
        return int(await connection.scalar(text("SELECT count(*) FROM about WHERE name = 'x'")))

    async with database.read() as reader:
        assert await count(reader) == 0
        async with database.write() as writer:
            await writer.execute(about.insert().values(name="x", value=b""))
        assert await count(reader) == 0
    async with database.read() as reader:
        assert await count(reader) == 1


async def test_what_a_statement_did_is_told(database: Database) -> None:
    async with database.write() as connection:
        inserted = await connection.execute(about.insert(), [{"name": f"x{at}", "value": b""} for at in range(3)])
        assert inserted.rowcount == 3
        changed = await connection.execute(text("UPDATE about SET value = x'01' WHERE name LIKE 'x%' RETURNING name"))
        assert changed.keys() == ["name"]
        assert sorted(changed.scalars()) == ["x0", "x1", "x2"]
        found = await connection.execute(text("SELECT name FROM about WHERE name LIKE 'x%' ORDER BY name"))
        assert (found.fetchone(), found.fetchmany(1), found.fetchall()) == (("x0",), [("x1",)], [("x2",)])
        assert (await connection.execute(text("DELETE FROM about WHERE name = 'x1'"))).rowcount == 1


async def test_an_error_of_a_statement_leaves_its_connection_usable(database: Database) -> None:
    async with database.read() as connection:
        with pytest.raises(DBAPIError, match="no such table"):
            await connection.execute(text("SELECT 1 FROM nowhere"))
        assert await connection.scalar(text("SELECT 1")) == 1
