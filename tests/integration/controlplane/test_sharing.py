"""Writes that share a transaction, and what is remembered between pulls, on a real file beside other processes' connections."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.errors import DatabaseTrouble, SequenceError, StatementError
from controlplane.service import callers
from controlplane.service.callers import Caller
from controlplane.store import locations, sharing
from controlplane.store.database import Database
from controlplane.store.engines import sqlite
from controlplane.store.engines.engine import UNBEGUN
from controlplane.store.engines.sqlitedriver import SQLiteThread
from controlplane.store.tables import about, assignments
from controlplane.store.versions import MemoryKind
from controlplane.store.workers import Origin
from tests.integration.controlplane.plane import Plane
from tests.support.databases import new_database
from tests.support.protocol import PULL, item
from tests.support.waiting import until
from worker.wire import messages

WITHIN = 30.0
"""Seconds after which a thread that nobody lets go ends all the same."""
Work = Callable[[AsyncConnection], Any]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await new_database(tmp_path)
    yield opened
    await opened.close()


def adding(name: str, *, error: Exception | None = None) -> Work:
    async def add(connection: AsyncConnection) -> str:
        await connection.execute(about.insert().values(name=name, value=b"x"))
        if error is not None:
            raise error
        return name

    return add


async def refusing(_connection: AsyncConnection) -> None:
    raise SequenceError(7)


async def share(database: Database, *works: Work, weight: int = 1, patience: float = 0.0) -> list[Any]:
    """The ends of pieces that come while somebody else has the lock, so that they wait together."""
    async with database.write():
        pieces = [
            asyncio.ensure_future(database.share(work, location="here", weight=weight, patience=patience))
            for work in works
        ]
        await asyncio.sleep(0)
    return await asyncio.gather(*pieces, return_exceptions=True)


async def names(database: Database) -> set[str]:
    async with database.read() as connection:
        return set(await connection.scalars(select(about.c.name))) - {"key_check"}


def transactions(database: Database) -> list[object]:
    """Gains a member for each transaction that writes from now on."""
    begun: list[object] = []

    async def note(connection: AsyncConnection) -> None:
        begun.append(connection)

    database.before_write = note
    return begun


async def test_pieces_that_wait_go_in_one_transaction_and_each_hears_of_its_own_end(database: Database) -> None:
    begun = transactions(database)
    ends = await share(database, adding("a"), refusing, adding("b"))
    assert (ends[0], ends[2]) == ("a", "b")
    assert isinstance(ends[1], SequenceError)
    assert ends[1].last == 7
    assert await names(database) == {"a", "b"}
    assert len(begun) == 1 + 1  # ours, and theirs


async def test_one_that_fails_is_undone_and_the_others_are_not(database: Database) -> None:
    ends = await share(database, adding("a"), adding("b", error=ValueError("b")), adding("a"), adding("c"))
    assert (ends[0], ends[3]) == ("a", "c")
    assert isinstance(ends[1], ValueError)
    assert isinstance(ends[2], StatementError)  # the name was there already
    assert await names(database) == {"a", "c"}


def breaking_a_reference(times: list[str]) -> Work:
    """Work whose commit fails, for a reference that it leaves broken."""

    async def work(connection: AsyncConnection) -> str:
        times.append("done")
        await connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        await connection.execute(assignments.insert().values(test_id="none", location_id="none"))
        return "value"

    return work


async def test_a_shared_transaction_is_one_exchange_with_the_database(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await database.share(adding("first"), location="here", weight=1) == "first"
    submitted: list[object] = []
    submit = SQLiteThread.submit

    def counted(thread: SQLiteThread, function: Callable[[], Any]) -> asyncio.Future[Any]:
        submitted.append(function)
        return submit(thread, function)

    monkeypatch.setattr(SQLiteThread, "submit", counted)
    assert await database.share(adding("a"), location="here", weight=1) == "a"
    async with database.write():  # its end is over
        others = len(submitted) - 1  # our own beginning
    assert others == 1


async def test_whoever_is_told_ahead_leaves_the_block_when_it_is_committed(database: Database) -> None:
    async with database.share_ahead(adding("a"), location="here", weight=1) as value:
        assert value == "a"
    assert await names(database) == {"a"}
    with pytest.raises(ZeroDivisionError):
        async with database.share_ahead(adding("b"), location="here", weight=1):
            raise ZeroDivisionError
    assert await names(database) == {"a", "b"}


async def test_a_value_is_told_before_its_commit_which_an_error_of_the_teller_prevents(
    database: Database, tmp_path: Path
) -> None:
    seen: list[tuple[str, int]] = []

    def look(value: str) -> None:
        with closing(sqlite3.connect(tmp_path / "controlplane.db")) as other:
            ((found,),) = other.execute("SELECT count(*) FROM about WHERE name = ?", (value,))
        seen.append((value, found))
        if value == "b":
            raise ValueError("no")

    engine = sqlite.engine(tmp_path / "controlplane.db")
    pool = engine.connect(1).execution_options(**{UNBEGUN: True})
    async with pool.begin() as connection:
        assert await engine.transact(connection, partial(adding("a"), connection), look) == "a"
    with pytest.raises(ValueError, match="no"):
        async with pool.begin() as connection:
            await engine.transact(connection, partial(adding("b"), connection), look)
    await pool.dispose()
    assert seen == [("a", 0), ("b", 0)]
    assert await names(database) == {"a"}


async def test_a_commit_that_fails_is_told_at_the_end_of_the_block_and_nothing_is_done_again(
    database: Database,
) -> None:
    times: list[str] = []
    told: list[str] = []

    async def ahead() -> None:
        async with database.share_ahead(breaking_a_reference(times), location="here", weight=1) as value:
            told.append(value)

    async with database.write():
        pieces: list[asyncio.Future[Any]] = [asyncio.ensure_future(ahead())]
        pieces.append(asyncio.ensure_future(database.share(adding("beside"), location="here", weight=1)))
        await asyncio.sleep(0)
    ends = await asyncio.gather(*pieces, return_exceptions=True)
    assert isinstance(ends[0], StatementError)
    assert (times, told) == (["done"], ["value"])
    assert ends[1] == "beside"  # it was told nothing, and is done again alone
    assert await names(database) == {"beside"}


NAMES: MemoryKind[str, str] = MemoryKind((about,), most=10)


async def test_what_is_read_while_a_change_is_being_committed_is_not_taken_for_what_came_of_it(
    database: Database,
) -> None:
    memory = database.versions.memory(NAMES)
    before = memory.stamp()
    async with database.share_ahead(adding("a"), location="here", weight=1):
        meanwhile = memory.stamp()
        memory.keep("newest", "as it was", meanwhile)
    async with database.write():  # its end is over
        assert memory.recall("newest") is None
    assert len({before, meanwhile, memory.stamp()}) == 3


async def test_a_stale_number_is_raised_where_the_value_would_be(database: Database) -> None:
    with pytest.raises(SequenceError):
        async with database.share_ahead(refusing, location="here", weight=1):
            pytest.fail("there is no value")


async def test_what_is_heavy_goes_alone(database: Database) -> None:
    begun = transactions(database)
    assert await share(database, *map(adding, "abc"), weight=100) == ["a", "b", "c"]
    assert len(begun) == 1 + 3


async def test_one_whose_caller_is_gone_is_not_done(database: Database) -> None:
    async with database.write():
        gone = asyncio.ensure_future(database.share(adding("gone"), location="here", weight=1))
        stays = asyncio.ensure_future(database.share(adding("stays"), location="here", weight=1))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
    assert await stays == "stays"
    assert await names(database) == {"stays"}


async def test_patience_ends_with_the_first_who_has_none(database: Database) -> None:
    patient = asyncio.ensure_future(database.share(adding("patient"), location="here", weight=1, patience=3600))
    await asyncio.sleep(0)
    assert await database.share(adding("hasty"), location="here", weight=1) == "hasty"
    assert await patient == "patient"
    patient = asyncio.ensure_future(database.share(adding("again"), location="here", weight=1, patience=3600))
    await asyncio.sleep(0)
    database.hurry()
    assert await patient == "again"


async def test_one_that_waited_for_too_long_is_told_that_the_database_is_locked(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "TURN_SECONDS", -1.0)
    (end,) = await share(database, adding("late"))
    assert isinstance(end, StatementError)
    assert end.trouble is DatabaseTrouble.LOCKED
    assert await names(database) == set()


async def test_one_that_waits_for_a_transaction_without_an_end_is_told_so_too(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the disk hangs."""
    entered, gate = threading.Event(), threading.Event()
    monkeypatch.setattr(sharing, "LOOK_SECONDS", 0.01)

    def hang() -> bool:
        entered.set()
        return gate.wait(WITHIN)

    async def hanging(connection: AsyncConnection) -> Any:
        raw = await connection.get_raw_connection()
        raw.driver_connection.create_function("hang", 0, hang)  # type: ignore[union-attr]
        return await connection.scalar(text("SELECT hang()"))

    first = asyncio.ensure_future(database.share(hanging, location="here", weight=1))
    try:
        await until(entered.is_set)
        monkeypatch.setattr(sharing, "TURN_SECONDS", 0.0)
        with pytest.raises(StatementError) as late:
            await database.share(adding("late"), location="here", weight=1)
        assert late.value.trouble is DatabaseTrouble.LOCKED
    finally:
        gate.set()
    assert await first == 1
    assert await names(database) == set()


