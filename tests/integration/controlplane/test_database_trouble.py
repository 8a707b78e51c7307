"""A database that has no connection left, is held by others, or is gone: a signed 503 or a loud end, and never a traceback."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing, suppress
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from controlplane import app
from controlplane.app import ServeSettings
from controlplane.errors import DatabaseTrouble, ReplacedError, StatementError
from controlplane.rest.callers import KnownCallers
from controlplane.service.upkeep import Retention
from controlplane.store import database as store_database
from controlplane.store.database import Database, Keyring, Opening, open_database
from controlplane.store.engines import sqlite
from controlplane.store.locations import Access
from tests.integration.controlplane.plane import Plane, served
from tests.integration.controlplane.process import prepare, serving
from tests.support.protocol import PULL, RESULTS, ProtocolWorker, Reply
from tests.support.waiting import until
from worker.clock import SystemClock
from worker.secret import Secret

CONNECTIONS = 15
"""All that a pool gives out: SQLAlchemy's default of five and ten more."""


@pytest.fixture
async def hurried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Plane]:
    """A control plane that waits for nothing for long."""
    monkeypatch.setattr(sqlite, "POOL_SECONDS", 0.05)
    monkeypatch.setattr(sqlite, "BUSY_MILLISECONDS", 50)
    monkeypatch.setattr(store_database, "TURN_SECONDS", 0.05)
    async with served(tmp_path) as plane:
        yield plane


async def pull(worker: ProtocolWorker, session: aiohttp.ClientSession) -> Reply:
    return await worker.post(session, PULL, worker.pull_body(), "application/json")


