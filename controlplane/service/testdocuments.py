"""Tests as documents of the public API: create, replace, patch, read, find and delete them. They run where they say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.errors import NotFoundError, UnusableError
from controlplane.service import definitions, documents, jsonpatch, query, tests, withholding
from controlplane.service.principal import KeyScope, Principal
from controlplane.store import locations, testsearch
from controlplane.store import tests as stored
from controlplane.store.database import Database
from controlplane.store.locations import Location
from controlplane.store.tests import StoredTest
from controlplane.store.testsearch import EVERYTHING, SearchTerms
from worker.apitest.parse import OTHER_KINDS
from worker.apitest.request import DEFAULT_SUBTYPE
from worker.clock import Clock
from worker.errors import TestError
from worker.text import listed

MOST_LISTED = 10_000
"""Tests of one reply. The definitions of more would keep everybody else waiting while they are written."""
MOST_LOCATIONS = 1000
"""Locations of one test."""
MOST_NAMED = 10_000
"""Tests of one request to delete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTest:
    """A test, and its document as clients are shown it."""

    test: StoredTest
    document: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOfTests:
    """Some tests, and how many there are in *total*."""

    tests: tuple[ShownTest, ...]
    total: int


async def create(database: Database, clock: Clock, by: Principal, sent: Mapping[str, Any]) -> ShownTest:
    """Store a new test, whatever its name. Raises UnusableError or TestError."""
    by.require(KeyScope.WRITE)
    _check_kind(sent)
    async with database.write() as connection:
        return await _store(connection, by, sent, None, now=epoch.milliseconds(clock))


async def replace(database: Database, clock: Clock, by: Principal, test: str, sent: Mapping[str, Any]) -> ShownTest:
    """Store a document in place of a test's. Raises NotFoundError, UnusableError or TestError."""
    by.require(KeyScope.WRITE)
    _check_kind(sent)
    async with database.write() as connection:
        known = await _known(connection, test)
        return await _store(connection, by, sent, known, now=epoch.milliseconds(clock))


async def patch(
    database: Database, clock: Clock, by: Principal, test: str, operations: Sequence[Mapping[str, Any]]
) -> ShownTest:
    """Change a test's document by a JSON Patch: the document as it is shown, so that nothing withheld can be copied out of it.

    Raises NotFoundError, UnusableError or TestError.
    """
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        known = await _known(connection, test)
        changed = jsonpatch.apply((await _shown(connection, [known]))[0].document, operations)
        if not isinstance(changed, dict):
            raise UnusableError("data: what is left is not a test")
        _check_kind(changed)
        return await _store(connection, by, changed, known, now=epoch.milliseconds(clock))


async def get(database: Database, by: Principal, test: str) -> ShownTest:
    """Read a test by its public id. Raises NotFoundError."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        return (await _shown(connection, [await _known(connection, test)]))[0]


async def look(database: Database, by: Principal, test: str) -> ShownTest:
    """Read a test as a person sees it: without its credentials, but for who may change it. Raises NotFoundError."""
    found = await get(database, by, test)
    if KeyScope.WRITE in by.scopes:
        return found
    return ShownTest(test=found.test, document=withholding.without_credentials(found.document))


async def page(database: Database, by: Principal, *, number: int = 0, size: int = MOST_LISTED) -> PageOfTests:
    """Page *number*, from 0, of all tests by name."""
    return await _page(database, by, EVERYTHING, offset=number * size, limit=size)


async def search(
    database: Database, by: Principal, text: str, *, start: int, count: int, descending: bool = False
) -> PageOfTests:
    """Tests that a query finds, by name. Raises UnusableError."""
    return await _page(database, by, query.read(text), offset=start, limit=count, descending=descending)


async def delete(database: Database, clock: Clock, by: Principal, ids: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Delete the tests that there are: each public id and when. Raises NotFoundError where there is none of them."""
    by.require(KeyScope.WRITE)
    if not ids:
        raise UnusableError("Minimum number of elements in parameter 'public_ids' should be 1")
    if len(ids) > MOST_NAMED:
        raise UnusableError(f"public_ids: {len(ids)} tests, and at most {MOST_NAMED} are taken")
    gone: list[tuple[str, int]] = []
    wanted = list(dict.fromkeys(ids))
    for start in range(0, len(wanted), tests.AT_ONCE):
        if start:
            await clock.sleep(database.rest_seconds)
        async with database.write() as connection:
            now = epoch.milliseconds(clock)
            found = await stored.by_ids(connection, wanted[start : start + tests.AT_ONCE])
            for test in found.values():
                await tests.remove(connection, by, test, now=now)
                gone.append((test.public_id, now))
    if not gone:
        raise NotFoundError("test", ", ".join(listed(wanted, 5)))
    return tuple(gone)


