"""Opening a database: what is made, what is refused and in which words, and that the migrations make the tables that are used."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
import stat
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, select, text

from controlplane.errors import DatabaseError, OutdatedError, SchemaError
from controlplane.schedule import Timetable
from controlplane.store import migrations, tests
from controlplane.store.alerttables import monitors
from controlplane.store.database import USE, Database, Keyring, Opening, Upgrade, open_database
from controlplane.store.engines import sqlite
from controlplane.store.prepared import Prepared
from controlplane.store.runnertables import runners
from controlplane.store.tables import REVISION, about, assignments, jobs, locations, metadata
from tests.support.schemas import first_schema, schema
from worker.secret import Secret


def keyring(path: Path) -> Keyring:
    return Keyring(path=path.with_name(f"{path.name}.key"))


def stored_test(public_id: str) -> tests.StoredTest:
    return tests.StoredTest(
        public_id=public_id,
        name="shop",
        subtype="http",
        version=1,
        paused=False,
        period_ms=60_000,
        definition="{}",
        modified_at=1,
    )


async def make(path: Path) -> None:
    await (await open_database(sqlite.engine(path), keyring(path), Opening(create=True))).close()


async def refusal(path: Path, ring: Keyring | None = None, *, create: bool = False) -> str:
    with pytest.raises(DatabaseError) as caught:
        await open_database(sqlite.engine(path), ring or keyring(path), Opening(create=create))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "controlplane.db"


async def test_the_database_and_its_key_are_made_private(path: Path) -> None:
    await make(path)
    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {
        "controlplane.db": 0o600,
        "controlplane.db.key": 0o600,
    }


async def test_what_is_committed_is_on_disk(path: Path) -> None:
    """2 is FULL (https://sqlite.org/pragma.html): the WAL is synced at every commit."""
    database = await open_database(sqlite.engine(path), keyring(path), Opening(create=True))
    async with database.read() as connection:
        assert await connection.scalar(text("PRAGMA synchronous")) == 2
        assert await connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert await connection.scalar(text("PRAGMA foreign_keys")) == 1
    await database.close()


async def test_the_migrations_make_exactly_the_tables_that_are_used(path: Path) -> None:
    def differences(connection: Connection) -> list[object]:
        assert {runners.name, monitors.name} <= set(metadata.tables), "files of tables of their own"
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))

    await make(path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert differences(connection) == []
    engine.dispose()


def test_the_newest_migration_is_the_one_that_the_program_knows() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


async def test_many_openers_of_a_new_database_agree_on_one_key(path: Path) -> None:
    opened = await asyncio.gather(
        *(open_database(sqlite.engine(path), keyring(path), Opening(create=True)) for _ in range(5))
    )
    sealed = opened[0].sealer.seal(b"secret", "place")
    assert {database.sealer.open(sealed, "place").reveal() for database in opened} == {b"secret"}
    await asyncio.gather(*(database.close() for database in opened))


async def test_a_missing_database_is_not_made_by_the_way(path: Path) -> None:
    assert await refusal(path) == f"database {path} does not exist; `serve` and `location create` make it"
    assert list(path.parent.iterdir()) == []


async def test_an_empty_file_is_filled_only_by_what_may_make_one(path: Path) -> None:
    path.touch()
    assert "is empty" in await refusal(path)
    await make(path)


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "No such file or directory" in await refusal(tmp_path / "none" / "x.db", create=True)


async def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.write_text("name,value\n" * 200)
    assert await refusal(path) == f"database {path}: file is not a database"


async def test_the_database_of_another_program_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    assert await refusal(path, create=True) == f"database {path} belongs to something else: it has a table 'bookmarks'"


async def test_a_newer_schema_is_refused(path: Path) -> None:
    await make(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert await refusal(path) == (
        f"database {path} has schema '9999': it was made by a newer version than this one, which knows {REVISION}"
    )


@pytest.fixture
def outdated(path: Path) -> Path:
    """A database as the first version made it, with a row."""
    first_schema(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO about VALUES ('mark', X'6F6C64')")
        connection.commit()
    return path


def revision(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


@pytest.mark.parametrize("opening", [USE, Opening(create=True)], ids=["use", "create"])
async def test_only_who_may_changes_an_older_schema(outdated: Path, opening: Opening) -> None:
    with pytest.raises(OutdatedError) as caught:
        await open_database(sqlite.engine(outdated), keyring(outdated), opening)
    assert str(caught.value) == (
        f"database {outdated} has schema '0001' of an older version; this one needs '{REVISION}'"
    )
    assert revision(outdated) == "0001"
    assert list(outdated.parent.glob("*.backup*")) == []


async def test_an_upgrade_leaves_the_database_as_it_was_beside_it(outdated: Path) -> None:
    database = await open_database(sqlite.engine(outdated), keyring(outdated), Opening(upgrade=True))
    backup = outdated.with_name("controlplane.db.schema-0001.backup")
    assert database.upgraded == Upgrade(from_revision="0001", backup=backup)
    await database.close()
    assert (revision(outdated), revision(backup)) == (REVISION, "0001")
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("SELECT value FROM about WHERE name = 'mark'").fetchone() == (b"old",)
    again = await open_database(sqlite.engine(outdated), keyring(outdated), Opening(upgrade=True))
    assert again.upgraded is None
    await again.close()


async def test_an_upgrade_without_its_key_changes_nothing_and_leaves_no_backup(outdated: Path) -> None:
    wrong = Keyring(path=outdated, key=Secret(b"l" * 32), origin="CONTROLPLANE_KEY")
    with pytest.raises(DatabaseError, match="another key than the one in CONTROLPLANE_KEY"):
        await open_database(sqlite.engine(outdated), wrong, Opening(upgrade=True))
    assert revision(outdated) == "0001"
    assert list(outdated.parent.glob("*.backup*")) == []


async def test_two_upgrades_at_once_are_one(outdated: Path) -> None:
    opened = await asyncio.gather(
        *(open_database(sqlite.engine(outdated), keyring(outdated), Opening(upgrade=True)) for _ in range(2))
    )
    assert [database.upgraded is None for database in opened].count(False) == 1
    for database in opened:
        await database.close()
    assert len(list(outdated.parent.glob("*.backup*"))) == 1


async def test_a_schema_that_changes_under_an_open_database_is_noticed(path: Path) -> None:
    database = await open_database(sqlite.engine(path), keyring(path), Opening(create=True))
    await database.check_schema()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaError, match="made by a newer version than this one"):
        await database.check_schema()
    await database.close()


async def test_a_missing_key_is_not_made_anew(path: Path) -> None:
    await make(path)
    key = path.with_name("controlplane.db.key")
    key.unlink()
    assert await refusal(path, create=True) == f"key file {key}: No such file or directory"
    assert not key.exists()


async def test_a_wrong_key_file_is_named(path: Path) -> None:
    await make(path)
    key = path.with_name("other.key")
    key.write_text(base64.b64encode(b"x" * 32).decode())
    key.chmod(0o600)
    said = await refusal(path, Keyring(path=key, given=True))
    assert said == f"database {path} was sealed with another key than the one in key file {key}"


async def test_a_key_that_was_named_is_not_made(path: Path) -> None:
    said = await refusal(path, Keyring(path=path.with_name("named.key"), given=True), create=True)
    assert said == f"key file {path.with_name('named.key')}: No such file or directory"


async def test_a_key_from_the_environment_leaves_no_file(path: Path) -> None:
    ring = Keyring(path=path.with_name("x.key"), key=Secret(b"k" * 32), origin="CONTROLPLANE_KEY")
    await (await open_database(sqlite.engine(path), ring, Opening(create=True))).close()
    assert not path.with_name("x.key").exists()
    wrong = Keyring(path=path.with_name("x.key"), key=Secret(b"l" * 32), origin="CONTROLPLANE_KEY")
    assert "another key than the one in CONTROLPLANE_KEY" in await refusal(path, wrong)


async def test_a_failed_transaction_leaves_nothing(path: Path) -> None:
    async def fail(database: Database) -> None:
        async with database.write() as connection:
            await connection.execute(about.insert().values(name="x", value=b"x"))
            raise RuntimeError

    database = await open_database(sqlite.engine(path), keyring(path), Opening(create=True))
    with pytest.raises(RuntimeError):
        await fail(database)
    async with database.read() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM about WHERE name = 'x'")) == 0
    await database.close()


async def test_a_cancelled_writer_frees_the_lock_and_leaves_nothing(path: Path) -> None:
    database = await open_database(sqlite.engine(path), keyring(path), Opening(create=True))
    inside = asyncio.Event()

    async def hold() -> None:
        async with database.write() as connection:
            await connection.execute(about.insert().values(name="x", value=b"x"))
            inside.set()
            await asyncio.Event().wait()

    writer = asyncio.create_task(hold())
    await inside.wait()
    waiter = asyncio.create_task(hold())
    await asyncio.sleep(0)
    for task in (waiter, writer):
        task.cancel()
    await asyncio.wait({writer, waiter})

    async with database.write() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM about WHERE name = 'x'")) == 0
    await database.close()


async def test_readers_see_what_was_committed_and_wait_for_no_writer(path: Path) -> None:
    database = await open_database(sqlite.engine(path), keyring(path), Opening(create=True))
    async with database.write() as writer:
        await writer.execute(about.insert().values(name="x", value=b"x"))
        async with database.read() as reader:
            assert await reader.scalar(text("SELECT count(*) FROM about WHERE name = 'x'")) == 0
    async with database.read() as reader:
        assert await reader.scalar(text("SELECT count(*) FROM about WHERE name = 'x'")) == 1
    await database.close()


async def test_a_transaction_of_prepared_statements_alone_is_committed_and_one_that_fails_is_not(path: Path) -> None:
    """SQLAlchemy hears of none of them."""
    await make(path)
    add = Prepared(about.insert(), "name", "value")
    database = await open_database(sqlite.engine(path), keyring(path))

    async def given_up() -> None:
        async with database.write() as connection:
            await add.each(connection, [{"name": "given up", "value": b""}])
            raise ValueError("enough")

    async with database.write() as connection:
        await add.each(connection, [{"name": "kept", "value": b""}])
    with pytest.raises(ValueError, match="enough"):
        await given_up()
    await database.close()
    with closing(sqlite3.connect(path)) as connected:
        stored = {name for (name,) in connected.execute("SELECT name FROM about")}
    assert stored == {"key_check", "kept"}


async def test_a_database_of_the_first_schema_is_brought_up_to_date_with_its_jobs(path: Path) -> None:
    first_schema(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            INSERT INTO locations VALUES ('l', 'office', 1, 'http://127.0.0.1', 1);
            INSERT INTO jobs (id, test_id, location_id, scheduled_at, until, delivery, leased_at)
                VALUES ('j', 'abc-def-ghi', 'l', 1, 2, 2, 1);
            INSERT INTO tests VALUES ('abc-def-ghi', 'shop', 'http', 1, 0, 60000, '{"tags": ["team:shop", "eu"]}', 1, 1);
            INSERT INTO assignments (test_id, location_id) VALUES ('abc-def-ghi', 'l');
            INSERT INTO results (seq, id, origin, test_id, test_name, location_id, status, runs, stored_at, outcome)
                VALUES (1, 'a', 'worker', 'abc-def-ghi', 'shop', 'l', 'failed', 1, 70, '{}'),
                       (2, 'b', 'worker', 'abc-def-ghi', 'shop', 'l', 'passed', 1, 80, '{}'),
                       (3, 'c', 'worker', 'abc-def-ghi', 'shop', 'elsewhere', 'failed', 1, 90, '{}');
            """
        )

    database = await open_database(sqlite.engine(path), keyring(path), Opening(upgrade=True))

    async with database.read() as connected:
        found = await tests.by_id(connected, "abc-def-ghi")
        (job,) = (await connected.execute(select(jobs))).all()
        (assigned,) = (await connected.execute(select(assignments))).all()
    assert (assigned.last_status, assigned.last_at, assigned.last_duration_ms) == ("passed", 80, None)
    assert (job.id, job.delivery, job.released) == ("j", 2, 0)
    assert found is not None
    assert found.tags == ("team:shop", "eu")
    await database.close()


def phases(ids: Sequence[str]) -> list[int]:
    return [Timetable.of(test, "l", 60_000).offset for test in ids]


def stored_order(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [test for (test,) in connection.execute("SELECT test_id FROM assignments ORDER BY rowid")]


async def test_assignments_lie_in_the_order_of_their_phases_whatever_they_were_made_in(path: Path) -> None:
    """Runs that are due together are given out together: their rows share pages then."""
    await make(path)
    database = await open_database(sqlite.engine(path), keyring(path))
    ids = [f"abc-def-{number:03}" for number in range(300)]
    async with database.write() as connection:
        await connection.execute(
            locations.insert().values(id="l", name="office", enabled=True, intake_url="http://127.0.0.1", created_at=1)
        )
        for some in (ids[:200], ids[200:]):
            new = [stored_test(one) for one in some]
            await tests.add(connection, new, now=1)
            await tests.assign(connection, new, "l", enabled=True, now=1)
    await database.close()

    stored = stored_order(path)
    assert phases(stored) == sorted(phases(ids)) != phases(ids)
    assert sorted(stored) == ids


async def test_assignments_of_before_are_brought_into_the_order_of_their_phases(path: Path) -> None:
    ids = [f"abc-{number:07}" for number in range(10_300)]  # more than one step
    schema(path, "0021")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO locations (id, name, enabled, intake_url, created_at) VALUES ('l', 'office', 1, 'u', 1)"
        )
        connection.executemany(
            "INSERT INTO tests (public_id, name, subtype, version, paused, period_ms, definition, created_at, modified_at)"
            " VALUES (?, 'shop', 'http', 1, 0, 60000, '{}', 1, 1)",
            [(one,) for one in ids],
        )
        connection.executemany(
            "INSERT INTO assignments (test_id, location_id, due_at) VALUES (?, 'l', ?)",
            [(one, at) for at, one in enumerate(ids)],
        )
        connection.commit()
    assert stored_order(path) == ids

    database = await open_database(sqlite.engine(path), keyring(path), Opening(upgrade=True))
    async with database.read() as connected:
        assigned = (await connected.execute(select(assignments.c.test_id, assignments.c.due_at))).all()
    await database.close()

    assert phases(stored_order(path)) == sorted(phases(ids))
    assert {row.test_id: row.due_at for row in assigned} == {one: at for at, one in enumerate(ids)}
