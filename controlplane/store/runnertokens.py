"""Enrolment tokens of runners. Their secrets are sealed, each bound to its row, its end and its number of uses."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.runnertables import runner_tokens
from controlplane.store.sealing import Sealer
from worker.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredToken:
    """A token that is good for *uses* enrolments. *used* are those that took place, *used_by* is the key of the last one."""

    id: str
    runner: str
    secret: Secret[bytes]
    expires_at: int
    uses: int = 1
    used: int = 0
    used_by: str | None = None
    used_at: int | None = None


async def add(connection: AsyncConnection, sealer: Sealer, token: StoredToken) -> None:
    await connection.execute(
        runner_tokens.insert().values(
            id=token.id,
            runner_id=token.runner,
            secret_sealed=sealer.seal(token.secret.reveal(), _place(token)),
            expires_at=token.expires_at,
            uses=token.uses,
            used=0,
        )
    )


async def find(connection: AsyncConnection, sealer: Sealer, name: str) -> StoredToken | None:
    """Read a token. Raises DatabaseError for a row that was not stored like this."""
    row = (await connection.execute(select(runner_tokens).where(runner_tokens.c.id == name))).one_or_none()
    if row is None:
        return None
    sealed = StoredToken(id=row.id, runner=row.runner_id, secret=Secret(b""), expires_at=row.expires_at, uses=row.uses)
    return StoredToken(
        id=row.id,
        runner=row.runner_id,
        secret=sealer.open(row.secret_sealed, _place(sealed)),
        expires_at=row.expires_at,
        uses=row.uses,
        used=row.used,
        used_by=row.used_by,
        used_at=row.used_at,
    )


async def spend(connection: AsyncConnection, name: str, *, kid: str, now: int) -> None:
    """Count one enrolment, by the key *kid*."""
    used = {"used": runner_tokens.c.used + 1, "used_by": kid, "used_at": now}
    await connection.execute(update(runner_tokens).where(runner_tokens.c.id == name).values(used))


async def drop(connection: AsyncConnection, runner: str) -> None:
    """Delete every token of a runner."""
    await connection.execute(delete(runner_tokens).where(runner_tokens.c.runner_id == runner))


def _place(token: StoredToken) -> str:
    """End and uses are part of the place: who can write to the database does not lengthen a token's life."""
    place = f"runner_tokens.secret:{token.runner}:{token.id}:{token.expires_at}"
    return place if token.uses == 1 else f"{place}:{token.uses}"  # as those that were made before tokens had several
