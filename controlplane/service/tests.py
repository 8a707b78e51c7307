"""Tests: put definitions into the schedule, list them, switch them, run them now, take them out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch, frames, retries
from controlplane.alerts import rule
from controlplane.errors import ConflictError, UnusableError
from controlplane.retries import LongRetry
from controlplane.service import audit, definitions, subtests
from controlplane.service.definitions import CheckedDefinition
from controlplane.service.principal import KeyScope, Principal
from controlplane.store import locations, sweep, tests
from controlplane.store.database import Database
from controlplane.store.locations import Location
from controlplane.store.tests import Assignment, StoredTest
from worker.apitest.parse import parse
from worker.clock import Clock
from worker.errors import TestError

AT_ONCE = 150
"""Definitions stored in one transaction: some hundredths of a second. Fewer than one statement can name."""


class Change(Enum):
    """The effect of a pushed definition on what is stored."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """A pushed definition: its effect, the test as it is stored now, and what its author should know of it.

    *requires_update* are parts that this version cannot run, *ignored* parts that it runs without.
    """

    change: Change
    test: StoredTest
    requires_update: tuple[str, ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignedTest:
    """A test and where it runs."""

    test: StoredTest
    assignments: tuple[Assignment, ...]


async def push(
    database: Database, clock: Clock, by: Principal, pushed: Sequence[CheckedDefinition], *, places: Sequence[str]
) -> tuple[Pushed, ...]:
    """Add or update tests and assign them to locations, by their names or ids, besides those that they are assigned to already.

    A bounded number at a time: who serves workers waits for the same lock. Raises NotFoundError, and ConflictError where a
    definition without a public id has the name of several tests, before anything is stored.
    """
    await check_push(database, by, pushed, places=places)
    done: list[Pushed] = []
    for portion in _portions(pushed):
        if done:
            await clock.sleep(database.rest_seconds)
        async with database.write() as connection:
            found = [await locations.find(connection, place) for place in places]
            done += await _put(connection, by, portion, found, now=epoch.milliseconds(clock))
    async with database.read() as connection:  # a subtest may have been pushed after the test that plays it
        return await _with_places(connection, [await _with_subtests(connection, one) for one in done])


async def check_push(
    database: Database, by: Principal, pushed: Sequence[CheckedDefinition], *, places: Sequence[str]
) -> None:
    """Raise what `push` would, and change nothing."""
    by.require(KeyScope.WRITE)
    async with database.read() as connection:
        for place in places:
            await locations.find(connection, place)
        for portion in _portions(pushed):
            await _known(connection, portion)


async def list_page(database: Database, by: Principal, *, offset: int, limit: int) -> tuple[AssignedTest, ...]:
    """List at most *limit* tests, by name, from number *offset*, and their assignments, by location."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        found = await tests.list_page(connection, offset=offset, limit=limit)
        places: dict[str, list[Assignment]] = {}
        for assignment in await tests.list_assignments(connection, [test.public_id for test in found]):
            places.setdefault(assignment.test, []).append(assignment)
        return tuple(AssignedTest(test=test, assignments=tuple(places.get(test.public_id, ()))) for test in found)


async def assign(database: Database, clock: Clock, by: Principal, name: str, *, places: Sequence[str]) -> None:
    """Let locations run a test, at once, besides those that do already."""
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        test = await tests.get(connection, name)
        now = epoch.milliseconds(clock)
        for place in [await locations.find(connection, place) for place in places]:
            await tests.assign(connection, [test], place.id, enabled=place.enabled, now=now)
        added = {"locations": list(places)}
        await audit.record(connection, by, "test.assign", test.public_id, after=added, now=now)


