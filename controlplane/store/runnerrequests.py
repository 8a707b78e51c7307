"""The numbers of runners' requests, and what a pull says of its instance: one update each, for all replicas.

A number that is not newer changes nothing.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from sqlalchemy import Column, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.prepared import Prepared
from controlplane.store.runnertables import runner_instances
from controlplane.store.versions import UNNOTED

UNKNOWN = -1
"""The last number of an instance that never asked."""


async def advance(
    connection: AsyncConnection, runner: str, instance: str, column: Literal["results", "rotate"], number: int
) -> int | None:
    """Record a request's number, in one update for all replicas.

    None where it is newer than all before, otherwise the last one; `UNKNOWN` for an instance that is not there.
    """
    values = {"runner": runner, "instance": instance, "number": number}
    return await _advanced(connection, _ADVANCE[column], _NUMBERS[column], values)


async def hear(connection: AsyncConnection, pull: HeardPull) -> int | None:
    """Record a pull: its number, and what it says of its instance, in one update. Answers as `advance` does."""
    return await _advanced(connection, _HEAR, runner_instances.c.pull_number, pull.values())


async def _advanced(
    connection: AsyncConnection, statement: Prepared, column: Column[int], values: dict[str, Any]
) -> int | None:
    if await statement.change(connection, **values) == 1:
        return None
    mine = (runner_instances.c.runner_id == values["runner"]) & (runner_instances.c.id == values["instance"])
    last: int | None = await connection.scalar(select(column).where(mine))
    return UNKNOWN if last is None else last


_NAMED = frozenset({"runner", "instance", "number"})


class HeardPull(NamedTuple):
    """The part of a pull that is recorded of its instance."""

    runner: str
    instance: str
    number: int
    last_seen: int
    agent: str
    host: str
    address: str
    concurrency: int
    free_slots: int
    running: int
    draining: bool
    degraded: str | None
    keyset: int

    def values(self) -> dict[str, Any]:
        """The parameters of the update."""
        return {name if name in _NAMED else f"{name}_": value for name, value in zip(self._fields, self, strict=True)}


_MINE = (runner_instances.c.runner_id == bindparam("runner")) & (runner_instances.c.id == bindparam("instance"))
_NUMBERS: dict[str, Column[int]] = {
    "results": runner_instances.c.results_number,
    "rotate": runner_instances.c.rotate_number,
}
_ADVANCE = {
    name: Prepared(
        update(runner_instances)
        .prefix_with(UNNOTED)
        .where(_MINE, column < bindparam("number"))
        .values({column: bindparam("number")})
    )
    for name, column in _NUMBERS.items()
}
_HEAR = Prepared(
    update(runner_instances)
    .prefix_with(UNNOTED)
    .where(_MINE, runner_instances.c.pull_number < bindparam("number"))
    .values(
        {runner_instances.c.pull_number: bindparam("number")}
        | {runner_instances.c[name]: bindparam(f"{name}_") for name in HeardPull._fields if name not in _NAMED}
    )
)