async def write(database: Database) -> None:
    async with database.write():
        pass


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert [record for record in caplog.records if record.exc_info] == [], "a traceback"
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_pool_without_a_connection_left_is_a_signed_503_for_who_was_heard_before(
    hurried: Plane, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    worker, stranger = await hurried.add_location("office"), await hurried.add_location("lab")
    assert (await pull(worker, session)).status == 204
    async with AsyncExitStack() as stack:
        for _ in range(CONNECTIONS):
            await stack.enter_async_context(hurried.database.read())
        remembered, unknown = await pull(worker, session), await pull(stranger, session)
        known = await worker.post(session, RESULTS, worker.results_body(), "application/jose")
    assert remembered.status == 204  # it needs none
    assert (known.status, known.signed, known.refusal.error) == (503, True, "database")
    assert known.headers["retry-after"] == "1"
    assert (unknown.status, unknown.signed) == (503, False)
    assert len(errors(caplog)) == 2
    assert (await pull(worker, session)).status == 204


async def test_who_signs_with_another_secret_gets_no_signature_while_the_database_does_not_answer(
    hurried: Plane, session: aiohttp.ClientSession
) -> None:
    worker = await hurried.add_location("office")
    await pull(worker, session)
    worker.credentials = worker.credentials.__class__(
        worker.credentials.access_key, Secret("other"), worker.credentials.location
    )
    async with AsyncExitStack() as stack:
        for _ in range(CONNECTIONS):
            await stack.enter_async_context(hurried.database.read())
        reply = await pull(worker, session)
    assert (reply.status, reply.signed) == (401, False)


async def test_a_writer_that_waits_for_others_of_its_process_gives_up_in_time(hurried: Plane) -> None:
    async with hurried.database.write():
        with pytest.raises(StatementError, match="other writers did not end within") as caught:
            await write(hurried.database)
    assert caught.value.trouble is DatabaseTrouble.LOCKED
    await write(hurried.database)


async def test_an_error_of_the_pool_is_one_of_the_database(hurried: Plane) -> None:
    async def misuse() -> None:
        async with hurried.database.write() as connection:
            await connection.rollback()
            await connection.begin()
            await connection.begin()

    with pytest.raises(StatementError) as caught:
        await misuse()
    assert isinstance(caught.value.__cause__, SQLAlchemyError)
    await write(hurried.database)


@pytest.mark.parametrize("instead", [None, b""], ids=["deleted", "replaced"])
async def test_a_database_that_is_gone_is_written_to_no_more(
    plane: Plane, session: aiohttp.ClientSession, instead: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    worker = await plane.add_location("office")
    await pull(worker, session)
    path = plane.folder / "controlplane.db"
    aside = path.rename(plane.folder / "aside.db")
    if instead is not None:
        path.write_bytes(instead)
    reply = await pull(worker, session)
    assert (reply.status, reply.signed, reply.refusal.error) == (503, True, "database")
    assert "was deleted or replaced while it was open" in errors(caplog)[0]
    with pytest.raises(ReplacedError):
        await plane.database.check_schema()
    aside.rename(path)
    assert (await pull(worker, session)).status == 204


async def test_what_was_written_while_the_database_was_replaced_is_not_said_to_be_stored(plane: Plane) -> None:
    async def replace_meanwhile() -> None:
        async with plane.database.write() as connection:
            await connection.execute(text("CREATE TABLE t (x)"))
            (plane.folder / "controlplane.db").rename(plane.folder / "aside.db")

    with pytest.raises(ReplacedError):
        await replace_meanwhile()
    (plane.folder / "aside.db").rename(plane.folder / "controlplane.db")
    async with plane.database.read() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 't'")) == 0


def test_serve_ends_loudly_when_its_database_is_deleted(tmp_path: Path) -> None:
    prepare(tmp_path)
    with serving(tmp_path) as plane:
        (tmp_path / "c.db").unlink()
        assert plane.process.wait(60) == 2
    last = (tmp_path / "serve.log").read_text().splitlines()[-1]
    assert last.startswith(f"Error: database {tmp_path / 'c.db'} was deleted or replaced while it was open: ")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServeSettings:
    monkeypatch.setattr(sqlite, "BUSY_MILLISECONDS", 20)
    prepare(tmp_path)
    engine = sqlite.engine(tmp_path / "c.db")
    return ServeSettings(
        engine=engine,
        keyring=Keyring(path=engine.key_file),
        host="127.0.0.1",
        port=0,
        retention=Retention(age_ms=30 * 86_400_000),
    )


def _unsaid(_: object) -> None:
    """Nobody is there to hear it."""


async def test_a_lock_that_is_held_at_the_start_is_waited_for_and_said(
    settings: ServeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    announced: list[str] = []
    with closing(sqlite3.connect(settings.engine.place, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        told = app.Announcements(listening=announced.append, first_link=_unsaid)
        start = asyncio.create_task(app.serve(settings, SystemClock(), told))
        await until(lambda: f"database {settings.engine.place} is locked by another process" in caplog.text)
        assert announced == []
        other.execute("COMMIT")
        await until(lambda: bool(announced) or start.done())
    assert announced
    start.cancel()
    with suppress(asyncio.CancelledError):
        await start


async def test_a_lock_that_is_never_given_back_ends_the_start_in_one_line(
    settings: ServeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "LOCK_SECONDS", 0)
    with closing(sqlite3.connect(settings.engine.place, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StatementError, match="database is locked"):
            await app.serve(settings, SystemClock(), app.Announcements(listening=_unsaid, first_link=_unsaid))


async def test_no_thread_for_a_connection_is_trouble_of_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = sqlite.engine(tmp_path / "c.db")
    database = await open_database(engine, Keyring(path=engine.key_file), Opening(create=True))
    async with database.read():  # the pool's one connection is in use
        with monkeypatch.context() as shortage:
            shortage.setattr("threading.Thread.start", _no_thread)
            with pytest.raises(StatementError, match="no connection: can't start new thread"):
                await write(database)
    await write(database)
    await database.close()


def _no_thread(_thread: object) -> None:
    raise RuntimeError("can't start new thread")


def test_of_many_callers_the_longest_unheard_is_forgotten() -> None:
    known = KnownCallers(most=2)
    access = Access.__new__(Access)
    for key in ("a", "b", "a", "c"):
        known.remember(key, "pl:x", access)
    assert [known.recall(key, "pl:x") is not None for key in "abc"] == [True, False, True]
    assert known.recall("a", "pl:y") is None
