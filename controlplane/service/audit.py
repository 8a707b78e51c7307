"""The audit log: say who changed what, from what into what, without the secrets in it; and read it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.service.principal import KeyScope, Principal
from controlplane.store import audit
from controlplane.store.audit import AuditEntry
from controlplane.store.database import Database
from worker.secret import REDACTED

MAX_CHARACTERS = 64 * 1024
"""Of one state in the log. A larger one is told by its hash: the log is to be read, and each change writes two of them."""
MOST_FINDINGS = 100
"""Places that one check names: a log that is broken at more wants a person."""
_PORTION = 1000
"""Entries that are read at a time."""
RETENTION_DAYS = 400
"""A year and a month: an audit looks at a year."""
SECRET_MEMBERS = frozenset(
    name.lower()
    for name in (
        *("password", "clientSecret", "secretKey", "secret", "sessionToken", "accessKey", "privateKey"),
        *("authorization", "proxy-authorization", "cookie", "x-api-key", "dd-api-key", "dd-application-key"),
    )
)
"""Members whose texts are secrets wherever they stand: of `basicAuth`, and headers that carry credentials."""
_SECURE = frozenset({"example", "pattern", "value"})
"""Members that hold the value beside `secure: true`."""


async def record(
    connection: AsyncConnection,
    by: Principal,
    action: str,
    subject: str,
    *,
    before: Any = None,
    after: Any = None,
    now: int,
) -> None:
    """Write a change down, in its own transaction. *before* and *after* are JSON values; None where there is nothing."""
    await record_all(connection, [entry(by, action, subject, before=before, after=after, now=now)])


async def record_all(connection: AsyncConnection, entries: Sequence[AuditEntry]) -> None:
    """Write many changes down, in their own transaction."""
    await audit.add(connection, entries)


def entry(by: Principal, action: str, subject: str, *, before: Any = None, after: Any = None, now: int) -> AuditEntry:
    """A change, to be written down."""
    return AuditEntry(
        at=now,
        actor=by.name,
        via=by.via,
        action=action,
        subject=subject[:200],
        before=None if before is None else _text(before),
        after=None if after is None else _text(after),
    )


async def newest(
    database: Database, by: Principal, *, limit: int, subject: str | None = None, before: int | None = None
) -> tuple[AuditEntry, ...]:
    """The newest entries, the newest first. *before* is a sequence number: the next page begins before it."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        return tuple(await audit.newest(connection, limit=limit, subject=subject, before=before))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCheck:
    """The outcome of following the chain of *entries*; *last* is the digest of the newest, by which the end can be known later.

    *findings* are the numbers of entries before which the chain does not hold, `MOST_FINDINGS` at most.
    """

    entries: int
    last: str
    findings: tuple[int, ...]


async def verify(database: Database, by: Principal) -> AuditCheck:
    """Follow the chain from the oldest entry that has not been pruned. Entries of before there was a chain are only counted."""
    by.require(KeyScope.READ)
    findings: list[int] = []
    entries, seq, last, is_chained = 0, 0, "", False
    while True:
        async with database.read() as connection:
            found = await audit.following(connection, seq, limit=_PORTION)
        for written in found:
            is_chained = is_chained or written.prev is not None
            if last and is_chained and written.prev != last:
                findings.append(written.seq)
            last = audit.digest(written)
        entries += len(found)
        if len(found) < _PORTION or len(findings) >= MOST_FINDINGS:
            return AuditCheck(entries=entries, last=last, findings=tuple(findings[:MOST_FINDINGS]))
        seq = found[-1].seq


def as_object(written: AuditEntry) -> dict[str, Any]:
    """An entry as commands and the API print it."""
    return {
        "seq": written.seq,
        "at": written.at,
        "actor": written.actor,
        "via": written.via,
        "action": written.action,
        "subject": written.subject,
        "before": None if written.before is None else orjson.loads(written.before),
        "after": None if written.after is None else orjson.loads(written.after),
    }


def redacted(value: Any) -> Any:
    """*value* without the texts of its secrets."""
    if isinstance(value, list):
        return [redacted(each) for each in value]
    if not isinstance(value, dict):
        return value
    hidden = _SECURE if value.get("secure") is True else frozenset()
    return {
        name: REDACTED if name in hidden or is_secret(name, each) else _certificate(name, each)
        for name, each in value.items()
    }


def is_secret(name: str, value: Any) -> bool:
    """Tell if a member of this name holds a secret text."""
    return name.lower() in SECRET_MEMBERS and isinstance(value, str)


def _certificate(name: str, value: Any) -> Any:
    """A client certificate's two texts have the plain name `content`."""
    if name == "certificate" and isinstance(value, dict):
        return {part: _without_content(each) for part, each in value.items()}
    return redacted(value)


def _without_content(part: Any) -> Any:
    shown = redacted(part)
    return {**shown, "content": REDACTED} if isinstance(shown, dict) and "content" in shown else shown


def _text(value: Any) -> str:
    text = json.dumps(redacted(value), ensure_ascii=False)
    if len(text) <= MAX_CHARACTERS:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return json.dumps({"cut": True, "characters": len(text), "sha256": digest})
