"""Locations: create, rotate, switch, delete and list the places that workers serve."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import baseurl, epoch
from controlplane.errors import InUseError, UnusableError
from controlplane.service import audit, locationfile, restrictedroles
from controlplane.service.locationfile import KeyKind, NewFile
from controlplane.service.principal import KeyScope, Principal
from controlplane.store import locations, monitors, tests, workers
from controlplane.store.database import Database
from controlplane.store.locations import ConfigFile, Location
from controlplane.store.workers import SeenWorker
from worker.clock import Clock
from worker.secret import Secret

HEALTHY = 5_000
"""Milliseconds since the last pull within which a location counts as polled, as the reference system counts."""

SILENT = 3_600_000
"""Milliseconds for which a worker that pulls no more is shown: each start is a new one, and yesterday's tell nobody anything."""
MOST_SILENT = 20
"""Such workers of one location, the newest."""

NAME_CHARACTERS = 200
TEXT_CHARACTERS = 10_000
"""Of a description; it is for people."""
MOST_TAGS = 100
TAG_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """Words for people about a location, beside its name, and the roles that it is kept with."""

    text: str = ""
    tags: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


PLAIN = Description()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationHealth:
    """A location with the workers that were seen within `HEALTHY` of *now*, and its config files in force, the newest first.

    *silent* are those that were seen within `SILENT` and are not any more, the newest first.
    """

    location: Location
    tests: int
    alive: tuple[SeenWorker, ...]
    silent: tuple[SeenWorker, ...]
    files: tuple[ConfigFile, ...]
    last_seen: int | None
    now: int

    @property
    def state(self) -> str:
        if not self.location.enabled:
            return "disabled"
        if not self.alive:
            return "silent" if self.last_seen is not None else "never seen"
        return "degraded" if any(worker.degraded for worker in self.alive) else "healthy"


def check_name(name: str) -> str:
    """Raise UnusableError for a name that cannot be shown on one line."""
    if not name.strip() or len(name) > NAME_CHARACTERS or not name.isprintable():
        raise UnusableError(f"location {name!r}: a name has 1 to 200 printable characters", field="name")
    return name


def check_description(text: str, tags: Sequence[str], metadata: object = None) -> Description:
    """The words for people about a location; *metadata* may have roles in it. Raises UnusableError."""
    if len(text) > TEXT_CHARACTERS:
        raise UnusableError(f"description: is longer than {TEXT_CHARACTERS} characters", field="description")
    if len(tags) > MOST_TAGS or any(len(tag) > TAG_CHARACTERS for tag in tags):
        raise UnusableError(f"tags: expected at most {MOST_TAGS} of at most {TAG_CHARACTERS} characters", field="tags")
    return Description(text=text, tags=tuple(tags), roles=restrictedroles.read("metadata", metadata))


async def create(
    database: Database,
    clock: Clock,
    by: Principal,
    name: str,
    *,
    key_kind: KeyKind,
    intake_url: str,
    description: Description = PLAIN,
) -> tuple[Location, Secret[str]]:
    """Make a location, and the text of its first config file. Raises UnusableError, ConflictError where the name is taken."""
    by.require(KeyScope.WRITE)
    location = Location(
        id=locationfile.location_id(check_name(name)),
        name=name,
        enabled=True,
        intake_url=baseurl.read(intake_url),
        created_at=epoch.milliseconds(clock),
        modified_at=epoch.milliseconds(clock),
        created_by=by.name,
        description=description.text,
        tags=description.tags,
        restricted_roles=description.roles,
    )
    new = await _new_file(location, key_kind)
    async with database.write() as connection:
        await locations.add(connection, location)
        await locations.add_credential(
            connection, database.sealer, location.id, new.credential, now=location.created_at
        )
        await audit.record(
            connection, by, "location.create", location.id, after=_state(location), now=location.created_at
        )
    return location, new.text


