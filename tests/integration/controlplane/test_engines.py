"""The border of the engines: what an error of the driver means, told by real errors of real files."""

from __future__ import annotations

import resource
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from controlplane.errors import DatabaseError, DatabaseTrouble, StatementError
from controlplane.store.database import Database, Keyring, Opening, open_database
from controlplane.store.engines import sqlite
from controlplane.store.engines.choice import choose
from controlplane.store.tables import about


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "controlplane.db"


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        yield connection


def trouble_of(path: Path, *statements: str) -> DatabaseTrouble:
    """The meaning of the error that the last of *statements* ends with."""
    with connected(path) as connection:
        for statement in statements[:-1]:
            connection.execute(statement)
        with pytest.raises(sqlite3.Error) as caught:
            connection.execute(statements[-1])
    return sqlite.engine(path).trouble(DBAPIError(statements[-1], None, caught.value))


def test_a_path_is_a_sqlite_file_with_its_key_beside_it(path: Path) -> None:
    engine = choose(str(path))
    assert (engine.place, engine.key_file) == (str(path), path.with_name("controlplane.db.key"))


def test_a_lock_that_another_holds_is_told(path: Path) -> None:
    with connected(path) as other:
        other.execute("BEGIN IMMEDIATE")
        assert trouble_of(path, "BEGIN IMMEDIATE") is DatabaseTrouble.LOCKED


def test_a_full_database_is_told(path: Path) -> None:
    statements = ("CREATE TABLE t (x)", "PRAGMA max_page_count = 2", "INSERT INTO t VALUES (zeroblob(100000))")
    assert trouble_of(path, *statements) is DatabaseTrouble.FULL


def test_a_read_only_database_is_told(path: Path) -> None:
    assert trouble_of(path, "PRAGMA query_only = 1", "CREATE TABLE t (x)") is DatabaseTrouble.READ_ONLY


def test_any_other_error_is_other_trouble(path: Path) -> None:
    assert trouble_of(path, "SELECT nonsense") is DatabaseTrouble.OTHER
    of_the_driver = DBAPIError("", None, sqlite3.ProgrammingError("closed"))
    assert sqlite.engine(path).trouble(of_the_driver) is DatabaseTrouble.OTHER


async def test_a_failed_statement_leaves_the_store_as_an_error_of_ours(path: Path) -> None:
    async def write(database: Database) -> None:
        async with database.write() as connection:
            await connection.execute(text("PRAGMA query_only = 1"))
            await connection.execute(about.insert().values(name="x", value=b"x"))

    engine = sqlite.engine(path)
    database = await open_database(engine, Keyring(path=engine.key_file), Opening(create=True))
    with pytest.raises(StatementError) as caught:
        await write(database)
    await database.close()
    error = caught.value
    assert (error.trouble, error.reason) == (DatabaseTrouble.READ_ONLY, "attempt to write a readonly database")
    assert str(error) == f"database {path}: attempt to write a readonly database"
    assert isinstance(error, DatabaseError)
    assert isinstance(error.__cause__, DBAPIError)


async def test_a_database_that_can_be_written_passes_the_check_again_and_again(path: Path) -> None:
    engine = sqlite.engine(path)
    database = await open_database(engine, Keyring(path=engine.key_file), Opening(create=True))
    for _ in range(2):
        await database.check_writing()
    await database.close()


def test_a_backup_holds_what_was_committed_while_a_writer_has_the_lock(path: Path) -> None:
    with connected(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES ('kept')")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE t SET x = 'lost'")
        backup = sqlite.engine(path).back_up("schema-0001")
    assert backup == path.with_name("controlplane.db.schema-0001.backup")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with connected(backup) as copy:
        assert copy.execute("SELECT x FROM t").fetchall() == [("kept",)]
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_backup_replaces_none(path: Path) -> None:
    with connected(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    backups = [sqlite.engine(path).back_up("schema-0001").name for _ in range(3)]
    assert backups == [f"controlplane.db.schema-0001{number}.backup" for number in ("", "-2", "-3")]


def test_a_backup_that_cannot_be_written_leaves_nothing(path: Path) -> None:
    """A file of two pages fits; its copy, of as many, does not: sizes above the limit fail as a full disk does."""
    with connected(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(DatabaseError, match=r"its copy .*schema-0001\.backup cannot be written: "):
            sqlite.engine(path).back_up("schema-0001")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