async def has_version(database: Database, by: Principal, test: str, version: int) -> bool:
    """Tell if a test is at this version. Older ones are not kept: they could not be run. Raises NotFoundError."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        return (await _known(connection, test)).version == version


def _check_kind(sent: Mapping[str, Any]) -> None:
    if sent.get("type") in OTHER_KINDS:
        raise UnusableError(f"{sent['type']} tests are not supported by this server")


async def _store(
    connection: AsyncConnection, by: Principal, sent: Mapping[str, Any], known: StoredTest | None, *, now: int
) -> ShownTest:
    document = documents.accepted(sent, None if known is None else json.loads(known.definition))
    if known is not None and document.get("subtype", DEFAULT_SUBTYPE) != known.subtype:
        raise UnusableError("updating sub-type is forbidden")
    places = await named_places(connection, document)
    if places and set(document["locations"]) != {place.id for place in places}:
        document["locations"] = [place.id for place in places]
    if known is not None:
        document.setdefault("status", tests.status(paused=known.paused))
    checked = definitions.check("test", document)
    stored_test = tests.to_store(by, checked, known, now=now)
    await tests.keep(connection, by, [(stored_test, known)], now=now)
    await assign_exactly(connection, stored_test, places, now=now)
    return (await _shown(connection, [stored_test]))[0]


async def named_places(connection: AsyncConnection, document: Mapping[str, Any]) -> list[Location]:
    """The locations that a document names, by their ids or names. Raises UnusableError for one that is not there."""
    said = document.get("locations", [])
    if not isinstance(said, list) or not all(isinstance(name, str) for name in said):
        raise TestError(["locations: is not a valid list of location ids"])
    if len(said) > MOST_LOCATIONS:
        raise TestError([f"locations: has {len(said)} entries, and at most {MOST_LOCATIONS} are taken"])
    try:
        found = [await locations.find(connection, name) for name in said]
    except NotFoundError as error:
        raise UnusableError(f"locations: {error}", field="locations") from error
    return list({place.id: place for place in found}.values())


async def assign_exactly(
    connection: AsyncConnection, test: StoredTest, places: Sequence[Location], *, now: int
) -> None:
    """Let exactly these locations run the test."""
    wanted = {place.id for place in places}
    before = await testsearch.places_of(connection, [test.public_id])
    for place, _ in before[test.public_id]:
        if place not in wanted:
            await stored.unassign(connection, test, place, now=now)
    for location in places:
        await stored.assign(connection, [test], location.id, enabled=location.enabled, now=now)


async def _known(connection: AsyncConnection, test: str) -> StoredTest:
    found = await stored.by_id(connection, test)
    if found is None:
        raise NotFoundError("test", test)
    return found


async def _page(
    database: Database, by: Principal, chosen: SearchTerms, *, offset: int, limit: int, descending: bool = False
) -> PageOfTests:
    by.require(KeyScope.READ)
    async with database.read() as connection:
        found, total = await testsearch.page(
            connection, chosen, offset=offset, limit=min(limit, MOST_LISTED), descending=descending
        )
        return PageOfTests(tests=tuple(await _shown(connection, found)), total=total)


async def _shown(connection: AsyncConnection, found: Sequence[StoredTest]) -> list[ShownTest]:
    places = await testsearch.places_of(connection, [test.public_id for test in found])
    return [
        ShownTest(test=test, document=documents.shown(test, [place for place, _ in places[test.public_id]]))
        for test in found
    ]
