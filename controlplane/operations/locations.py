"""Operations on locations. The config file of a new or rotated one is in its answer, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec

from controlplane.operations.operation import Operation
from controlplane.service import locations
from controlplane.service.locationfile import KeyKind
from controlplane.service.locations import LocationHealth
from controlplane.service.principal import KeyScope, Principal
from controlplane.store.database import Database
from worker.clock import Clock
from worker.secret import Secret

LONGEST_OVERLAP = 10 * 365 * 86_400_000


class ListLocations(msgspec.Struct, frozen=True):
    """A question without members: there are few."""


class CreateLocation(msgspec.Struct, frozen=True):
    name: str
    intake_url: str
    key_kind: KeyKind = "x25519"


class RotateLocation(msgspec.Struct, frozen=True):
    """*location* is a name or an id. Without an *intake_url* it stays as it is. Older files end after *overlap_ms*."""

    location: str
    overlap_ms: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_OVERLAP)]
    intake_url: str | None = None
    key_kind: KeyKind = "x25519"


class SwitchLocation(msgspec.Struct, frozen=True):
    location: str
    enabled: bool


class DeleteLocation(msgspec.Struct, frozen=True):
    """*force*: also where workers serve it, or tests run there."""

    location: str
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedFile:
    """A new config file, which says *intake_url*."""

    intake_url: str
    text: Secret[str]


async def _list(database: Database, clock: Clock, by: Principal, _sent: ListLocations) -> tuple[LocationHealth, ...]:
    return await locations.list_all(database, clock, by)


async def _create(database: Database, clock: Clock, by: Principal, sent: CreateLocation) -> IssuedFile:
    location, text = await locations.create(
        database, clock, by, sent.name, key_kind=sent.key_kind, intake_url=sent.intake_url
    )
    return IssuedFile(intake_url=location.intake_url, text=text)


async def _rotate(database: Database, clock: Clock, by: Principal, sent: RotateLocation) -> IssuedFile:
    location, text = await locations.rotate(
        database,
        clock,
        by,
        sent.location,
        key_kind=sent.key_kind,
        intake_url=sent.intake_url,
        overlap_ms=sent.overlap_ms,
    )
    return IssuedFile(intake_url=location.intake_url, text=text)


async def _switch(database: Database, clock: Clock, by: Principal, sent: SwitchLocation) -> None:
    await locations.set_enabled(database, clock, by, sent.location, enabled=sent.enabled)


async def _delete(database: Database, clock: Clock, by: Principal, sent: DeleteLocation) -> tuple[str, ...]:
    return await locations.delete(database, clock, by, sent.location, force=sent.force)


_READ, _WRITE = (KeyScope.READ,), (KeyScope.WRITE,)
LIST: Operation[ListLocations, tuple[LocationHealth, ...]] = Operation(
    name="locations/list",
    about="List locations with their workers and config files.",
    sent=ListLocations,
    reply=tuple[LocationHealth, ...],
    run=_list,
    scopes=_READ,
)
CREATE: Operation[CreateLocation, IssuedFile] = Operation(
    name="locations/create",
    about="Create a location. The config file of its workers is in this reply alone.",
    sent=CreateLocation,
    reply=IssuedFile,
    run=_create,
    scopes=_WRITE,
)
ROTATE: Operation[RotateLocation, IssuedFile] = Operation(
    name="locations/rotate",
    about="Make a new config file with new keys; older ones end after the overlap.",
    sent=RotateLocation,
    reply=IssuedFile,
    run=_rotate,
    scopes=_WRITE,
)
SWITCH: Operation[SwitchLocation, None] = Operation(
    name="locations/switch",
    about="Enable or disable a location.",
    sent=SwitchLocation,
    reply=None,
    run=_switch,
    scopes=_WRITE,
)
DELETE: Operation[DeleteLocation, tuple[str, ...]] = Operation(
    name="locations/delete",
    about="Delete a location; the names of the tests that run nowhere now.",
    sent=DeleteLocation,
    reply=tuple[str, ...],
    run=_delete,
    scopes=_WRITE,
)
OPERATIONS = (LIST, CREATE, ROTATE, SWITCH, DELETE)