async def rotate(
    database: Database,
    clock: Clock,
    by: Principal,
    name: str,
    *,
    key_kind: KeyKind,
    intake_url: str | None,
    overlap_ms: int,
) -> tuple[Location, Secret[str]]:
    """Make the text of a new config file with new keys; older ones end after *overlap_ms*.

    Without an *intake_url* it stays as it is.
    """
    by.require(KeyScope.WRITE)
    now = epoch.milliseconds(clock)
    async with database.read() as connection:
        found = await locations.find(connection, name)
    location = found if intake_url is None else replace(found, intake_url=baseurl.read(intake_url))
    new = await _new_file(location, key_kind)
    async with database.write() as connection:
        await locations.retire_credentials(connection, location.id, expires_at=now + overlap_ms)
        await locations.add_credential(connection, database.sealer, location.id, new.credential, now=now)
        await locations.set_intake_url(connection, location.id, location.intake_url)
        before, after = _state(found), _state(location) | {"older_files_end_at": now + overlap_ms}
        await audit.record(connection, by, "location.rotate", location.id, before=before, after=after, now=now)
    return location, new.text


async def set_enabled(database: Database, clock: Clock, by: Principal, name: str, *, enabled: bool) -> None:
    """Switch a location and all its tests off or on, a bounded number of them at a time. What was cut short is taken up again."""
    by.require(KeyScope.WRITE)
    if enabled:
        await _in_steps(database, clock, partial(_enable, clock=clock, by=by, name=name))
    else:
        await _in_steps(database, clock, partial(_disable, clock=clock, by=by, name=name))


Part = TypeVar("Part", SeenWorker, ConfigFile)
Step = Callable[[AsyncConnection], Awaitable[bool]]
"""One transaction of a long write. True where it was the last one."""


async def _in_steps(database: Database, clock: Clock, step: Step) -> None:
    while True:
        async with database.write() as connection:
            if await step(connection):
                return
        await clock.sleep(database.rest_seconds)


async def _enable(connection: AsyncConnection, *, clock: Clock, by: Principal, name: str) -> bool:
    """Workers are heard when all is scheduled, from the same step on: a test that is assigned meanwhile is among the last."""
    location = await locations.find(connection, name)
    if location.enabled:
        return True
    if await tests.switch_on(connection, location.id, now=epoch.milliseconds(clock)) == tests.STEP:
        return False
    await _switch(connection, clock, by, location, enabled=True)
    return True


async def _disable(connection: AsyncConnection, *, clock: Clock, by: Principal, name: str) -> bool:
    location = await locations.find(connection, name)
    await _switch_off(connection, clock, by, location)
    return await tests.switch_off(connection, location.id) < tests.STEP


async def _switch_off(connection: AsyncConnection, clock: Clock, by: Principal, location: Location) -> None:
    if location.enabled:
        await _switch(connection, clock, by, location, enabled=False)


async def _switch(
    connection: AsyncConnection, clock: Clock, by: Principal, location: Location, *, enabled: bool
) -> None:
    now = epoch.milliseconds(clock)
    await locations.set_enabled(connection, location.id, enabled=enabled)
    await monitors.wake_at(connection, location.id, now=now)
    before, after = _state(location), _state(replace(location, enabled=enabled))
    action = "location.enable" if enabled else "location.disable"
    await audit.record(connection, by, action, location.id, before=before, after=after, now=now)


async def delete(database: Database, clock: Clock, by: Principal, name: str, *, force: bool) -> tuple[str, ...]:
    """Delete a location with its keys and what is scheduled there; the names of the tests that run nowhere now.

    Results stay until they are too old. A large one is disabled, then emptied a bounded part at a time, then deleted; where that
    was cut short, another call takes it up again. Raises InUseError, without *force*, where workers serve it or tests run there.
    """
    by.require(KeyScope.WRITE)
    unassigned: set[str] = set()
    after, done = "", False
    while not done:
        async with database.read() as connection:
            found = await locations.find(connection, name)
            some = await locations.some_jobs(connection, found.id, after=after, limit=tests.STEP)
        async with database.write() as connection:
            location = await _unused(connection, clock, name, force=force)
            part = await tests.unassign_some(connection, location.id, now=epoch.milliseconds(clock))
            await locations.drop_jobs(connection, some)
            done = max(len(part), len(some)) < tests.STEP
            await (_remove if done else _switch_off)(connection, clock, by, location)
        unassigned.update(part)
        after = max(some, default=after)
        await clock.sleep(0 if done else database.rest_seconds)
    async with database.read() as connection:
        return tuple(await tests.assigned_nowhere(connection, unassigned))


