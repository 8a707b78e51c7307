"""Versions of tables: each change ends what is remembered of its table, where it is, and nothing else."""

from __future__ import annotations

import pytest

from controlplane.store.tables import assignments, jobs, tests, workers
from controlplane.store.versions import UNNOTED, MemoryKind, TableMemory, TableVersions, changed_by

KIND: MemoryKind[str, int] = MemoryKind((assignments, jobs), most=2)


@pytest.fixture
def versions() -> TableVersions:
    found = TableVersions()
    found.follow(("a connection", 1))
    return found


def remembering(versions: TableVersions, *places: str) -> TableMemory[str, int]:
    memory = versions.memory(KIND)
    for place in places:
        memory.keep(place, 7, memory.stamp(place))
    return memory


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        (str(jobs.insert()), {"jobs"}),
        (str(tests.update().values(name="x")), {"tests"}),
        ("INSERT OR IGNORE INTO jobs (id) VALUES (?)", {"jobs"}),
        ('DELETE FROM "jobs" WHERE id = ?', {"jobs"}),
        (str(workers.update().prefix_with(UNNOTED).values(agent="x")), set()),
        (str(jobs.insert().prefix_with(UNNOTED)), set()),
    ],
)
def test_a_statement_names_the_table_that_it_changes(statement: str, tables: set[str]) -> None:
    assert changed_by(statement) == frozenset(tables)


def test_a_deletion_goes_on_to_whatever_refers_to_it() -> None:
    found = changed_by("DELETE FROM locations WHERE id = ?")
    assert found is not None
    assert {"locations", "credentials", "workers", "assignments", "jobs"} <= found
    assert "results" not in found


@pytest.mark.parametrize("statement", ["ALTER TABLE jobs RENAME TO x", "UPDATE elsewhere SET x = 1", "PRAGMA x = 1"])
def test_any_other_statement_may_have_changed_anything(statement: str, versions: TableVersions) -> None:
    memory = remembering(versions, "a")
    versions.count([statement], ["b"])
    assert memory.recall("a", "a") is None


def test_what_is_remembered_holds_until_its_tables_change(versions: TableVersions) -> None:
    memory = remembering(versions, "a", "b")
    versions.count([str(tests.insert()), str(workers.insert())])
    assert memory.recall("a", "a") == 7
    versions.count([str(jobs.insert())])
    assert (memory.recall("a", "a"), memory.recall("b", "b")) == (None, None)


def test_a_change_at_a_location_concerns_that_location_and_whoever_asks_for_all(versions: TableVersions) -> None:
    memory = remembering(versions, "a", "b")
    everywhere = memory.stamp()
    versions.count([str(jobs.insert())], ["b", "c"])
    assert (memory.recall("a", "a"), memory.recall("b", "b")) == (7, None)
    assert memory.stamp() != everywhere


def test_a_commit_of_anybody_else_ends_everything(versions: TableVersions) -> None:
    memory = remembering(versions, "a")
    versions.follow(("a connection", 1))
    assert memory.recall("a", "a") == 7
    versions.follow(("a connection", 2))
    assert memory.recall("a", "a") is None
    memory = remembering(versions, "a")
    versions.follow(("another connection", 2))
    assert memory.recall("a", "a") is None


def test_what_changed_while_it_was_read_is_not_remembered(versions: TableVersions) -> None:
    memory = versions.memory(KIND)
    stamp = memory.stamp("a")
    versions.count([str(jobs.insert())], ["a"])
    memory.keep("a", 7, stamp)
    assert memory.recall("a", "a") is None


def test_the_longest_unused_is_forgotten_first(versions: TableVersions) -> None:
    memory = remembering(versions, "a", "b")
    assert memory.recall("a", "a") == 7
    memory.keep("c", 8, memory.stamp("c"))
    assert [memory.recall(place, place) for place in ("a", "b", "c")] == [7, None, 8]
