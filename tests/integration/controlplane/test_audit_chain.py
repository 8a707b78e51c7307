"""The chain of the control plane's audit log (check 28): what is removed, altered or moved is found, and its place is named."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.controlplane.typed import Run

FILE, COPY = Path("controlplane.db"), Path("copy.db")
SWAP = (
    "UPDATE audit SET seq = 99 WHERE seq = 3",
    "UPDATE audit SET seq = 3 WHERE seq = 4",
    "UPDATE audit SET seq = 4 WHERE seq = 99",
)


def change(*statements: str) -> None:
    """Write the database as somebody does who has nothing but the file."""
    with closing(sqlite3.connect(FILE)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def log(run: Run) -> None:
    """Six changes."""
    run("runner", "create", "berlin")
    for verb in ("disable", "enable", "disable", "enable", "revoke"):
        run("runner", verb, "berlin")
    assert run("audit", "verify").output.startswith("6 changes, 0 findings; the last one has ")


@pytest.mark.parametrize(
    ("statement", "places"),
    [
        ("DELETE FROM audit WHERE seq = 3", ["4"]),
        ("UPDATE audit SET actor = 'mallory' WHERE seq = 3", ["4"]),
        ("UPDATE audit SET after = '{}' WHERE seq = 5", ["6"]),
        ("UPDATE audit SET prev = NULL WHERE seq = 3", ["3", "4"]),
        ("; ".join(SWAP), ["3", "4", "5"]),
        ("UPDATE audit SET seq = 99 WHERE seq = 2", ["3", "99"]),
    ],
)
def test_each_entry_that_is_removed_altered_or_moved_is_found(
    log: None, run: Run, statement: str, places: list[str]
) -> None:
    change(*statement.split("; "))
    output = run("audit", "verify", code=1).output
    assert [line.split()[2].rstrip(":") for line in output.splitlines() if line.startswith("before")] == places


def test_the_end_is_known_by_its_digest_and_the_beginning_may_be_gone(log: None, run: Run) -> None:
    whole = run("audit", "verify").output
    shutil.copy(FILE, COPY)
    change("DELETE FROM audit WHERE seq = 6")
    assert run("audit", "verify").output.split()[-1] != whole.split()[-1]
    shutil.copy(COPY, FILE)
    change("DELETE FROM audit WHERE seq < 3")  # as what is too old goes
    assert run("audit", "verify").output == whole.replace("6 changes", "4 changes")


def test_entries_of_before_there_was_a_chain_are_followed_by_it(log: None, run: Run) -> None:
    change("UPDATE audit SET prev = NULL")
    run("runner", "enable", "berlin")
    assert run("audit", "verify").output.startswith("7 changes, 0 findings")
    change("DELETE FROM audit WHERE seq = 6")
    run("audit", "verify", code=1)
