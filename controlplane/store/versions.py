"""Versions of tables: what was read from some holds for as long as nothing else is in them.

What this process changes is told by its own statements, each of which names the table that it changes; what any other process
commits may have changed anything. That is learnt at the beginning of each transaction that writes, so whoever goes by what is
remembered and may not be wrong asks within one.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any, Generic, TypeVar

from sqlalchemy import Table

from controlplane.store.tables import metadata

UNNOTED = "/* unnoted */"
"""The prefix of statements that change nothing which anybody remembers, as their authors know."""
MOST_COUNTED = 100_000
"""Tables at locations that are counted each for itself, some 200 bytes each; beyond it everything is counted anew."""
_CHANGE = re.compile(r"(?:INSERT|REPLACE|UPDATE|DELETE)(?: OR \w+)?(?: INTO| FROM)? (/\*|\"?\w+)")
_ANYWHERE = "*"
_EVERYWHERE = ""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Stamp = tuple[int, ...]
"""The versions of some tables at a moment."""


class TableVersions:
    """Counts of the changes of each table, at each location where those are told apart."""

    def __init__(self) -> None:
        self._all = 0
        self._others: Hashable = None
        self._counts: Counter[tuple[str, str]] = Counter()
        self._memories: dict[MemoryKind[Any, Any], TableMemory[Any, Any]] = {}

    def memory(self, kind: MemoryKind[K, V]) -> TableMemory[K, V]:
        """The one memory of its *kind* that there is beside these versions."""
        if kind not in self._memories:
            self._memories[kind] = TableMemory(self, kind)
        return self._memories[kind]

    def stamp(self, tables: Iterable[str], location: str | None = None) -> Stamp:
        """The versions of *tables*, as they are, or as far as a *location* is concerned. To be taken before they are read."""
        counts = self._counts
        if location is None:
            return (self._all, *[counts[table, _ANYWHERE] for table in tables])
        return (
            self._all,
            *[counts[table, place] for table in tables for place in (_EVERYWHERE, location)],
        )

    def follow(self, others: Hashable) -> None:
        """Go by *others*, which differs from before where another process may have committed."""
        if others != self._others:
            self._others = others
            self._all += 1

    def count(self, statements: Iterable[str], locations: Collection[str] = ()) -> None:
        """Count the changes by *statements* of this process, at *locations* or, without any, everywhere."""
        for statement in statements:
            tables = changed_by(statement)
            if tables is None or len(self._counts) > MOST_COUNTED:
                self._all += 1
                self._counts.clear()
                continue
            for table in tables:
                self._counts[table, _ANYWHERE] += 1
                for location in locations or (_EVERYWHERE,):
                    self._counts[table, location] += 1


@lru_cache(maxsize=2048)
def changed_by(statement: str) -> frozenset[str] | None:
    """The tables that a statement changes, those that a deletion goes on to among them; None where it may be any."""
    found = _CHANGE.match(statement)
    if found is None:
        return None
    name = found[1].strip('"')
    if name == "/*":
        return frozenset() if UNNOTED in statement else None
    if name not in metadata.tables:
        return None
    return frozenset(_below(metadata.tables[name])) if statement.startswith("DELETE") else frozenset({name})


def _below(table: Table) -> set[str]:
    """*table* and those whose rows go, or change, with its own."""
    found, left = {table.name}, [table.name]
    while left:
        parent = left.pop()
        for other in metadata.tables.values():
            refers = any(key.column.table.name == parent for key in other.foreign_keys)
            if refers and other.name not in found:
                found.add(other.name)
                left.append(other.name)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class MemoryKind(Generic[K, V]):
    """A kind of values that are read from *tables*, of which *most* are remembered, those that were used last."""

    tables: tuple[Table, ...]
    most: int


class TableMemory(Generic[K, V]):
    """The values of one kind, each until one of its tables changes. Asked in the loop, and in the thread of the writer."""

    def __init__(self, versions: TableVersions, kind: MemoryKind[K, V]) -> None:
        self._versions = versions
        self._tables = tuple(table.name for table in kind.tables)
        self._most = kind.most
        self._kept: OrderedDict[K, tuple[Stamp, V]] = OrderedDict()
        self._lock = Lock()

    def stamp(self, location: str | None = None) -> Stamp:
        """The moment from which a value that is read next holds."""
        return self._versions.stamp(self._tables, location)

    def recall(self, key: K, location: str | None = None) -> V | None:
        """The value of *key*, None where nothing is known of it or where the tables have changed since."""
        with self._lock:
            known = self._kept.get(key)
            if known is None:
                return None
            if known[0] != self.stamp(location):
                del self._kept[key]
                return None
            self._kept.move_to_end(key)
            return known[1]

    def keep(self, key: K, value: V, stamp: Stamp) -> None:
        """Remember what was read since *stamp*."""
        with self._lock:
            self._kept[key] = (stamp, value)
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