async def check_delete(database: Database, clock: Clock, by: Principal, name: str) -> Location:
    """Raise InUseError where `delete` would without *force*, and change nothing."""
    by.require(KeyScope.WRITE)
    async with database.read() as connection:
        return await _unused(connection, clock, name, force=False)


async def _unused(connection: AsyncConnection, clock: Clock, name: str, *, force: bool) -> Location:
    location = await locations.find(connection, name)
    if not force:
        assigned, seen = await tests.assigned_to(connection, location.id), await workers.list_all(connection)
        _refuse_in_use(location, assigned, seen, epoch.milliseconds(clock))
    return location


async def _remove(connection: AsyncConnection, clock: Clock, by: Principal, location: Location) -> None:
    await locations.remove(connection, location.id)
    now = epoch.milliseconds(clock)
    await audit.record(connection, by, "location.delete", location.id, before=_state(location), now=now)


async def get(database: Database, by: Principal, name: str) -> Location:
    """Find a location by its name or id. Raises NotFoundError."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        return await locations.find(connection, name)


async def update(
    database: Database, clock: Clock, by: Principal, place: str, *, name: str, description: Description
) -> Location:
    """Rename and describe a location. Raises NotFoundError, UnusableError, ConflictError where the name is taken."""
    by.require(KeyScope.WRITE)
    check_name(name)
    async with database.write() as connection:
        found = await locations.find(connection, place)
        now = epoch.milliseconds(clock)
        words = replace(found, description=description.text, tags=description.tags, restricted_roles=description.roles)
        location = replace(words, name=name, modified_at=now)
        await locations.describe(connection, location)
        before, after = _state(found), _state(location)
        await audit.record(connection, by, "location.update", location.id, before=before, after=after, now=now)
    return location


def _state(location: Location) -> dict[str, object]:
    """The parts of a location that the audit log tells."""
    return {
        "name": location.name,
        "enabled": location.enabled,
        "intake_url": location.intake_url,
        "description": location.description,
        "tags": list(location.tags),
        "restricted_roles": list(location.restricted_roles),
    }


def _refuse_in_use(location: Location, assigned: Sequence[str], seen: Sequence[SeenWorker], now: int) -> None:
    alive = [one for one in seen if one.location == location.id and one.concurrency and now - one.last_seen <= HEALTHY]
    if assigned or alive:
        raise InUseError(location.name, workers=len(alive), tests=assigned)


async def list_names(database: Database, by: Principal) -> tuple[Location, ...]:
    """List every location, by name, without asking how its workers are."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        return tuple(await locations.list_all(connection))


async def list_all(database: Database, clock: Clock, by: Principal) -> tuple[LocationHealth, ...]:
    """List every location, by name, and the health of its workers."""
    by.require(KeyScope.READ)
    now = epoch.milliseconds(clock)
    async with database.read() as connection:
        found = await locations.list_all(connection)
        processes = await workers.list_all(connection)
        counts = await locations.count_tests(connection)
        files = await locations.list_files(connection, now=now)
    files_of, processes_of = _by_location(files), _by_location([one for one in processes if one.concurrency])
    return tuple(
        _health(
            location,
            tests=counts.get(location.id, 0),
            files=files_of.get(location.id, ()),
            processes=processes_of.get(location.id, ()),
            now=now,
        )
        for location in found
    )


def _by_location(some: Sequence[Part]) -> dict[str, list[Part]]:
    found: dict[str, list[Part]] = {}
    for one in some:
        found.setdefault(one.location, []).append(one)
    return found


def _health(
    location: Location, *, tests: int, files: Sequence[ConfigFile], processes: Sequence[SeenWorker], now: int
) -> LocationHealth:
    gone = [worker for worker in processes if HEALTHY < now - worker.last_seen <= SILENT]
    return LocationHealth(
        location=location,
        tests=tests,
        alive=tuple(worker for worker in processes if now - worker.last_seen <= HEALTHY),
        silent=tuple(sorted(gone, key=lambda worker: worker.last_seen, reverse=True)[:MOST_SILENT]),
        files=tuple(files),
        last_seen=max((worker.last_seen for worker in processes), default=None),
        now=now,
    )


async def _new_file(location: Location, key_kind: KeyKind) -> NewFile:
    """Make it in a thread and before the lock: RSA keys take seconds."""
    return await asyncio.to_thread(locationfile.make, location.id, key_kind=key_kind, intake_url=location.intake_url)
