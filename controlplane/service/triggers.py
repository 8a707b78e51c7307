"""Runs on demand: trigger tests now, alone or as a batch of a pipeline, and follow a batch to its end."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.errors import NotFoundError, UnusableError
from controlplane.service import audit, definitions
from controlplane.service.principal import KeyScope, Principal
from controlplane.store import locations, tests, testsearch, triggered
from controlplane.store.database import Database
from controlplane.store.locations import Location
from controlplane.store.tests import StoredTest
from controlplane.store.triggered import Batch, Followed, TriggeredRun
from worker.apitest.overrides import overridden
from worker.apitest.parse import parse
from worker.apitest.request import DEFAULT_SUBTYPE
from worker.clock import Clock
from worker.errors import TestError
from worker.wire.identifiers import timed_uuid

MOST_TESTS = 1000
"""Tests of one request: what the pipelines' client sends at most."""
MOST_RUNS = 2000
"""Runs of one request, which are one transaction: tests times locations."""
DEFAULT_WAIT = 30 * 60 * 1000
"""Milliseconds in which a triggered run must start and end, where nobody says otherwise."""
LONGEST_WAIT = 24 * 3600 * 1000
MOST_CAP = 100_000
MAX_DETAILS = 64 * 1024
"""Characters of a pipeline's JSON about itself."""
FIRST_RESULT_ID = 10**18
"""Ids of triggered results lie from here to below 2**63, those of scheduled ones, which count up from 1, never reach it."""
_OF_THE_RUN = frozenset({"public_id", "local_test_definition", "metadata", "version", "locations"})
"""Members that say which run it is; the others are overrides of what it asks."""


