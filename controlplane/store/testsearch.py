"""Pages of tests, all of them or those that a query finds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, exists, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store import tests as stored
from controlplane.store.portions import portions
from controlplane.store.tables import assignments, locations, tests
from controlplane.store.tests import StoredTest


class NewestState(Enum):
    """The state of a test by its newest run at each of its locations, the worst of them; *waiting* has none that is decided."""

    FAILED = "failed"
    MISSED = "missed"
    PASSED = "passed"
    WAITING = "waiting"


_WORST_FIRST = (NewestState.FAILED, NewestState.MISSED, NewestState.PASSED)


def newest_state(statuses: Collection[str | None]) -> NewestState:
    """The worst of the statuses of newest runs."""
    return next((one for one in _WORST_FIRST if one.value in statuses), NewestState.WAITING)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchTerms:
    """All of these must hold. *words* are looked for in names and are public ids too; `*` in a tag stands for anything.

    *newest* is a state of the newest runs. *nothing* says that no test can be what was asked for.
    """

    words: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    subtypes: tuple[str, ...] = ()
    paused: bool | None = None
    newest: NewestState | None = None
    nothing: bool = False


EVERYTHING = SearchTerms()


async def page(
    connection: AsyncConnection, query: SearchTerms, *, offset: int, limit: int, descending: bool = False
) -> tuple[Sequence[StoredTest], int]:
    """The tests from *offset*, by name, and how many there are in all.

    Only ids are looked for: the index `tests_for_search` holds all that a query asks of a test, and a definition is large.
    """
    condition = _condition(query)
    order = tests.c.name.desc() if descending else tests.c.name
    chosen = select(tests.c.public_id).where(*condition).order_by(order, tests.c.public_id).offset(offset).limit(limit)
    ids = list(await connection.scalars(chosen))
    total = offset + len(ids)
    if len(ids) == limit or (offset and not ids):  # otherwise the last one has been seen, and nothing need be counted
        total = await connection.scalar(select(func.count()).select_from(tests).where(*condition)) or 0
    found = await by_ids(connection, ids)
    return [found[one] for one in ids], total


async def by_ids(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, StoredTest]:
    """The tests with these public ids, those that there are."""
    found: dict[str, StoredTest] = {}
    for some in portions(ids):
        found |= await stored.by_ids(connection, some)
    return found


async def places_of(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, list[tuple[str, bool]]]:
    """The ids of the locations of these tests, and if each is enabled."""
    found: dict[str, list[tuple[str, bool]]] = {test: [] for test in ids}
    for some in portions(ids):
        rows = await connection.execute(
            select(assignments.c.test_id, assignments.c.location_id, locations.c.enabled)
            .join(locations, locations.c.id == assignments.c.location_id)
            .where(assignments.c.test_id.in_(some))
            .order_by(assignments.c.location_id)
        )
        for row in rows:
            found[row.test_id].append((row.location_id, row.enabled))
    return found


def _condition(query: SearchTerms) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        or_(tests.c.name.icontains(word, autoescape=True), tests.c.public_id == word) for word in query.words
    ]
    found += [tests.c.tags.ilike(_tag_pattern(tag), escape="/") for tag in query.tags]
    found += [_is_assigned(place) for place in query.places]
    found += [tests.c.subtype == subtype for subtype in query.subtypes]
    if query.paused is not None:
        found.append(tests.c.paused.is_(query.paused))
    if query.newest is not None:
        found += _has_newest(query.newest)
    return [*found, false()] if query.nothing else found


def _tag_pattern(tag: str) -> str:
    escaped = tag.replace("/", "//").replace("%", "/%").replace("_", "/_").replace("*", "%")
    return f"%\n{escaped}\n%"


def _has_newest(newest: NewestState) -> list[ColumnElement[bool]]:
    """The condition that `newest_state` says so, of tests that are not paused."""
    worse = _WORST_FIRST[: _WORST_FIRST.index(newest)] if newest in _WORST_FIRST else _WORST_FIRST
    none_worse = [~_has_last(one) for one in worse]
    mine = [] if newest is NewestState.WAITING else [_has_last(newest)]
    return [tests.c.paused.is_(False), *mine, *none_worse]


def _has_last(newest: NewestState) -> ColumnElement[bool]:
    return exists().where(assignments.c.test_id == tests.c.public_id, assignments.c.last_status == newest.value)


def _is_assigned(place: str) -> ColumnElement[bool]:
    there: Any = (locations.c.id == assignments.c.location_id) & or_(locations.c.id == place, locations.c.name == place)
    return exists().where(assignments.c.test_id == tests.c.public_id, there)
