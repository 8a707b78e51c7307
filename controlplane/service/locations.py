"""Locations: create, rotate, switch, delete and list the places that workers serve."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.errors import InUseError, UnusableError
from controlplane.service import locationfile
from controlplane.service.locationfile import KeyKind, NewFile
from controlplane.store import locations, tests, workers
from controlplane.store.database import Database
from controlplane.store.locations import ConfigFile, Location
from controlplane.store.tests import StoredTest
from controlplane.store.workers import SeenWorker
from worker.clock import Clock
from worker.secret import Secret

HEALTHY = 5_000
"""Milliseconds since the last pull within which a location counts as polled, as the reference system counts."""

HandOver = Callable[[Secret[str]], None]
"""Take the text of a new config file. Called before the commit, which an exception of it prevents: a file that opens nothing is
a smaller loss than a location without its file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationHealth:
    """A location with the workers that were seen within `HEALTHY` of *now*, and its config files in force, the newest first."""

    location: Location
    tests: int
    alive: tuple[SeenWorker, ...]
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
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise UnusableError(f"location {name!r}: a name has 1 to 200 printable characters")
    return name


def check_intake_url(url: str) -> str:
    """Give the URL as it goes into a config file. Raises UnusableError."""
    parts = urlsplit(url)
    try:
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username is not None:
        raise UnusableError(f"{url}: expected http(s)://host[:port][/path]")
    return url.rstrip("/")


async def create(
    database: Database, clock: Clock, name: str, *, key_kind: KeyKind, intake_url: str, hand_over: HandOver
) -> Location:
    """Make a location and its first config file. Raises UnusableError, ConflictError where the name is taken."""
    location = Location(
        id=locationfile.location_id(check_name(name)),
        name=name,
        enabled=True,
        intake_url=check_intake_url(intake_url),
        created_at=epoch.milliseconds(clock),
    )
    new = await _new_file(location, key_kind)
    async with database.write() as connection:
        await locations.add(connection, location)
        await locations.add_credential(
            connection, database.sealer, location.id, new.credential, now=location.created_at
        )
        hand_over(new.text)
    return location


async def rotate(
    database: Database,
    clock: Clock,
    name: str,
    *,
    key_kind: KeyKind,
    intake_url: str | None,
    overlap_ms: int,
    hand_over: HandOver,
) -> Location:
    """Make a new config file with new keys; older ones end after *overlap_ms*. Without an *intake_url* it stays as it is."""
    now = epoch.milliseconds(clock)
    async with database.read() as connection:
        found = await locations.find(connection, name)
    location = found if intake_url is None else replace(found, intake_url=check_intake_url(intake_url))
    new = await _new_file(location, key_kind)
    async with database.write() as connection:
        await locations.retire_credentials(connection, location.id, expires_at=now + overlap_ms)
        await locations.add_credential(connection, database.sealer, location.id, new.credential, now=now)
        await locations.set_intake_url(connection, location.id, location.intake_url)
        hand_over(new.text)
    return location


async def set_enabled(database: Database, clock: Clock, name: str, *, enabled: bool) -> None:
    """Switch a location and all its tests off or on, a bounded number of them at a time. What was cut short is taken up again."""
    if enabled:
        await _in_steps(database, clock, partial(_enable, clock=clock, name=name))
    else:
        await _in_steps(database, clock, partial(_disable, name=name))


Step = Callable[[AsyncConnection], Awaitable[bool]]
"""One transaction of a long write. True where it was the last one."""


async def _in_steps(database: Database, clock: Clock, step: Step) -> None:
    while True:
        async with database.write() as connection:
            if await step(connection):
                return
        await clock.sleep(database.rest_seconds)


async def _enable(connection: AsyncConnection, *, clock: Clock, name: str) -> bool:
    """Workers are heard when all is scheduled, from the same step on: a test that is assigned meanwhile is among the last."""
    location = await locations.find(connection, name)
    if location.enabled:
        return True
    if await tests.switch_on(connection, location.id, now=epoch.milliseconds(clock)) == tests.STEP:
        return False
    await locations.set_enabled(connection, location.id, enabled=True)
    return True


async def _disable(connection: AsyncConnection, *, name: str) -> bool:
    location = await locations.find(connection, name)
    if location.enabled:
        await locations.set_enabled(connection, location.id, enabled=False)
    return await tests.switch_off(connection, location.id) < tests.STEP


async def delete(database: Database, clock: Clock, name: str, *, force: bool) -> tuple[str, ...]:
    """Delete a location with its keys and what is scheduled there; the names of the tests that run nowhere now.

    Results stay until they are too old. Raises InUseError, without *force*, where workers serve it or tests are assigned to it.
    """
    async with database.write() as connection:
        location = await locations.find(connection, name)
        assigned = await tests.assigned_to(connection, location.id)
        if not force:
            _refuse_in_use(location, assigned, await workers.list_all(connection), epoch.milliseconds(clock))
        await locations.remove(connection, location.id)
        homeless = await tests.assigned_nowhere(connection)
    gone = {test.public_id for test in assigned}
    return tuple(test.name for test in homeless if test.public_id in gone)


def _refuse_in_use(location: Location, assigned: Sequence[StoredTest], seen: Sequence[SeenWorker], now: int) -> None:
    alive = [one for one in seen if one.location == location.id and one.concurrency and now - one.last_seen <= HEALTHY]
    if assigned or alive:
        raise InUseError(location.name, workers=len(alive), tests=[test.name for test in assigned])


async def list_all(database: Database, clock: Clock) -> tuple[LocationHealth, ...]:
    """List every location, by name, and the health of its workers."""
    now = epoch.milliseconds(clock)
    async with database.read() as connection:
        found = await locations.list_all(connection)
        processes = await workers.list_all(connection)
        counts = await locations.count_tests(connection)
        files = await locations.list_files(connection, now=now)
    return tuple(
        _health(
            location,
            tests=counts.get(location.id, 0),
            files=[file for file in files if file.location == location.id],
            processes=[one for one in processes if one.location == location.id and one.concurrency],
            now=now,
        )
        for location in found
    )


def _health(
    location: Location, *, tests: int, files: Sequence[ConfigFile], processes: Sequence[SeenWorker], now: int
) -> LocationHealth:
    return LocationHealth(
        location=location,
        tests=tests,
        alive=tuple(worker for worker in processes if now - worker.last_seen <= HEALTHY),
        files=tuple(files),
        last_seen=max((worker.last_seen for worker in processes), default=None),
        now=now,
    )


async def _new_file(location: Location, key_kind: KeyKind) -> NewFile:
    """In a thread and before the lock: RSA keys take seconds."""
    return await asyncio.to_thread(locationfile.make, location.id, key_kind=key_kind, intake_url=location.intake_url)