class RunStatus(Enum):
    """The state of a run of a batch; the values are the reply's."""

    IN_PROGRESS = "in_progress"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggered:
    """The runs of one request, and the locations that they are at. *batch* is None where nobody waits for them together."""

    batch: str | None
    runs: tuple[TriggeredRun, ...]
    locations: tuple[Location, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRun:
    """A run of a batch as it stands. *timed_out* says that no worker ran it in time."""

    followed: Followed
    status: RunStatus
    timed_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedBatch:
    """A batch as it stands; *status* is in progress until its last run has ended."""

    batch: Batch
    runs: tuple[BatchRun, ...]
    status: RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """One test of a request: the definition to run, at which locations, under which rule."""

    test_id: str
    definition: dict[str, Any]
    places: tuple[Location, ...]
    rule: str


async def trigger(
    database: Database,
    clock: Clock,
    by: Principal,
    asked: Sequence[Mapping[str, Any]],
    *,
    batch: bool = False,
    details: Any = None,
    wait_ms: int = DEFAULT_WAIT,
) -> Triggered:
    """Make a job of each test at each of its locations, all or none. Raises NotFoundError, UnusableError or TestError."""
    by.require(KeyScope.TRIGGER)
    if not 1 <= len(asked) <= MOST_TESTS:
        raise UnusableError(f"tests: has {len(asked)} entries: expected 1 to {MOST_TESTS}")
    said = json.dumps(details)
    if len(said) > MAX_DETAILS:
        raise UnusableError(f"metadata: is larger than {MAX_DETAILS} characters")
    async with database.read() as connection:
        wanted = await _wanted(connection, asked)
    now = epoch.milliseconds(clock)
    deadline = now + min(max(wait_ms, 1), LONGEST_WAIT)
    new = Batch(id=str(uuid.uuid4()), created_at=now, deadline=deadline, details=said) if batch else None
    runs = _runs(wanted, None if new is None else new.id, now=now, deadline=deadline)
    if len(runs) > MOST_RUNS:
        raise UnusableError(f"tests: {len(runs)} runs, and at most {MOST_RUNS} are made at once")
    async with database.write() as connection:
        if new is not None:
            await triggered.add_batch(connection, new)
        await triggered.add(connection, runs)
        subject = ",".join(dict.fromkeys(one.test_id for one in wanted))
        after = {"batch": None if new is None else new.id, "runs": len(runs)}
        await audit.record(connection, by, "test.trigger", subject, after=after, now=now)
    places = {place.id: place for one in wanted for place in one.places}
    return Triggered(batch=None if new is None else new.id, runs=runs, locations=tuple(places.values()))


async def trigger_one(database: Database, clock: Clock, by: Principal, name: str) -> tuple[str, ...]:
    """Run a test now, by its public id or name, paused or not; the names of the enabled locations, where it runs.

    Raises NotFoundError, ConflictError, and UnusableError where it is assigned to no enabled location.
    """
    by.require(KeyScope.TRIGGER)
    async with database.read() as connection:
        test = await tests.get(connection, name)
        everywhere = await tests.locations_of(connection, test)
    if not everywhere:
        raise UnusableError(f"test {name!r} is assigned to no location; `test assign` gives it one")
    if not any(place.enabled for place in everywhere):
        disabled = ", ".join(place.name for place in everywhere)
        raise UnusableError(
            f"test {name!r} is assigned to disabled locations only: {disabled}; `location enable` undoes that"
        )
    made = await trigger(database, clock, by, [{"public_id": test.public_id}])
    return tuple(sorted(place.name for place in made.locations))


async def cap(database: Database, by: Principal) -> int:
    """Triggered runs that may be under way at a time, over all locations; 0 means any number."""
    by.require(KeyScope.READ, KeyScope.TRIGGER)
    async with database.read() as connection:
        return await triggered.cap(connection)


async def set_cap(database: Database, clock: Clock, by: Principal, number: int) -> int:
    """Change how many triggered runs may be under way at a time. Raises UnusableError."""
    by.require(KeyScope.WRITE)
    if not 0 <= number <= MOST_CAP:
        raise UnusableError(f"on_demand_concurrency_cap: {number} is not a valid number from 0 to {MOST_CAP}")
    async with database.write() as connection:
        before = await triggered.cap(connection)
        await triggered.put_cap(connection, number)
        now = epoch.milliseconds(clock)
        await audit.record(connection, by, "settings.cap", "on_demand_cap", before=before, after=number, now=now)
    return number


async def follow(database: Database, clock: Clock, by: Principal, name: str) -> FollowedBatch:
    """Read a batch. Raises NotFoundError."""
    by.require(KeyScope.TRIGGER, KeyScope.READ)
    now = epoch.milliseconds(clock)
    async with database.read() as connection:
        batch = await triggered.batch(connection, name)
        if batch is None:
            raise NotFoundError("batch", name)
        runs = tuple(stands(one, now) for one in await triggered.of_batch(connection, name))
    statuses = {one.status for one in runs if one.followed.run.execution_rule == "blocking"}
    status = RunStatus.FAILED if RunStatus.FAILED in statuses else RunStatus.PASSED
    if any(one.status is RunStatus.IN_PROGRESS for one in runs):
        status = RunStatus.IN_PROGRESS
    return FollowedBatch(batch=batch, runs=runs, status=status)


def stands(followed: Followed, now: int) -> BatchRun:
    """A run that was lost, missed or cancelled has failed: nobody can say that its target is well."""
    run = followed.run
    status, timed_out = RunStatus.FAILED, False
    if run.job is None:
        status = RunStatus.SKIPPED
    elif followed.origin == "worker":
        status = RunStatus.PASSED if followed.status == "passed" else RunStatus.FAILED
    elif followed.origin is None and followed.closed is None and now < run.deadline:
        status = RunStatus.IN_PROGRESS
    else:
        timed_out = now >= run.deadline and followed.origin != "lost"
    return BatchRun(followed=followed, status=status, timed_out=timed_out)


async def _wanted(connection: AsyncConnection, asked: Sequence[Mapping[str, Any]]) -> list[_Wanted]:
    ids = [one["public_id"] for one in asked if isinstance(one.get("public_id"), str)]
    known = await testsearch.by_ids(connection, ids)
    places = await testsearch.places_of(connection, list(known))
    every = {place.id: place for place in await locations.list_all(connection)}
    named = {place.name: place for place in every.values()} | every
    found = []
    for one in asked:
        local = one.get("local_test_definition")
        if local is None:
            name = one.get("public_id")
            test = known.get(name) if isinstance(name, str) else None
            if test is None:
                raise NotFoundError("test", str(name))
            _check_version(one, test)
            base, default = json.loads(test.definition), [place for place, _ in places[test.public_id]]
        else:
            base, default = _local(local), local.get("locations") or []
        found.append(_one(one, base, default, named))
    return found


def _one(
    asked: Mapping[str, Any], base: dict[str, Any], default: Sequence[str], named: Mapping[str, Location]
) -> _Wanted:
    given = {name: value for name, value in asked.items() if name not in _OF_THE_RUN}
    meant = overridden(base, given, path="tests[]")
    definition = dict(meant.test)
    parsed = parse(definition)  # what the overrides made of it
    chosen = _chosen(asked.get("locations") or default, named, parsed.name)
    return _Wanted(test_id=definition["public_id"], definition=definition, places=chosen, rule=meant.rule)


def _chosen(said: Any, named: Mapping[str, Location], test: str) -> tuple[Location, ...]:
    """The enabled ones of the locations that were named. Raises UnusableError."""
    if not isinstance(said, list) or not all(isinstance(name, str) for name in said):
        raise UnusableError("locations: is not a valid list of location ids", field="locations")
    for name in said:
        if name not in named:
            raise UnusableError(f"locations: no location {name[:120]!r}", field="locations")
    places = {named[name].id: named[name] for name in said}
    enabled = tuple(place for place in places.values() if place.enabled)
    if not enabled:
        raise UnusableError(f"test {test[:100]!r} is assigned to no enabled location", field="locations")
    return enabled


def _local(local: Any) -> dict[str, Any]:
    """A definition that the pipeline brought, with what a stored one has: an id of its own where it has none."""
    if not isinstance(local, dict):
        raise UnusableError("local_test_definition: is not a valid object")
    if len(json.dumps(local)) > definitions.MAX_DEFINITION_CHARACTERS:
        raise UnusableError(f"local_test_definition: is larger than {definitions.MAX_DEFINITION_CHARACTERS} characters")
    parsed = parse(local)
    if not parsed.name.strip():
        raise TestError(["name: is missing"])
    if parsed.public_id and not definitions.is_public_id(parsed.public_id):
        raise TestError([f"public_id: {parsed.public_id[:40]!r} has not the form xxx-xxx-xxx of [a-z2-9]"])
    return local | {"public_id": parsed.public_id or definitions.public_id(), "version": 1, "subtype": parsed.subtype}


def _check_version(asked: Mapping[str, Any], test: StoredTest) -> None:
    version = asked.get("version")
    if version is not None and version != test.version:
        raise NotFoundError("test version", f"{test.public_id}@{str(version)[:20]}")


def _runs(wanted: Sequence[_Wanted], batch: str | None, *, now: int, deadline: int) -> tuple[TriggeredRun, ...]:
    runs: list[TriggeredRun] = []
    for one in wanted:
        text = json.dumps(one.definition)
        skipped = batch is not None and one.rule == "skipped"
        runs += [
            TriggeredRun(
                result_id=FIRST_RESULT_ID + secrets.randbelow(2**63 - FIRST_RESULT_ID),
                job=None if skipped else timed_uuid(now),
                batch=batch,
                position=len(runs) + index,
                test_id=one.test_id,
                test_name=one.definition["name"],
                subtype=one.definition.get("subtype") or DEFAULT_SUBTYPE,
                location=place.id,
                execution_rule=one.rule,
                definition=text,
                triggered_at=now,
                deadline=deadline,
            )
            for index, place in enumerate(one.places)
        ]
    return tuple(runs)
