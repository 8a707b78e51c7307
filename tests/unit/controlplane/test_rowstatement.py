"""Statements for many rows: the parameters that SQLAlchemy itself would have bound, in its order, for each kind of database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, bindparam, func, update
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from controlplane.store.engines.sqlitedriver import SQLiteDialect
from controlplane.store.rowstatement import RowStatement, parameters

FRUIT = Table("fruit", MetaData(), Column("name", String, primary_key=True), Column("count", Integer))
ADD = RowStatement(FRUIT.insert(), "name", "count")
ADD_SOME = RowStatement(
    update(FRUIT)
    .where(FRUIT.c.name == bindparam("which"))
    .values(count=func.coalesce(FRUIT.c.count, 7) + bindparam("more")),
    *("which", "more"),
)


def stored(*executed: tuple[RowStatement, list[dict[str, Any]]]) -> list[Any]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE fruit (name TEXT PRIMARY KEY, count INTEGER)")
        for statement, rows in executed:
            compiled = statement.compiled(SQLiteDialect())
            connection.executemany(compiled.text, parameters(compiled.order, compiled.fixed, rows))
        return connection.execute("SELECT * FROM fruit ORDER BY name").fetchall()


def test_each_row_is_inserted_whatever_the_order_of_its_members() -> None:
    rows: list[dict[str, Any]] = [{"name": "apple", "count": 1}, {"count": None, "name": "plum"}]
    assert stored((ADD, rows)) == [("apple", 1), ("plum", None)]


def test_values_of_the_statement_itself_stand_between_those_of_its_rows() -> None:
    rows: list[dict[str, Any]] = [{"name": "apple", "count": 1}, {"name": "plum", "count": None}]
    more: list[dict[str, Any]] = [{"which": "plum", "more": 2}, {"more": 3, "which": "apple"}]
    assert stored((ADD, rows), (ADD_SOME, more)) == [("apple", 4), ("plum", 9)]


def test_a_driver_that_wants_names_gets_the_row_and_what_is_fixed() -> None:
    compiled = ADD_SOME.compiled(PGDialect_psycopg())  # type: ignore[no-untyped-call]
    (bound,) = parameters(compiled.order, compiled.fixed, [{"which": "plum", "more": 2}])
    assert bound == {"which": "plum", "more": 2, "coalesce_1": 7}
    assert compiled.text.count("%(") == len(bound)


def test_a_row_without_one_of_the_columns_is_refused() -> None:
    with pytest.raises(KeyError, match="count"):
        stored((ADD, [{"name": "apple"}]))