async def test_whoever_waits_when_the_database_is_closed_is_sent_home(database: Database) -> None:
    patient = asyncio.ensure_future(database.share(adding("a"), location="here", weight=1, patience=3600))
    await asyncio.sleep(0)
    await database.close()
    with pytest.raises(asyncio.CancelledError):
        await patient


async def by_another_process(plane: Plane) -> None:
    """Make the one test due at once as `sqlite3`, which nobody here hears of."""
    with closing(sqlite3.connect(plane.folder / "controlplane.db")) as other, other:
        other.execute("UPDATE assignments SET due_at = ?, waiting_since = due_at", (plane.now(),))
        other.execute("UPDATE assignments SET waiting_since = due_at")


async def by_a_command(plane: Plane) -> None:
    location = (await plane.rows(about.metadata.tables["locations"]))[0][0].id
    await plane.add_test(location, version=2)


@pytest.mark.parametrize("make_due", [by_another_process, by_a_command])
async def test_a_location_at_which_nothing_was_due_hears_of_what_is_due_now(
    plane: Plane, session: aiohttp.ClientSession, make_due: Callable[[Plane], Awaitable[None]]
) -> None:
    worker = await plane.add_location()
    await plane.add_test(worker.location, period=3600)
    (job,) = (await worker.pull(session)).jobs
    await worker.push(session, item(job))
    await plane.let_pass(20)
    for _ in range(3):
        assert not (await worker.pull(session)).jobs
    await make_due(plane)
    assert len((await worker.pull(session)).jobs) == 1


