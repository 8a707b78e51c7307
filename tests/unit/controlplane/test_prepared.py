"""Prepared statements: the text and the parameters that SQLAlchemy itself would have sent, for values and lists of any length."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, bindparam, func, select, update

from controlplane.store.engines.sqlitedriver import SQLiteDialect
from controlplane.store.prepared import Prepared, padded

FRUIT = Table("fruit", MetaData(), Column("name", String, primary_key=True), Column("count", Integer))
ADD = Prepared(FRUIT.insert(), "name", "count")
ADD_SOME = Prepared(
    update(FRUIT)
    .where(FRUIT.c.name == bindparam("which"))
    .values(count=func.coalesce(FRUIT.c.count, 7) + bindparam("more")),
)
AMONG = Prepared(
    select(FRUIT.c.name)
    .where(FRUIT.c.name.in_(bindparam("some", expanding=True)), FRUIT.c.name.not_in(["fig", "kiwi"]))
    .order_by(FRUIT.c.name)
    .limit(bindparam("most", type_=Integer))
)
ROWS: list[dict[str, Any]] = [
    {"name": "apple", "count": 1},
    {"count": None, "name": "plum"},
    {"name": "fig", "count": 3},
]


def run(*executed: tuple[Prepared, Sequence[dict[str, Any]]]) -> list[Any]:
    """What the last of the statements finds, each executed for each of its rows."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE fruit (name TEXT PRIMARY KEY, count INTEGER)")
        found: list[Any] = []
        for statement, rows in executed:
            for row in rows:
                compiled = statement.compiled(SQLiteDialect(), row)
                found = connection.execute(compiled.text, compiled.bound(row)).fetchall()
        return found or connection.execute("SELECT name, count FROM fruit ORDER BY name").fetchall()


def test_each_row_is_inserted_whatever_the_order_of_its_members() -> None:
    assert run((ADD, ROWS)) == [("apple", 1), ("fig", 3), ("plum", None)]


def test_values_of_the_statement_itself_stand_between_those_of_its_rows() -> None:
    more = [{"which": "plum", "more": 2}, {"more": 3, "which": "apple"}]
    assert run((ADD, ROWS), (ADD_SOME, more)) == [("apple", 4), ("fig", 3), ("plum", 9)]


@pytest.mark.parametrize(
    ("some", "found"),
    [
        (["plum"], ["plum"]),
        (["plum", "apple"], ["apple", "plum"]),
        (["apple", "fig", "plum"], ["apple", "plum"]),
        (["apple", *map(str, range(400)), "plum"], ["apple", "plum"]),
    ],
)
def test_a_list_may_have_any_length(some: list[str], found: list[str]) -> None:
    assert run((ADD, ROWS), (AMONG, [{"some": some, "most": 5}])) == [(name,) for name in found]


def test_lists_have_few_lengths_so_that_few_texts_are_made() -> None:
    lengths = {len(padded(list(range(count)))) for count in range(1, 501)}
    assert lengths == {1, 2, 4, 8, 16, 32, 64, 128, 256, 512}
    assert set(padded([1, 2, 3])) == {1, 2, 3}


def test_a_row_without_one_of_the_columns_is_refused() -> None:
    with pytest.raises(KeyError, match="count"):
        run((ADD, [{"name": "apple"}]))
