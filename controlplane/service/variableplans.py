"""Global variables as files: what files would change, that change, what they hold no more, and files of what is stored.

A variable is known by its name. A file without a value leaves alone the one that is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.errors import UnusableError
from controlplane.service import variables
from controlplane.service.differences import Difference, differences
from controlplane.service.plans import Planned, WantedTest, check_collection
from controlplane.service.principal import KeyScope, Principal
from controlplane.service.tests import Change
from controlplane.store import applied
from controlplane.store import variables as stored
from controlplane.store.database import Database
from controlplane.store.sealing import Sealer
from controlplane.store.variables import StoredVariable
from worker.clock import Clock
from worker.errors import TestError


@dataclass(frozen=True, slots=True, kw_only=True)
class _PreparedVariable:
    planned: Planned
    variable: StoredVariable
    known: StoredVariable | None


async def plan(database: Database, clock: Clock, by: Principal, wanted: Sequence[WantedTest]) -> tuple[Planned, ...]:
    """Tell what `apply` would do, and do nothing. Raises TestError with every mistake."""
    by.require(KeyScope.WRITE)
    async with database.read() as connection:
        prepared = await _prepared(connection, database.sealer, by, wanted, now=epoch.milliseconds(clock))
    return tuple(one.planned for one in prepared)


async def apply(
    database: Database, clock: Clock, by: Principal, wanted: Sequence[WantedTest], *, collection: str
) -> tuple[Planned, ...]:
    """Make variables what the files say, in one transaction: at most `tests.AT_ONCE` of them. Raises TestError."""
    by.require(KeyScope.WRITE)
    check_collection(collection)
    async with database.write() as connection:
        now = epoch.milliseconds(clock)
        prepared = await _prepared(connection, database.sealer, by, wanted, now=now)
        for one in prepared:
            if one.planned.change is not Change.UNCHANGED:
                await variables.keep(connection, database.sealer, by, one.variable, one.known, now=now)
        await applied.mark(connection, "variable", [one.variable.id for one in prepared], collection)
    return tuple(one.planned for one in prepared)


async def prune(
    database: Database, clock: Clock, by: Principal, ids: Sequence[str], *, collection: str
) -> tuple[str, ...]:
    """Delete the variables of these ids that still belong to the collection; their ids."""
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        mine = await applied.of(connection, "variable", ids, check_collection(collection))
        for name in mine:
            known = await stored.get(connection, database.sealer, name)
            await variables.remove(connection, by, known, now=epoch.milliseconds(clock))
    return tuple(mine)


async def export(database: Database, by: Principal) -> tuple[dict[str, Any], ...]:
    """Variables as files hold them, by name; a secure one without its value."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        found = await stored.list_all(connection, database.sealer)
    return tuple(_exported(one) for one in found)


def _exported(variable: StoredVariable) -> dict[str, Any]:
    shown = variables.shown(variable)
    return {name: value for name, value in shown.items() if name not in ("id", "type", "last_error")}


async def _prepared(
    connection: AsyncConnection, sealer: Sealer, by: Principal, wanted: Sequence[WantedTest], *, now: int
) -> list[_PreparedVariable]:
    known = await variables.named(connection, sealer, {one.names.name for one in wanted})
    found, mistakes = [], []
    for one in wanted:
        try:
            found.append(_prepare(by, one, known.get(one.names.name), now=now))
        except UnusableError as error:
            mistakes.append(f"{one.place}: {error}")
    if mistakes:
        raise TestError(mistakes)
    return found


def _prepare(by: Principal, wanted: WantedTest, known: StoredVariable | None, *, now: int) -> _PreparedVariable:
    changes: tuple[Difference, ...] = ()
    if known is None:
        variable = variables.made(wanted.content, by, now=now)
        if variable.value is None and not wanted.content.get("is_fido"):
            raise UnusableError('value: is missing: name it by {"$env": "NAME"} or {"$file": "PATH"}')
        change = Change.ADDED
    else:
        variable = variables.changed(known, wanted.content, by, now=now)
        changes = differences(_comparable(known), _comparable(variable))
        change = Change.UPDATED if changes else Change.UNCHANGED
    planned = Planned(
        kind="variable",
        change=change,
        id="" if known is None else known.id,
        name=variable.name,
        differences=changes,
    )
    return _PreparedVariable(planned=planned, variable=variable, known=known)


def _comparable(variable: StoredVariable) -> dict[str, Any]:
    """All that is stored of it; its value is told apart and, where it is secure, not told."""
    plain = _exported(variable)
    value = {"secure": variable.secure, "value": None if variable.value is None else variable.value.reveal()}
    return plain | {"value": plain["value"] | value}
