"""A statement for many rows, compiled once: only the rows' values are put in order for each execution.

SQLAlchemy's own way takes longer for each row than SQLite takes to store it. It is for values that the driver takes as they
are: numbers, texts, bytes and null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Delete, Dialect, Insert, Update
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The text for one kind of database. *order* is that of its parameters, None where they go by name; *fixed* are others."""

    text: str
    order: tuple[str, ...] | None
    fixed: Mapping[str, Any]


class RowStatement:
    """*statement*, whose rows have exactly *columns*: of an insert the table's own, else the names of its parameters."""

    def __init__(self, statement: Insert | Update | Delete, *columns: str) -> None:
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}

    async def execute(self, connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it for each of *rows*; nothing where there are none. Raises KeyError for a row that lacks a column."""
        if rows:
            compiled = self._for(connection.dialect)
            await connection.exec_driver_sql(compiled.text, parameters(compiled.order, compiled.fixed, rows))

    def _for(self, dialect: Dialect) -> _Compiled:
        known = self._compiled.get(dialect.name)
        if known is None:
            known = self._compiled[dialect.name] = self.compiled(dialect)
        return known

    def compiled(self, dialect: Dialect) -> _Compiled:
        """The statement as *dialect* writes it."""
        keys = self._columns if isinstance(self._statement, Insert) else None
        made = self._statement.compile(dialect=dialect, column_keys=keys)
        fixed = {name: value for name, value in made.params.items() if name not in self._columns}
        order = made.positiontup
        return _Compiled(str(made), None if order is None else tuple(order), fixed)


def parameters(order: Sequence[str] | None, fixed: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The parameters of each row: in *order*, or by their names."""
    if order is None:
        return [{**fixed, **row} for row in rows]
    if fixed:
        return [tuple([row[name] if name in row else fixed[name] for name in order]) for row in rows]
    return [tuple([row[name] for name in order]) for row in rows]
