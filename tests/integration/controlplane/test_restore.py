"""`backup` under load and `restore`: what was accepted before the backup is there, and nothing that is in use is replaced."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from controlplane.cli import main
from tests.integration.controlplane.process import command, prepare, serving, stored, worker_of
from tests.integration.controlplane.typed import Run
from tests.support.protocol import ProtocolWorker, item
from tests.support.schemas import first_schema
from tests.support.waiting import until

TESTS = 60


def refused(folder: Path, *arguments: str) -> str:
    result = CliRunner().invoke(main, ["--database", str(folder / "c.db"), *arguments])
    assert result.exit_code == 2, result.output
    return result.output


def backup_of(folder: Path) -> Path:
    (folder / "copies").mkdir(exist_ok=True)
    command(folder, "backup", str(folder / "copies"))
    return max((folder / "copies").iterdir())


async def work_on(worker: ProtocolWorker, session: aiohttp.ClientSession, accepted: list[str]) -> None:
    """Run what is due, two at a time, and note each result that the control plane said it has."""
    while jobs := (await worker.pull(session, free_slots=2)).jobs:
        reply = await worker.push(session, *[item(job) for job in jobs])
        accepted += reply.accepted


async def test_all_that_was_accepted_before_a_backup_under_load_is_there_after_a_restore(tmp_path: Path) -> None:
    prepare(tmp_path, tests=TESTS)
    accepted: list[str] = []
    async with aiohttp.ClientSession() as session:
        with serving(tmp_path) as plane:
            worker = worker_of(tmp_path, plane.url)
            working = asyncio.create_task(work_on(worker, session, accepted))
            await until(lambda: len(accepted) >= 10)
            before = set(accepted)
            copy = await asyncio.to_thread(backup_of, tmp_path)
            await working
            assert len(accepted) == TESTS
    for file in tmp_path.glob("c.db*"):
        if file.suffix != ".key":
            file.unlink()

    assert f"database {tmp_path / 'c.db'} is now as {copy} has it" in command(tmp_path, "restore", str(copy))

    after = {str(one["id"]) for one in stored(tmp_path)}
    assert before <= after <= set(accepted)
    async with aiohttp.ClientSession() as session:
        with serving(tmp_path) as plane:
            worker.url = plane.url
            again: list[str] = []
            await work_on(worker, session, again)
    assert {str(one["id"]) for one in stored(tmp_path)} >= after | set(again)
    assert len(after) + len(again) == TESTS, "what was not in the copy is run once more"


def test_a_database_that_is_served_is_not_replaced_even_by_force(tmp_path: Path) -> None:
    prepare(tmp_path)
    copy = backup_of(tmp_path)
    with serving(tmp_path):
        assert "is open elsewhere: stop `serve`" in refused(tmp_path, "restore", str(copy), "--force")
        command(tmp_path, "location", "create", "lab", "--output", str(tmp_path / "lab.json"))
    assert not list(tmp_path.glob("*.part"))
    names = [json.loads(line)["name"] for line in command(tmp_path, "location", "list", "--json").splitlines()]
    assert names == ["lab", "office"], "who serves goes on writing into the same database"


def test_a_database_that_is_there_is_replaced_by_force_alone_and_kept(tmp_path: Path) -> None:
    prepare(tmp_path)
    copy = backup_of(tmp_path)
    command(tmp_path, "location", "create", "lab", "--output", str(tmp_path / "lab.json"))
    assert "exists; --force puts the copy in its place and keeps it" in refused(tmp_path, "restore", str(copy))
    said = command(tmp_path, "restore", str(copy), "--force")
    kept = tmp_path / "c.db.replaced.backup"
    assert f"as it was before: {kept}" in said
    assert [json.loads(line)["name"] for line in command(tmp_path, "location", "list", "--json").splitlines()] == [
        "office"
    ]
    with closing(sqlite3.connect(kept)) as connection:
        assert [name for (name,) in connection.execute("SELECT name FROM locations ORDER BY name")] == ["lab", "office"]


@pytest.mark.parametrize("rest", [b"", b"x" * 5000], ids=["empty", "garbage"])
def test_a_database_that_cannot_be_read_any_more_is_replaced_and_kept(tmp_path: Path, rest: bytes) -> None:
    prepare(tmp_path)
    copy = backup_of(tmp_path)
    (tmp_path / "c.db").write_bytes(rest)
    (tmp_path / "c.db-wal").write_bytes(b"what was written last")
    command(tmp_path, "restore", str(copy), "--force")
    assert (tmp_path / "c.db.replaced.backup").read_bytes() == rest
    assert [json.loads(line)["name"] for line in command(tmp_path, "location", "list", "--json").splitlines()] == [
        "office"
    ]


def test_a_copy_with_a_damaged_page_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    prepare(tmp_path, tests=300)
    copy = backup_of(tmp_path)
    with closing(sqlite3.connect(copy)) as connection:  # a page by its number may be one that nothing uses
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'assignments'").fetchone()
    data = bytearray(copy.read_bytes())
    data[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    copy.write_bytes(data)
    before = (tmp_path / "c.db").read_bytes()
    assert f"{copy}: " in refused(tmp_path, "restore", str(copy), "--force")
    assert (tmp_path / "c.db").read_bytes() == before
    assert not list(tmp_path.glob("c.db.re*"))


def test_what_is_no_copy_of_ours_is_refused_in_one_line(tmp_path: Path, run: Run) -> None:
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE x (y)")
    (tmp_path / "text").write_text("hello" * 1000)
    for file, reason in (
        (other, "is not one of this program"),
        (tmp_path / "text", "cannot be restored: file is not a database"),
        (tmp_path / "missing", "cannot be restored: unable to open database file"),
    ):
        said = run("restore", str(file), code=2).output
        assert reason in said
        assert len(said.splitlines()) == 1
    assert not list(tmp_path.glob("controlplane.db*"))


def test_a_copy_without_its_key_or_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path)
    copy = backup_of(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert "key file" in refused(elsewhere, "restore", str(copy))
    shutil.copy(tmp_path / "c.db.key", elsewhere / "c.db.key")
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "newer version" in refused(elsewhere, "restore", str(copy))
    assert [path.name for path in elsewhere.iterdir()] == ["c.db.key"]


def test_a_copy_of_an_older_version_is_restored_and_the_cure_named(tmp_path: Path) -> None:
    copy = first_schema(tmp_path / "old.db")
    shutil.copy(tmp_path / "old.db.key", tmp_path / "c.db.key")
    assert "its schema 0001 is older" in command(tmp_path, "restore", str(copy))
    command(tmp_path, "migrate", "--no-backup")
    assert command(tmp_path, "test", "list") is not None
