"""Apps, their definitions sealed, and claimed tokens. Who can only write the database makes no app and alters none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.errors import ConflictError, NotFoundError
from controlplane.store.apptables import app_claims, apps
from controlplane.store.sealing import Sealer

CLAIMS_KEPT_MS = 10 * 60 * 1000
"""Milliseconds for which a claim is kept: a token lives for one minute, by our own clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredApp:
    """*definition* is JSON, as it was checked. Times are epoch milliseconds."""

    id: str
    name: str
    runner: str
    version: int
    definition: bytes
    created_at: int
    created_by: str
    modified_at: int
    modified_by: str


async def add(connection: AsyncConnection, sealer: Sealer, app: StoredApp) -> None:
    """Store a new app. Raises ConflictError where its name is taken."""
    try:
        await connection.execute(apps.insert().values(id=app.id, **_values(sealer, app)))
    except IntegrityError as error:
        raise ConflictError("app", app.name) from error


async def replace(connection: AsyncConnection, sealer: Sealer, app: StoredApp) -> None:
    await connection.execute(update(apps).where(apps.c.id == app.id).values(_values(sealer, app)))


async def find(connection: AsyncConnection, sealer: Sealer, name: str) -> StoredApp:
    """Find an app by its name or id. Raises NotFoundError with the names there are, DatabaseError for a planted one."""
    row = (await connection.execute(select(apps).where(or_(apps.c.name == name, apps.c.id == name)))).first()
    if row is None:
        known = await connection.scalars(select(apps.c.name).order_by(apps.c.name).limit(11))
        raise NotFoundError("app", name, list(known))
    return _app(sealer, row)


async def list_all(connection: AsyncConnection, sealer: Sealer) -> Sequence[StoredApp]:
    return [_app(sealer, row) for row in await connection.execute(select(apps).order_by(apps.c.name))]


async def remove(connection: AsyncConnection, app: str) -> None:
    await connection.execute(delete(apps).where(apps.c.id == app))


async def claim(connection: AsyncConnection, jti: str, *, runner: str, now: int) -> None:
    """Record that a token is spent. Raises ConflictError where it was before."""
    try:
        await connection.execute(app_claims.insert().values(jti=jti, runner_id=runner, at=now))
    except IntegrityError as error:
        raise ConflictError("token", jti) from error


async def prune_claims(connection: AsyncConnection, *, before: int, limit: int) -> int:
    """Forget claims of tokens that ended long ago; returns how many."""
    old = select(app_claims.c.jti).where(app_claims.c.at < before).limit(limit)
    return (await connection.execute(delete(app_claims).where(app_claims.c.jti.in_(old)))).rowcount


def _values(sealer: Sealer, app: StoredApp) -> dict[str, Any]:
    return {
        "name": app.name,
        "runner_id": app.runner,
        "version": app.version,
        "definition_sealed": sealer.seal(app.definition, _place(app.id, app.name, app.runner, app.version)),
        "created_at": app.created_at,
        "created_by": app.created_by,
        "modified_at": app.modified_at,
        "modified_by": app.modified_by,
    }


def _app(sealer: Sealer, row: Any) -> StoredApp:
    sealed = sealer.open(row.definition_sealed, _place(row.id, row.name, row.runner_id, row.version))
    return StoredApp(
        id=row.id,
        name=row.name,
        runner=row.runner_id,
        version=row.version,
        definition=sealed.reveal(),
        created_at=row.created_at,
        created_by=row.created_by,
        modified_at=row.modified_at,
        modified_by=row.modified_by,
    )


def _place(app: str, name: str, runner: str, version: int) -> str:
    """Name, runner and version are part of the place: none can be changed without the key."""
    return f"apps.definition:{app}:{name}:{runner}:{version}"
