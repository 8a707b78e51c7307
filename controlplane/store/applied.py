"""The collections of files that tests and variables were applied from: so `apply --prune` knows what is its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.tables import tests, variables

AppliedKind = Literal["test", "variable"]
_TABLES: dict[str, tuple[Any, Any]] = {"test": (tests, tests.c.public_id), "variable": (variables, variables.c.id)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A test or a variable that was applied."""

    kind: AppliedKind
    id: str
    name: str


async def mark(connection: AsyncConnection, kind: AppliedKind, ids: Collection[str], collection: str) -> None:
    """Note that these belong to *collection* from now on. The caller bounds their number."""
    table, key = _TABLES[kind]
    other = or_(table.c.applied.is_(None), table.c.applied != collection)
    await connection.execute(update(table).where(key.in_(sorted(ids)), other).values(applied=collection))


async def page(
    connection: AsyncConnection, kind: AppliedKind, collection: str, *, after: str, limit: int
) -> Sequence[Applied]:
    """At most *limit* of those that belong to *collection*, by id, after *after*."""
    table, key = _TABLES[kind]
    found = select(key.label("id"), table.c.name).where(table.c.applied == collection, key > after)
    rows = await connection.execute(found.order_by(key).limit(limit))
    return [Applied(kind=kind, id=row.id, name=row.name) for row in rows]


async def of(connection: AsyncConnection, kind: AppliedKind, ids: Collection[str], collection: str) -> Sequence[str]:
    """Those of *ids* that belong to *collection*. The caller bounds their number."""
    table, key = _TABLES[kind]
    return list(await connection.scalars(select(key).where(key.in_(sorted(ids)), table.c.applied == collection)))
