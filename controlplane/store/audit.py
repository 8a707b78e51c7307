"""The audit log: one row a change, written in the transaction of the change, so that neither is there without the other.

Each row has the digest of the one before it: one that is removed, altered or moved breaks the chain. Writers take turns, so that
there is one chain; its beginning goes with what is too old.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import bindparam, delete, select
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
    prev: str | None = None
    """The digest of the entry before; None in those of before there was a chain."""


BEGINNING = "0" * 64
"""The digest before the first entry."""
_WRITTEN = ("at", "actor", "via", "action", "subject", "before", "after", "prev")
_LAST = select(audit).order_by(audit.c.seq.desc()).limit(1)
_AFTER = select(audit).where(audit.c.seq > bindparam("seq_")).order_by(audit.c.seq).limit(bindparam("most"))
_ADD = audit.insert()


def digest(entry: AuditEntry) -> str:
    """SHA-256 of all that an entry says, the digest before it included."""
    return hashlib.sha256(orjson.dumps([getattr(entry, name) for name in _WRITTEN])).hexdigest()


async def add(connection: AsyncConnection, entries: Sequence[AuditEntry]) -> None:
    """Write *entries* down, at the end of the chain."""
    if not entries:
        return
    last = (await connection.execute(_LAST)).first()
    prev = BEGINNING if last is None else digest(_entry(last))
    rows = []
    for entry in entries:
        chained = replace(entry, prev=prev)
        rows.append({name: getattr(chained, name) for name in _WRITTEN})
        prev = digest(chained)
    await connection.execute(_ADD, rows)


async def following(connection: AsyncConnection, seq: int, *, limit: int) -> Sequence[AuditEntry]:
    """The *limit* entries after sequence number *seq*, the oldest first."""
    return [_entry(row) for row in await connection.execute(_AFTER, {"seq_": seq, "most": limit})]


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


async def newest(
    connection: AsyncConnection, *, limit: int, subject: str | None = None, before: int | None = None
) -> Sequence[AuditEntry]:
    """The newest *limit* entries, the newest first: of one *subject*, and older than sequence number *before*."""
    query = select(audit).order_by(audit.c.seq.desc()).limit(limit)
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    if before is not None:
        query = query.where(audit.c.seq < before)
    return [_entry(row) for row in await connection.execute(query)]


async def prune(connection: AsyncConnection, *, before: int, limit: int) -> int:
    """Delete at most *limit* entries written before *before*; how many there were."""
    old = select(audit.c.seq).where(audit.c.at < before).order_by(audit.c.at).limit(limit)
    return (await connection.execute(delete(audit).where(audit.c.seq.in_(old)))).rowcount
