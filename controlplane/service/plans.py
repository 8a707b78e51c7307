"""Tests as files: what files would change, that change, what they hold no more, and files of what is stored.

A test of a file runs where its `locations` say; where they are absent, where it did.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.alerts import rule
from controlplane.errors import NotFoundError, UnusableError
from controlplane.service import definitions, documents, references, testdocuments, tests
from controlplane.service.differences import Difference, differences
from controlplane.service.principal import KeyScope, Principal
from controlplane.service.tests import Change, DefinitionNames
from controlplane.store import applied, locations, testsearch
from controlplane.store import tests as stored
from controlplane.store.applied import AppliedKind
from controlplane.store.database import Database
from controlplane.store.locations import Location
from controlplane.store.tests import StoredTest
from worker.apitest.request import DEFAULT_SUBTYPE
from worker.clock import Clock
from worker.errors import TestError

COLLECTION_CHARACTERS = 100
NOT_HERE = 'is not stored here: name it by {"$env": "NAME"} or {"$file": "PATH"}'
_DEFAULTS: tuple[tuple[str, Any], ...] = (("message", ""), ("tags", []), ("type", "api"), ("subtype", DEFAULT_SUBTYPE))
"""Members that every test is shown with, and that a file may leave out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedTest:
    """A test as a file holds it; *place* is where, for error lines."""

    place: str
    content: dict[str, Any]

    @property
    def names(self) -> DefinitionNames:
        said = self.content.get("public_id") or ""
        return DefinitionNames(self.place, str(said), str(self.content.get("name") or ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The effect of a file on a test or a variable. *notes* are what its author should know; *id* is empty before it is made."""

    kind: AppliedKind = "test"
    change: Change
    id: str
    name: str
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    planned: Planned
    test: StoredTest
    known: StoredTest | None
    places: tuple[Location, ...]


def check_collection(name: str) -> str:
    """Raise UnusableError for a name that cannot be stored or shown."""
    if not name.strip() or len(name) > COLLECTION_CHARACTERS or not name.isprintable():
        raise UnusableError(
            f"collection {name[:40]!r} is not a valid name: expected 1 to {COLLECTION_CHARACTERS} printable characters"
        )
    return name


async def plan(database: Database, clock: Clock, by: Principal, wanted: Sequence[WantedTest]) -> tuple[Planned, ...]:
    """Tell what `apply` would do, and do nothing. Raises TestError with every mistake, ConflictError.

    It tells if a secret is the stored one, so that it takes the right to change it.
    """
    by.require(KeyScope.WRITE)
    found: list[Planned] = []
    async with database.read() as connection:
        for portion in _portions(wanted):
            prepared = await _prepared(connection, by, portion, now=epoch.milliseconds(clock))
            found += [one.planned for one in prepared]
    return tuple(found)


async def apply(
    database: Database, clock: Clock, by: Principal, wanted: Sequence[WantedTest], *, collection: str
) -> tuple[Planned, ...]:
    """Make tests what the files say, a bounded number in one transaction; what is so already is not touched.

    Raises TestError, ConflictError.
    """
    by.require(KeyScope.WRITE)
    check_collection(collection)
    done: list[Planned] = []
    for portion in _portions(wanted):
        if done:
            await clock.sleep(database.rest_seconds)
        async with database.write() as connection:
            now = epoch.milliseconds(clock)
            prepared = await _prepared(connection, by, portion, now=now)
            changed = [one for one in prepared if one.planned.change is not Change.UNCHANGED]
            await tests.keep(connection, by, [(one.test, one.known) for one in changed], now=now)
            for one in changed:
                await testdocuments.assign_exactly(connection, one.test, one.places, now=now)
            await applied.mark(connection, "test", [one.test.public_id for one in prepared], collection)
            done += [one.planned for one in prepared]
    return tuple(done)


async def prune(
    database: Database, clock: Clock, by: Principal, ids: Sequence[str], *, collection: str
) -> tuple[str, ...]:
    """Delete the tests of these ids that still belong to the collection, at most `tests.AT_ONCE` of them; their ids."""
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        mine = await applied.of(connection, "test", ids, check_collection(collection))
        found = await stored.by_ids(connection, mine)
        for test in found.values():
            await tests.remove(connection, by, test, now=epoch.milliseconds(clock))
    return tuple(found)


async def export(database: Database, by: Principal, *, offset: int, limit: int) -> tuple[dict[str, Any], ...]:
    """Documents of tests as files, by name: without secrets, without what a control plane adds, locations by name."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        found = await stored.list_page(connection, offset=offset, limit=limit)
        named = {place.id: place.name for place in await locations.list_all(connection)}
        places = await testsearch.places_of(connection, [test.public_id for test in found])
    return tuple(_exported(test, sorted(named[place] for place, _ in places[test.public_id])) for test in found)


def _exported(test: StoredTest, places: list[str]) -> dict[str, Any]:
    document = documents.shown(test, [])
    kept: dict[str, Any] = references.without_secrets(documents.told(document))
    return {"public_id": test.public_id} | kept | {"locations": places}


def _portions(wanted: Sequence[WantedTest]) -> list[Sequence[WantedTest]]:
    return [wanted[start : start + tests.AT_ONCE] for start in range(0, len(wanted), tests.AT_ONCE)]


async def _prepared(
    connection: AsyncConnection, by: Principal, portion: Sequence[WantedTest], *, now: int
) -> list[_Prepared]:
    known = await tests.known(connection, [one.names for one in portion])
    assigned = await testsearch.places_of(connection, [test.public_id for test in known if test is not None])
    every = {place.id: place for place in await locations.list_all(connection)}
    there = {test: [every[place] for place, _ in places] for test, places in assigned.items()}
    found, mistakes = [], []
    for one, test in zip(portion, known, strict=True):
        try:
            found.append(_prepare(by, one, test, [] if test is None else there[test.public_id], every, now=now))
        except TestError as error:
            mistakes += [f"{one.place}: {mistake}" for mistake in error.errors]
        except NotFoundError as error:
            mistakes.append(f"{one.place}: locations: {error}")
    if mistakes:
        raise TestError(mistakes)
    return found


def _prepare(
    by: Principal,
    wanted: WantedTest,
    known: StoredTest | None,
    there: Sequence[Location],
    every: Mapping[str, Location],
    *,
    now: int,
) -> _Prepared:
    before = None if known is None else json.loads(known.definition)
    content = references.with_stored(wanted.content, before)
    if missing := list(references.marks(content)):
        raise TestError([f"{path}: {NOT_HERE}" for path in missing])
    document = documents.accepted(content, before)
    if public_id := wanted.names.public_id:
        document["public_id"] = public_id
    if known is not None and document.get("subtype", DEFAULT_SUBTYPE) != known.subtype:
        raise TestError([f"subtype: a test stays what it is, and {known.public_id} is {known.subtype!r}"])
    places = tuple(there) if "locations" not in document else _places(document["locations"], every)
    document["locations"] = [place.id for place in places]
    if known is not None:
        document.setdefault("status", tests.status(paused=known.paused))
    checked = definitions.check(wanted.place, document)
    test = tests.to_store(by, checked, known, now=now)
    changes: tuple[Difference, ...] = ()
    if known is not None:
        sides = _comparable(known, before, there), _comparable(test, document, places)
        for side in sides:
            documents.drop_ids(side, wanted.content)
        changes = differences(*sides)
    change = Change.ADDED if known is None else Change.UPDATED if changes else Change.UNCHANGED
    lacks = tuple(f"will end as REQUIRES_UPDATE: {lack}" for lack in checked.parsed.requires_update)
    planned = Planned(
        change=change,
        id="" if known is None else known.public_id,
        name=test.name,
        differences=changes,
        notes=(*lacks, *checked.parsed.ignored, *rule.too_few(document, len(places))),
    )
    return _Prepared(planned=planned, test=test, known=known, places=places)


def _places(said: Any, every: Mapping[str, Location]) -> tuple[Location, ...]:
    if not isinstance(said, list) or not all(isinstance(name, str) for name in said):
        raise TestError(["locations: is not a valid list of names or ids"])
    named = {place.name: place for place in every.values()} | dict(every)
    for name in said:
        if name not in named:
            raise NotFoundError("location", name)
    return tuple({named[name].id: named[name] for name in said}.values())


def _comparable(test: StoredTest, definition: Any, places: Sequence[Location]) -> dict[str, Any]:
    """A test as its files tell it: what is added and what is only left out makes no difference."""
    document = documents.told(definition)
    for name, default in _DEFAULTS:
        document.setdefault(name, default)
    return document | {"status": tests.status(paused=test.paused), "locations": sorted(place.name for place in places)}