@pytest.mark.parametrize(
    ("statement", "status", "signed"),
    [
        ("UPDATE locations SET enabled = 0", 403, True),
        ("DELETE FROM credentials", 401, False),
        ("UPDATE credentials SET expires_at = 1", 401, False),
        ("UPDATE credentials SET location_id = 'pl:none'", 401, False),
        ("UPDATE locations SET name = 'elsewhere'", 204, True),
    ],
)
async def test_a_worker_that_is_remembered_is_let_in_only_as_another_process_left_it(
    plane: Plane, session: aiohttp.ClientSession, statement: str, status: int, signed: bool
) -> None:
    worker = await plane.add_location()
    assert (await worker.post(session, PULL, worker.pull_body(), "application/json")).status == 204
    before = (await plane.rows(about.metadata.tables["workers"]))[0][0]
    plane.clock.stall(1)
    with closing(sqlite3.connect(plane.folder / "controlplane.db")) as other, other:
        other.execute(statement)
    reply = await worker.post(session, PULL, worker.pull_body(host="a"), "application/json")
    assert (reply.status, reply.signed) == (status, signed)
    after = (await plane.rows(about.metadata.tables["workers"]))[0][0]
    assert (after != before) == (status == 204)


async def test_a_worker_that_is_remembered_is_not_when_its_file_ends(
    plane: Plane, session: aiohttp.ClientSession
) -> None:
    worker = await plane.add_location()
    async with plane.database.write() as connection:
        await locations.retire_credentials(connection, worker.location, expires_at=plane.now() + 2_000)
    statuses = []
    for _ in range(3):
        statuses.append((await worker.post(session, PULL, worker.pull_body(), "application/json")).status)
        plane.clock.stall(1)
    assert statuses == [204, 204, 401]


async def test_a_file_that_ends_while_its_worker_waits_for_its_turn_opens_nothing(
    plane: Plane, session: aiohttp.ClientSession
) -> None:
    worker = await plane.add_location()
    async with plane.database.write() as connection:
        await locations.retire_credentials(connection, worker.location, expires_at=plane.now() + 2_000)
    assert (await worker.post(session, PULL, worker.pull_body(), "application/json")).status == 204
    known = callers.recall(
        plane.database, plane.clock, access_key=worker.credentials.access_key, location=worker.location
    )
    assert known is not None
    origin = Origin(address="", access_key=worker.credentials.access_key)
    caller = Caller(access=known.access, origin=origin, worker=worker.id, seq=2, remembered=known.seen)
    now = plane.now()
    assert [callers.is_current(plane.database, caller, now=now + ms) for ms in (0, 1_999, 2_000)] == [True, True, False]


async def test_a_location_at_which_nothing_was_due_gives_out_what_comes_due_to_the_millisecond(
    plane: Plane, session: aiohttp.ClientSession
) -> None:
    worker = await plane.add_location()
    await plane.add_test(worker.location, period=120)
    (job,) = (await worker.pull(session)).jobs
    await worker.push(session, item(job))
    due_at = (await plane.rows(about.metadata.tables["assignments"]))[0][0].due_at
    await plane.let_pass(16)
    for left in (10_000, 1_000, 1):
        plane.clock.stall((due_at - left - plane.now()) / 1000)
        assert not (await worker.pull(session)).jobs
    plane.clock.stall(0.001)
    assert len((await worker.pull(session)).jobs) == 1


async def test_a_silent_workers_job_goes_to_one_that_was_told_that_there_is_nothing(
    plane: Plane, session: aiohttp.ClientSession
) -> None:
    worker = await plane.add_location()
    await plane.add_test(worker.location, period=3600)
    other = worker.another()
    await plane.let_pass(20)
    (job,) = (await worker.pull(session)).jobs
    again: list[messages.Job] = []
    for _ in range(20):
        again += (await other.pull(session)).jobs
        await plane.let_pass(1)
    assert [(one.job, one.delivery) for one in again[:1]] == [(job.job, 2)]