async def unassign(
    database: Database, clock: Clock, by: Principal, name: str, *, places: Sequence[str]
) -> tuple[str, ...]:
    """Let locations run a test no more; the names of those that still do. Raises UnusableError where one did not."""
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        test = await tests.get(connection, name)
        now = epoch.milliseconds(clock)
        for place in [await locations.find(connection, place) for place in places]:
            if not await tests.unassign(connection, test, place.id, now=now):
                raise UnusableError(f"test {test.name!r} is not assigned to location {place.name!r}")
        gone = {"locations": list(places)}
        await audit.record(connection, by, "test.unassign", test.public_id, before=gone, now=now)
        return tuple(place.name for place in await tests.locations_of(connection, test))


async def set_paused(database: Database, clock: Clock, by: Principal, name: str, *, paused: bool) -> None:
    """Pause or resume a test, by its public id or name. A resumed one is due at once."""
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        test = await tests.get(connection, name)
        now = epoch.milliseconds(clock)
        await _settle(connection, [test], now=now)
        await tests.set_paused(connection, test, paused=paused, now=now)
        before, after = {"status": status(paused=test.paused)}, {"status": status(paused=paused)}
        action = "test.pause" if paused else "test.resume"
        await audit.record(connection, by, action, test.public_id, before=before, after=after, now=now)


def status(*, paused: bool) -> str:
    """The word of the test language."""
    return "paused" if paused else "live"


async def delete(database: Database, clock: Clock, by: Principal, name: str) -> None:
    """Delete a test, by its public id or name. Its results stay until they are too old."""
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        await remove(connection, by, await tests.get(connection, name), now=epoch.milliseconds(clock))


async def remove(connection: AsyncConnection, by: Principal, test: StoredTest, *, now: int) -> None:
    """Delete a test and say so in the audit log."""
    await tests.remove(connection, test, now=now)
    await audit.record(connection, by, "test.delete", test.public_id, before=json.loads(test.definition), now=now)


def _portions(pushed: Sequence[CheckedDefinition]) -> list[Sequence[CheckedDefinition]]:
    return [pushed[start : start + AT_ONCE] for start in range(0, len(pushed), AT_ONCE)]


async def _put(
    connection: AsyncConnection,
    by: Principal,
    portion: Sequence[CheckedDefinition],
    places: Sequence[Location],
    *,
    now: int,
) -> list[Pushed]:
    known = await _known(connection, portion)
    done = [_pushed(by, definition, before, now) for definition, before in zip(portion, known, strict=True)]
    stored = [one.test for one in done]
    changed = [
        (one.test, before) for one, before in zip(done, known, strict=True) if one.change is not Change.UNCHANGED
    ]
    await keep(connection, by, changed, now=now)
    for place in places:
        await tests.assign(connection, stored, place.id, enabled=place.enabled, now=now)
    return done


async def _settle(connection: AsyncConnection, some: Sequence[StoredTest], *, now: int) -> None:
    """Note what was missed before a change replaces it: nobody may have swept since."""
    ids = [test.public_id for test in some]
    while ids and (await sweep.settle_runs(connection, now=now, only=ids)).rows == sweep.BATCH:
        pass


def _pushed(by: Principal, definition: CheckedDefinition, known: StoredTest | None, now: int) -> Pushed:
    stored = to_store(by, definition, known, now=now)
    change = Change.ADDED if known is None else Change.UPDATED
    if known is not None and _content(known) == _content(stored):
        change, stored = Change.UNCHANGED, known
    parsed = definition.parsed
    return Pushed(
        change=change, test=stored, requires_update=tuple(parsed.requires_update), ignored=tuple(parsed.ignored)
    )


async def _with_subtests(connection: AsyncConnection, pushed: Pushed) -> Pushed:
    """*pushed*, with what its author should know of the test together with its subtests."""
    if not subtests.plays_subtests(pushed.test.definition):
        return pushed
    try:
        parsed = parse(await subtests.whole(connection, json.loads(pushed.test.definition)))
    except TestError as error:
        return replace(pushed, requires_update=error.errors)
    ignored = tuple(dict.fromkeys((*pushed.ignored, *parsed.ignored)))
    return replace(pushed, requires_update=parsed.requires_update, ignored=ignored)


