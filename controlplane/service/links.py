"""Links that sign somebody in once: a user, or the first administrator where there is no user yet.

To look at one does not spend it, since mail programs and chats open links by themselves.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from controlplane import epoch
from controlplane.errors import ConflictError, ForbiddenError
from controlplane.service import audit, passwords, users
from controlplane.service.passwords import Passwords
from controlplane.service.principal import KeyScope, Principal, Role, operator
from controlplane.service.sessions import MAX_TOKEN_CHARACTERS, TOKEN_BYTES, NewSession, Visitor, begin, token_hash
from controlplane.store import sessions
from controlplane.store import users as stored
from controlplane.store.database import Database
from worker.clock import Clock
from worker.secret import Secret

LINK_MS = 10 * 60_000
FIRST_MS = 60 * 60_000
"""The first administrator's: an hour, to find it in a log."""
FIRST_PAGE = "/sign-in/first"
LINK_PAGE = "/sign-in/link"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLink:
    """A link as it is handed over, once; *path* comes behind the control plane's URL."""

    user: str
    path: Secret[str]
    expires_at: int


async def create(database: Database, clock: Clock, by: Principal, name: str) -> NewLink:
    """Make a link for a user; an earlier one of theirs opens nothing any more. Raises NotFoundError."""
    by.require(KeyScope.ADMIN)
    token, now = Secret(secrets.token_urlsafe(TOKEN_BYTES)), epoch.milliseconds(clock)
    async with database.write() as connection:
        user = await stored.find(connection, name, login=users.login_of(name))
        expires = now + LINK_MS
        await sessions.add_link(connection, token_hash(token), user=user.id, expires_at=expires, created_by=by.name)
        await audit.record(connection, by, "user.link", user.id, now=now)
    return NewLink(user=user.name, path=_path(LINK_PAGE, token), expires_at=expires)


async def awaits_first(database: Database) -> bool:
    """Tell if nobody can sign in yet."""
    async with database.read() as connection:
        return not await stored.any_at_all(connection)


async def create_first(database: Database, clock: Clock) -> NewLink | None:
    """Make the link for the first administrator, None where there are users."""
    token, expires = Secret(secrets.token_urlsafe(TOKEN_BYTES)), epoch.milliseconds(clock) + FIRST_MS
    if not await awaits_first(database):
        return None
    async with database.write() as connection:
        await sessions.add_link(connection, token_hash(token), user=None, expires_at=expires, created_by="serve")
    return NewLink(user="", path=_path(FIRST_PAGE, token), expires_at=expires)


async def look(database: Database, clock: Clock, token: Secret[str]) -> str | None:
    """The name of the user whom a link signs in, "" for the first administrator's; None where it opens nothing."""
    if len(token.reveal()) > MAX_TOKEN_CHARACTERS:
        return None
    async with database.read() as connection:
        found = await sessions.link(connection, token_hash(token), now=epoch.milliseconds(clock))
        if found is None:
            return None
        if found[0] is None:
            return None if await stored.any_at_all(connection) else ""
        user = await stored.find(connection, found[0], login="")
    return user.name if user.enabled else None


async def spend(database: Database, clock: Clock, token: Secret[str], visitor: Visitor) -> NewSession | None:
    """Sign in by a link, which opens nothing afterwards. None where it opened nothing before."""
    async with database.write() as connection:
        found = await sessions.link(connection, token_hash(token), now=epoch.milliseconds(clock))
        if found is None or found[0] is None:
            return None
        user = await stored.find(connection, found[0], login="")
        if not user.enabled or not await sessions.spend_link(connection, token_hash(token)):
            return None
        return await begin(connection, clock, user, "link", visitor)


async def spend_first(
    database: Database,
    clock: Clock,
    token: Secret[str],
    visitor: Visitor,
    *,
    name: str,
    password: Secret[str],
    hasher: Passwords,
) -> NewSession:
    """Make the first administrator and sign them in. Raises UnusableError; ForbiddenError where the link opens nothing."""
    users.check_name(name)
    passwords.check(password)
    if await look(database, clock, token) != "":
        raise ForbiddenError("a link that has ended", KeyScope.ADMIN.value)
    hashed = await hasher.hash(password)
    by = operator("first sign-in link")
    async with database.write() as connection:
        now = epoch.milliseconds(clock)
        if await stored.any_at_all(connection):
            raise ConflictError("user", name)
        if not await sessions.spend_link(connection, token_hash(token)):
            raise ForbiddenError("a link that has ended", KeyScope.ADMIN.value)
        user = users.new_user(name, Role.ADMIN, by, now=now)
        await users.add(connection, by, user, password_hash=hashed)
        return await begin(connection, clock, user, "link", visitor)


def _path(page: str, token: Secret[str]) -> Secret[str]:
    return Secret(f"{page}?token={token.reveal()}")
