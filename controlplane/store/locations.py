"""Locations and their credentials: one credential is one config file. Secrets come in and go out sealed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, bindparam, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.errors import ConflictError, NotFoundError
from controlplane.store.prepared import Prepared
from controlplane.store.sealing import Sealer
from controlplane.store.tables import assignments, credentials, jobs, locations
from worker.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    id: str
    name: str
    enabled: bool
    intake_url: str
    created_at: int
    modified_at: int = 0
    created_by: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    restricted_roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """The control plane's part of a config file: the HMAC key, the jobs' public and the results' private key."""

    access_key: str
    secret: Secret[str]
    jobs_kid: str
    jobs_public_pem: str
    results_kid: str
    results_private_pem: Secret[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """A config file of a location, by the access key in it. *expires_at* is None until a rotation replaces it."""

    location: str
    access_key: str
    created_at: int
    expires_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A proven identity: who signs with *secret* speaks for *location*. Keys are of its config files in force, the newest first.

    *job_keys* are (kid, public PEM), *results_keys* private PEM. *until* is the moment at which the first of the files ends that
    do, None where none does.
    """

    location: Location
    secret: Secret[str]
    job_keys: tuple[tuple[str, str], ...]
    results_keys: tuple[Secret[str], ...]
    until: int | None = None


async def add(connection: AsyncConnection, location: Location) -> None:
    """Store a new location. Raises ConflictError where its name is taken."""
    try:
        await connection.execute(
            locations.insert().values(
                id=location.id,
                name=location.name,
                enabled=location.enabled,
                intake_url=location.intake_url,
                created_at=location.created_at,
                modified_at=location.modified_at,
                created_by=location.created_by,
                description=location.description,
                tags=json.dumps(location.tags),
                restricted_roles=json.dumps(location.restricted_roles),
            )
        )
    except IntegrityError as error:
        raise ConflictError("location", location.name) from error


async def add_credential(
    connection: AsyncConnection, sealer: Sealer, location: str, credential: Credential, *, now: int
) -> None:
    await connection.execute(
        credentials.insert().values(
            access_key=credential.access_key,
            location_id=location,
            secret_sealed=sealer.seal(credential.secret.reveal().encode(), _secret_context(credential.access_key)),
            jobs_kid=credential.jobs_kid,
            jobs_public_pem=credential.jobs_public_pem,
            results_kid=credential.results_kid,
            results_private_sealed=sealer.seal(
                credential.results_private_pem.reveal().encode(), _results_context(credential.access_key)
            ),
            created_at=now,
            expires_at=None,
        )
    )


async def retire_credentials(connection: AsyncConnection, location: str, *, expires_at: int) -> None:
    """Let every current credential of a location end at *expires_at*; one that ends sooner keeps its end."""
    await connection.execute(
        update(credentials)
        .where(
            credentials.c.location_id == location,
            or_(credentials.c.expires_at.is_(None), credentials.c.expires_at > expires_at),
        )
        .values(expires_at=expires_at)
    )


async def list_files(connection: AsyncConnection, *, now: int) -> Sequence[ConfigFile]:
    """List the config files in force of every location, the newest first."""
    query = select(credentials).where(_current(credentials)).order_by(credentials.c.created_at.desc())
    rows = await connection.execute(query, {"now": now})
    return [
        ConfigFile(
            location=row.location_id,
            access_key=row.access_key,
            created_at=row.created_at,
            expires_at=row.expires_at,
        )
        for row in rows
    ]


async def drop_expired_credentials(connection: AsyncConnection, *, now: int) -> None:
    await connection.execute(delete(credentials).where(credentials.c.expires_at <= now))


def _current(table: FromClause) -> ColumnElement[bool]:
    """Keys in force at the parameter `now`."""
    return or_(table.c.expires_at.is_(None), table.c.expires_at > bindparam("now"))


_mine = credentials.alias("mine")
_ACCESS = Prepared(
    select(locations, *[column for column in credentials.c if column.name != "created_at"])
    .join(credentials, credentials.c.location_id == locations.c.id)
    .join(_mine, _mine.c.location_id == locations.c.id)
    .where(_mine.c.access_key == bindparam("asked"), _current(credentials), _current(_mine))
    .order_by(credentials.c.created_at.desc())
)


async def access(connection: AsyncConnection, sealer: Sealer, access_key: str, *, now: int) -> Access | None:
    """Look up the location that an access key stands for, None where the key is unknown or has expired."""
    rows = await _ACCESS.rows(connection, asked=access_key, now=now)
    asked = next((row for row in rows if row.access_key == access_key), None)
    if asked is None:
        return None
    return Access(
        location=_location(asked),
        secret=_opened(sealer, asked.secret_sealed, _secret_context(access_key)),
        job_keys=tuple((row.jobs_kid, row.jobs_public_pem) for row in rows),
        results_keys=tuple(
            _opened(sealer, row.results_private_sealed, _results_context(row.access_key)) for row in rows
        ),
        until=min((row.expires_at for row in rows if row.expires_at is not None), default=None),
    )


async def named_by(connection: AsyncConnection, access_key: str) -> tuple[Location, int | None] | None:
    """The location of an access key, and when the key ends or ended; None where it is unknown or long ended."""
    row = (
        await connection.execute(
            select(locations, credentials.c.expires_at)
            .join(credentials, credentials.c.location_id == locations.c.id)
            .where(credentials.c.access_key == access_key)
        )
    ).first()
    return None if row is None else (_location(row), row.expires_at)


def _opened(sealer: Sealer, sealed: bytes, context: str) -> Secret[str]:
    return Secret(sealer.open(sealed, context).reveal().decode())


async def find(connection: AsyncConnection, name: str) -> Location:
    """Find a location by its name or id. Raises NotFoundError with the names that there are."""
    row = (
        await connection.execute(
            select(locations)
            .where(or_(locations.c.name == name, locations.c.id == name))
            .order_by(locations.c.name == name)
        )
    ).first()
    if row is None:
        raise NotFoundError("location", name, [found.name for found in await list_all(connection)])
    return _location(row)


async def list_all(connection: AsyncConnection) -> Sequence[Location]:
    return [_location(row) for row in await connection.execute(select(locations).order_by(locations.c.name))]


async def set_enabled(connection: AsyncConnection, location: str, *, enabled: bool) -> None:
    await connection.execute(update(locations).where(locations.c.id == location).values(enabled=enabled))


async def set_intake_url(connection: AsyncConnection, location: str, url: str) -> None:
    await connection.execute(update(locations).where(locations.c.id == location).values(intake_url=url))


async def describe(connection: AsyncConnection, location: Location) -> None:
    """Store a location's name, description, tags and roles anew. Raises ConflictError where its name is taken."""
    changed = update(locations).where(locations.c.id == location.id)
    values = {
        "name": location.name,
        "description": location.description,
        "tags": json.dumps(location.tags),
        "restricted_roles": json.dumps(location.restricted_roles),
        "modified_at": location.modified_at,
    }
    try:
        await connection.execute(changed.values(values))
    except IntegrityError as error:
        raise ConflictError("location", location.name) from error


async def some_jobs(connection: AsyncConnection, location: str, *, after: str, limit: int) -> Sequence[str]:
    """The ids of jobs of a location, the first *limit* of those behind *after* in the order of ids."""
    here = select(jobs.c.id).where(jobs.c.location_id == location, jobs.c.id > after)
    return (await connection.scalars(here.order_by(jobs.c.id).limit(limit))).all()


async def drop_jobs(connection: AsyncConnection, ids: Sequence[str]) -> None:
    await connection.execute(delete(jobs).where(jobs.c.id.in_(ids)))


async def remove(connection: AsyncConnection, location: str) -> None:
    """Delete a location with its credentials, workers, jobs and assignments. Results stay until they are too old."""
    await connection.execute(delete(locations).where(locations.c.id == location))


async def count_tests(connection: AsyncConnection) -> dict[str, int]:
    """Count the tests of each location, by its id."""
    rows = await connection.execute(
        select(assignments.c.location_id, func.count().label("tests")).group_by(assignments.c.location_id)
    )
    return {row.location_id: row.tests for row in rows}


def _location(row: Any) -> Location:
    return Location(
        id=row.id,
        name=row.name,
        enabled=bool(row.enabled),  # a driver has no word for it
        intake_url=row.intake_url,
        created_at=row.created_at,
        modified_at=row.modified_at,
        created_by=row.created_by,
        description=row.description,
        tags=tuple(json.loads(row.tags)),
        restricted_roles=tuple(json.loads(row.restricted_roles)),
    )


def _secret_context(access_key: str) -> str:
    return f"credentials.secret {access_key}"


def _results_context(access_key: str) -> str:
    return f"credentials.results_private {access_key}"
