"""Sessions of signed-in users and links that sign in once, both by the hashes of their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.usertables import sign_in_links, user_sessions, users


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """*last_seen* is a minute behind at most. *by* is the way in: `password`, `link` or `provider`."""

    id: str
    user_id: str
    by: str
    created_at: int
    last_seen: int
    expires_at: int
    address: str
    agent: str


_MEMBERS = ("id", "user_id", "by", "created_at", "last_seen", "expires_at", "address", "agent")
_COLUMNS = tuple(user_sessions.c[name] for name in _MEMBERS)


async def add(connection: AsyncConnection, session: StoredSession, *, token_hash: bytes) -> None:
    row = {name: getattr(session, name) for name in _MEMBERS}
    await connection.execute(user_sessions.insert().values(token_hash=token_hash, **row))


async def by_token(
    connection: AsyncConnection, token_hash: bytes, *, now: int, seen_since: int
) -> tuple[StoredSession, str, str] | None:
    """A session with its user's name and role: neither ended nor idle since *seen_since*, and of a user who may sign in."""
    query = (
        select(*_COLUMNS, users.c.name, users.c.role)
        .join(users, users.c.id == user_sessions.c.user_id)
        .where(
            user_sessions.c.token_hash == token_hash,
            user_sessions.c.expires_at > now,
            user_sessions.c.last_seen > seen_since,
            users.c.enabled,
        )
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else (_session(row), row.name, row.role)


async def of_user(connection: AsyncConnection, user: str, *, now: int, seen_since: int) -> Sequence[StoredSession]:
    """List a user's sessions that hold, the newest first."""
    query = (
        select(*_COLUMNS)
        .where(
            user_sessions.c.user_id == user,
            user_sessions.c.expires_at > now,
            user_sessions.c.last_seen > seen_since,
        )
        .order_by(user_sessions.c.created_at.desc(), user_sessions.c.id)
    )
    return [_session(row) for row in await connection.execute(query)]


async def note_use(connection: AsyncConnection, session: str, *, now: int) -> None:
    await connection.execute(update(user_sessions).where(user_sessions.c.id == session).values(last_seen=now))


async def end(connection: AsyncConnection, session: str, *, user: str) -> bool:
    """Delete a session of *user*; tell if there was one."""
    gone = delete(user_sessions).where(user_sessions.c.id == session, user_sessions.c.user_id == user)
    return (await connection.execute(gone)).rowcount > 0


async def end_by_token(connection: AsyncConnection, token_hash: bytes) -> None:
    await connection.execute(delete(user_sessions).where(user_sessions.c.token_hash == token_hash))


async def end_all(connection: AsyncConnection, user: str, *, but: str = "") -> int:
    """Delete the sessions of *user*, all *but* one, and a link that would begin another; how many sessions there were."""
    await connection.execute(delete(sign_in_links).where(sign_in_links.c.user_id == user))
    gone = delete(user_sessions).where(user_sessions.c.user_id == user, user_sessions.c.id != but)
    return (await connection.execute(gone)).rowcount


async def end_oldest(connection: AsyncConnection, user: str, *, kept: int) -> None:
    """Delete the sessions of *user* beyond the newest *kept*."""
    newest = (user_sessions.c.created_at.desc(), user_sessions.c.id)
    old = select(user_sessions.c.id).where(user_sessions.c.user_id == user).order_by(*newest).offset(kept)
    found = list(await connection.scalars(old))
    if found:
        await connection.execute(delete(user_sessions).where(user_sessions.c.id.in_(found)))


async def add_link(
    connection: AsyncConnection, token_hash: bytes, *, user: str | None, expires_at: int, created_by: str
) -> None:
    """Store a link, in place of one that was made for the same user before."""
    await connection.execute(delete(sign_in_links).where(sign_in_links.c.user_id == user))
    row = {"token_hash": token_hash, "user_id": user, "expires_at": expires_at, "created_by": created_by}
    await connection.execute(sign_in_links.insert().values(**row))


async def link(connection: AsyncConnection, token_hash: bytes, *, now: int) -> tuple[str | None] | None:
    """The user whom a link that holds signs in: in it None for the first administrator's; None where there is no such link."""
    query = select(sign_in_links.c.user_id).where(
        sign_in_links.c.token_hash == token_hash, sign_in_links.c.expires_at > now
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else (row.user_id,)


async def spend_link(connection: AsyncConnection, token_hash: bytes) -> bool:
    """Delete a link; tell if this was the one that did."""
    gone = await connection.execute(delete(sign_in_links).where(sign_in_links.c.token_hash == token_hash))
    return gone.rowcount > 0


async def prune(connection: AsyncConnection, *, now: int, seen_since: int) -> None:
    """Delete what has ended."""
    idle = user_sessions.c.last_seen <= seen_since
    await connection.execute(delete(user_sessions).where((user_sessions.c.expires_at <= now) | idle))
    await connection.execute(delete(sign_in_links).where(sign_in_links.c.expires_at <= now))


async def shift(connection: AsyncConnection, *, by: int) -> None:
    """Move times by *by* milliseconds, as all kept times are where the clock was set."""
    moved = {name: user_sessions.c[name] + by for name in ("created_at", "last_seen", "expires_at")}
    await connection.execute(update(user_sessions).values(**moved))
    await connection.execute(update(sign_in_links).values(expires_at=sign_in_links.c.expires_at + by))


def _session(row: Any) -> StoredSession:
    return StoredSession(**{name: getattr(row, name) for name in _MEMBERS})