async def _with_places(connection: AsyncConnection, done: Sequence[Pushed]) -> tuple[Pushed, ...]:
    """*done*, with what their authors should know of the number of locations."""
    asking = [one.test.public_id for one in done if rule.of(one.test.alerting).locations > 1]
    places = Counter(assignment.test for assignment in await tests.list_assignments(connection, asking))
    return tuple(
        replace(one, ignored=(*one.ignored, *rule.too_few(json.loads(one.test.definition), places[one.test.public_id])))
        if one.test.public_id in places
        else one
        for one in done
    )


@dataclass(frozen=True, slots=True)
class DefinitionNames:
    """The names by which a definition finds the test that it updates; *public_id* is empty where it has none."""

    place: str
    public_id: str
    name: str


async def _known(connection: AsyncConnection, portion: Sequence[CheckedDefinition]) -> list[StoredTest | None]:
    names = [DefinitionNames(one.place, one.parsed.public_id, one.parsed.name) for one in portion]
    return await known(connection, names)


async def known(connection: AsyncConnection, wanted: Sequence[DefinitionNames]) -> list[StoredTest | None]:
    """The test that each definition updates: the one with its public id, or, if it has none, the one with its name.

    Raises ConflictError where several have that name. The caller bounds their number.
    """
    by_id = await tests.by_ids(connection, {one.public_id for one in wanted if one.public_id})
    by_name = await tests.by_names(connection, {one.name for one in wanted if not one.public_id})
    found: list[StoredTest | None] = []
    for one in wanted:
        if one.public_id:
            found.append(by_id.get(one.public_id))
            continue
        named = by_name.get(one.name, [])
        if len(named) > 1:
            raise ConflictError("test", one.name, [test.public_id for test in named], place=one.place)
        found.append(named[0] if named else None)
    return found


async def keep(
    connection: AsyncConnection, by: Principal, changed: Sequence[tuple[StoredTest, StoredTest | None]], *, now: int
) -> None:
    """Store tests that are new, or in place of what is known of them beside them, and say so in the audit log."""
    await tests.add(connection, [test for test, known in changed if known is None], now=now)
    replaced = [test for test, known in changed if known is not None]
    await _settle(connection, replaced, now=now)
    await tests.replace(connection, replaced, now=now)
    entries = [
        audit.entry(
            by,
            "test.create" if known is None else "test.update",
            test.public_id,
            before=None if known is None else json.loads(known.definition),
            after=json.loads(test.definition),
            now=now,
        )
        for test, known in changed
    ]
    await audit.record_all(connection, entries)


def to_store(by: Principal, definition: CheckedDefinition, known: StoredTest | None, *, now: int) -> StoredTest:
    """Make a stored test: with its public id and the next version inside, so that results name what was run."""
    parsed, content = definition.parsed, definition.content
    public_id = known.public_id if known else parsed.public_id or definitions.public_id()
    version = known.version + 1 if known else 1
    period_ms = _tick_every(definition) * 1000
    said = content.get("status")
    tags = content.get("tags") or ()
    return StoredTest(
        public_id=public_id,
        name=parsed.name,
        subtype=parsed.subtype,
        version=version,
        paused=said == "paused" if said is not None else known is not None and known.paused,
        period_ms=period_ms,
        definition=json.dumps(content | {"public_id": public_id, "version": version}),
        modified_at=now,
        frames=frames.written(parsed.scheduling),
        retry=retries.of(parsed.retry),
        created_at=known.created_at if known else now,
        created_by=known.created_by if known else by.name,
        modified_by=by.name,
        tags=tuple(tag for tag in tags if isinstance(tag, str)),
        alerting=rule.written(rule.read(content, period_ms=period_ms)),
    )


def _tick_every(definition: CheckedDefinition) -> int:
    seconds = definition.parsed.tick_every
    assert seconds is not None, "check lets no definition through without it"
    return seconds


def _content(stored: StoredTest) -> tuple[bool, str | None, LongRetry, object]:
    return stored.paused, stored.frames, stored.retry, json.loads(stored.definition) | {"version": None}
