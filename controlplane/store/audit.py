"""The audit log: one row a change, written in the transaction of the change, so that neither is there without the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.tables import audit


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """*before* and *after* are JSON text without secrets, None where there is nothing. *via* is `command`, `api` or `page`."""

    seq: int = 0
    at: int
    actor: str
    via: str
    action: str
    subject: str
    before: str | None = None
    after: str | None = None


_WRITTEN = ("at", "actor", "via", "action", "subject", "before", "after")


async def add(connection: AsyncConnection, entries: Sequence[AuditEntry]) -> None:
    rows = [{name: getattr(entry, name) for name in _WRITTEN} for entry in entries]
    if rows:
        await connection.execute(audit.insert(), rows)


async def newest(
    connection: AsyncConnection, *, limit: int, subject: str | None = None, before: int | None = None
) -> Sequence[AuditEntry]:
    """The newest *limit* entries, the newest first: of one *subject*, and older than sequence number *before*."""
    query = select(audit).order_by(audit.c.seq.desc()).limit(limit)
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    if before is not None:
        query = query.where(audit.c.seq < before)
    return [AuditEntry(**row._mapping) for row in await connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


async def prune(connection: AsyncConnection, *, before: int, limit: int) -> int:
    """Delete at most *limit* entries written before *before*; how many there were."""
    old = select(audit.c.seq).where(audit.c.at < before).order_by(audit.c.at).limit(limit)
    return (await connection.execute(delete(audit).where(audit.c.seq.in_(old)))).rowcount
