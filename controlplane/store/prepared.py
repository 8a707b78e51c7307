"""Statements that each pull or push executes, compiled once: only their values are put in order for each execution.

SQLAlchemy writes them and the driver executes them: to execute one by SQLAlchemy takes several times as long as SQLite takes.
They are for values that the driver takes as they are, numbers, texts, bytes and null, and rows have what the driver gives.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Delete, Dialect, Insert, Select, Update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.engines.engine import DriverConnection

Statement = Insert | Update | Delete | Select[Any]
_namedtuple: Any = namedtuple  # noqa: PYI024 - its names are a statement's
_Lengths = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class CompiledText:
    """The text for one kind of database, and lists of some lengths.

    *order* is that of its parameters, *fixed* those that are the statement's own; *lists* are the names of the members of lists.
    """

    text: str
    order: tuple[str, ...]
    fixed: Mapping[str, Any]
    lists: Mapping[str, Sequence[str]]

    def bound(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The parameters in their order. Raises KeyError for a value that is missing."""
        if self.lists or self.fixed:
            values = {**self.fixed, **values}
            for name, members in self.lists.items():
                values |= zip(members, padded(values[name]), strict=True)
        return tuple([values[name] for name in self.order])


class Prepared:
    """*statement*, of an insert with exactly *columns*. Lists of any length but none may be bound to `in_`."""

    def __init__(self, statement: Statement, *columns: str) -> None:
        self._statement = statement
        self._columns = columns or None
        self._texts: dict[tuple[str, _Lengths], CompiledText] = {}
        self._lists: tuple[str, ...] | None = None
        names = statement.selected_columns.keys() if isinstance(statement, Select) else ()
        self._row = _namedtuple("PreparedRow", names, rename=True)._make

    async def rows(self, connection: AsyncConnection, **values: Any) -> list[Any]:
        """Every row that it finds; their columns are attributes."""
        compiled = self.compiled(connection.dialect, values)
        found = await _driver(connection).run(compiled.text, compiled.bound(values))
        return [self._row(row) for row in found.rows]

    async def row(self, connection: AsyncConnection, **values: Any) -> Any:
        """The first row, None where there is none."""
        return next(iter(await self.rows(connection, **values)), None)

    async def change(self, connection: AsyncConnection, **values: Any) -> int:
        """Execute it; the number of rows that it changed."""
        compiled = self.compiled(connection.dialect, values)
        return (await _driver(connection).run(compiled.text, compiled.bound(values))).rowcount

    async def each(self, connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it for each of *rows*, which bind no lists; nothing where there are none."""
        if rows:
            compiled = self.compiled(connection.dialect, {})
            await _driver(connection).run_each(compiled.text, [compiled.bound(row) for row in rows])

    def compiled(self, dialect: Dialect, values: Mapping[str, Any]) -> CompiledText:
        """The statement as *dialect* writes it, for lists as long as those of *values*."""
        lengths = tuple((name, len(padded(values[name]))) for name in self._lists or ())
        known = None if self._lists is None else self._texts.get((dialect.name, lengths))
        return known or self._compile(dialect, values)

    def _compile(self, dialect: Dialect, values: Mapping[str, Any]) -> CompiledText:
        made: Any = self._statement.compile(dialect=dialect, column_keys=self._columns)
        given = {name: bind.value for name, bind in made.binds.items()}
        lists = tuple(name for name, bind in made.binds.items() if bind.expanding and bind.value is None)
        some = {name: padded(values[name]) for name in lists}
        state = made.construct_expanded_state(given | some)
        expanded = {name: tuple(state.parameter_expansion[name]) for name in lists}
        own = {name for name, bind in made.binds.items() if bind.required or name in (self._columns or ())}
        members = {member for names in expanded.values() for member in names}
        fixed = {name: value for name, value in state.parameters.items() if name not in own and name not in members}
        compiled = CompiledText(state.statement, tuple(state.positiontup), fixed, expanded)
        self._lists = lists
        self._texts[dialect.name, tuple((name, len(some[name])) for name in lists)] = compiled
        return compiled


def padded(some: Sequence[Any]) -> list[Any]:
    """*some*, its last member repeated, so that there are few lengths: powers of two."""
    room = 1 << max(0, len(some) - 1).bit_length()
    return [*some, *[some[-1]] * (room - len(some))]


def _driver(connection: AsyncConnection) -> DriverConnection:
    assert connection.sync_connection is not None
    return cast("DriverConnection", connection.sync_connection.connection.dbapi_connection)
