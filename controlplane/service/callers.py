"""The callers of the worker protocol: what an access key opens, looked up, or remembered for as long as nobody changes it.

A caller who is remembered is let in only once the database's lock tells that the key still opens the same (`is_current`).
"""

from __future__ import annotations

from dataclasses import dataclass

from controlplane import epoch
from controlplane.errors import UnknownCallerError
from controlplane.store import locations, tables
from controlplane.store.database import Database
from controlplane.store.locations import Access
from controlplane.store.versions import MemoryKind, Stamp
from controlplane.store.workers import Origin
from worker.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAccess:
    """The access that a key opened at the stamp *seen*."""

    access: Access
    seen: Stamp


ACCESSES: MemoryKind[str, KnownAccess] = MemoryKind((tables.locations, tables.credentials), most=1_000)
"""By access key: some kilobytes each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A worker process that has proven that it speaks for the location of *access*, where from, and the number of its request.

    *remembered* is the stamp of an access that was not looked up for this request, None of one that was.
    """

    access: Access
    origin: Origin
    worker: str
    seq: int
    remembered: Stamp | None = None


async def look_up(database: Database, clock: Clock, *, access_key: str, location: str) -> Access:
    """Look up the access that a key opens. Raises UnknownCallerError where it is unknown, has ended, or is another location's."""
    memory = database.versions.memory(ACCESSES)
    stamp = memory.stamp()
    async with database.read() as connection:
        found = await locations.access(connection, database.sealer, access_key, now=epoch.milliseconds(clock))
        if found is not None and found.location.id == location:
            memory.keep(access_key, KnownAccess(access=found, seen=stamp), stamp)
            return found
        named = await locations.named_by(connection, access_key)
    if named is None:
        raise UnknownCallerError(f"no location has the access key {access_key}; a rotation may have ended it long ago")
    place, _ = named
    if place.id != location:
        reason = f"the access key {access_key} is of the location {place.name!r}, and the request says id {location}"
        raise UnknownCallerError(reason)
    raise UnknownCallerError(
        f"the access key {access_key} of the location {place.name!r} was ended by a rotation: give its workers the new file"
    )


def recall(database: Database, clock: Clock, *, access_key: str, location: str) -> KnownAccess | None:
    """The access that a key opened when it was looked up last; None where that may not hold any more, as far as is known here."""
    known = database.versions.memory(ACCESSES).recall(access_key)
    if known is None or known.access.location.id != location or not _holds(known.access, epoch.milliseconds(clock)):
        return None
    return known


def is_current(database: Database, caller: Caller, *, now: int) -> bool:
    """Tell if *caller* still has the access that is remembered, at the moment *now* at which a transaction has the lock."""
    if caller.remembered is None:
        return True
    return database.versions.memory(ACCESSES).stamp() == caller.remembered and _holds(caller.access, now)


def _holds(access: Access, now: int) -> bool:
    return access.until is None or now < access.until
