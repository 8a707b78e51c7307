"""Sessions: sign somebody in, know them again by a token, sign them out. A token is random and stored as a hash alone.

Each way in makes a new token, so that none that was known before opens anything. Who asks is found anew at every request: a role
that changes, and a user who is kept out, count from the next one on.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from dataclasses import dataclass, replace
from enum import Enum

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.errors import NotFoundError, StatementError, UnusableError
from controlplane.service import audit, passwords
from controlplane.service.attempts import SignInAttempts
from controlplane.service.passwords import Passwords
from controlplane.service.principal import KeyScope, Principal, Role, operator, read_role, user_principal
from controlplane.service.users import add as add_user
from controlplane.service.users import login_of, new_user
from controlplane.store import sessions, users
from controlplane.store.database import Database
from controlplane.store.sessions import StoredSession
from controlplane.store.users import StoredUser
from worker.clock import Clock
from worker.secret import Secret

log = logging.getLogger(__name__)

TOKEN_BYTES = 32
MAX_TOKEN_CHARACTERS = 200
"""Of what somebody sends: nothing longer is hashed."""
ABSOLUTE_MS = 7 * 86_400_000
"""A session ends after a week, however much it is used."""
IDLE_MS = 12 * 3_600_000
"""And after a night without use; a page that renews itself is no use."""
USE_MS = 60_000
"""Milliseconds between two notes that a session was used: each is a write."""
MOST_SESSIONS = 20
"""Of one user; the oldest end first."""


FORGOTTEN_MS = 10 * 60_000
"""For a password to be set without the old one, by who came by a link."""


class PasswordChange(Enum):
    """The ways in which somebody may set a password of their own."""

    WITH_OLD = "with_old"
    FREE = "free"
    NONE = "none"
    """A provider or a proxy signs them in: a password here would outlive what they are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """The other end of a connection, as it is shown in a list of sessions: *agent* is the browser's word."""

    address: str
    agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionHolder:
    """A user who is known by a session; *session* is None where a proxy says who it is."""

    by: Principal
    role: Role
    user_id: str
    session: StoredSession | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """A session as it is handed over, once."""

    user: StoredUser
    token: Secret[str]


async def by_password(
    database: Database,
    clock: Clock,
    name: str,
    password: Secret[str],
    visitor: Visitor,
    *,
    hasher: Passwords,
    attempts: SignInAttempts,
) -> NewSession | None:
    """Sign in, None where name and password do not fit, whichever it is. Raises AttemptsError, RefusedError."""
    login = login_of(name)
    attempts.check(login, visitor.address)
    attempts.failed(login, visitor.address)
    async with database.read() as connection:
        found = await users.password_of(connection, login)
    user, stored = found or (None, None)
    if not await hasher.fits(stored, password) or user is None or not user.enabled:
        log.warning(
            "refused to sign in %r, from %s",
            name[:100],
            visitor.address,
            extra={"action": "sign_in_refused", "remote": visitor.address},
        )
        return None
    attempts.succeeded(login, visitor.address)
    assert stored is not None
    fresh = await hasher.hash(password) if hasher.is_outdated(stored) else None
    async with database.write() as connection:
        if await users.password_of(connection, login) != found:  # changed while this one was compared
            return None
        if fresh is not None:
            await users.change(connection, user.id, password_hash=fresh)
        return await begin(connection, clock, user, "password", visitor)


async def by_provider(
    database: Database, clock: Clock, visitor: Visitor, *, issuer: str, subject: str, name: str, role: Role
) -> NewSession:
    """Sign in somebody whom a provider has proven: the user of this identity, made at their first time, with this role.

    Raises UnusableError where a user of that name is somebody else, or is kept out.
    """
    identity = hashlib.sha256(f"{issuer}\n{subject}".encode()).digest()
    by = operator(f"provider {issuer}")
    async with database.write() as connection:
        now = epoch.milliseconds(clock)
        user = await users.by_identity(connection, identity)
        if user is None:
            user = new_user(name, role, by, now=now)
            await add_user(connection, by, user, identity=identity)
        elif not user.enabled:
            raise UnusableError(f"user {user.name!r} is kept out")
        elif user.role != role.value:
            before, user = user, replace(user, role=role.value)
            await users.change(connection, user.id, role=user.role)
            old, new = {"role": before.role}, {"role": user.role}
            await audit.record(connection, by, "user.role", user.id, before=old, after=new, now=now)
        return await begin(connection, clock, user, "provider", visitor)


async def begin(connection: AsyncConnection, clock: Clock, user: StoredUser, way: str, visitor: Visitor) -> NewSession:
    """Make a session for a user who was proven in this *way*, in the caller's transaction."""
    now = epoch.milliseconds(clock)
    token = Secret(secrets.token_urlsafe(TOKEN_BYTES))
    session = StoredSession(
        id=secrets.token_hex(8),
        user_id=user.id,
        by=way,
        created_at=now,
        last_seen=now,
        expires_at=now + ABSOLUTE_MS,
        address=visitor.address[:64],
        agent=visitor.agent[:200],
    )
    await sessions.add(connection, session, token_hash=token_hash(token))
    await sessions.end_oldest(connection, user.id, kept=MOST_SESSIONS)
    await users.change(connection, user.id, signed_in_at=now)
    by = user_principal(user.name, read_role(user.role))
    after = {"way": way, "address": session.address}
    await audit.record(connection, by, "user.sign_in", user.id, after=after, now=now)
    return NewSession(user=user, token=token)


async def identify(database: Database, clock: Clock, token: Secret[str], *, uses: bool = True) -> SessionHolder | None:
    """The holder of a session that holds. *uses*: this is a use of it, and no page that renews itself."""
    if len(token.reveal()) > MAX_TOKEN_CHARACTERS:
        return None
    now = epoch.milliseconds(clock)
    async with database.read() as connection:
        found = await sessions.by_token(connection, token_hash(token), now=now, seen_since=now - IDLE_MS)
    if found is None:
        return None
    session, name, written = found
    if uses:
        await _note_use(database, session, now=now)
    role = read_role(written)
    return SessionHolder(by=user_principal(name, role), role=role, user_id=session.user_id, session=session)


async def by_header(database: Database, name: str) -> SessionHolder | None:
    """The user whom a trusted proxy names, where there is one who may sign in. Each request says so anew."""
    login = login_of(name)
    async with database.read() as connection:
        try:
            user = await users.find(connection, "", login=login)
        except NotFoundError:
            return None
    if not user.enabled:
        return None
    role = read_role(user.role)
    return SessionHolder(by=user_principal(user.name, role), role=role, user_id=user.id)


async def end(database: Database, token: Secret[str]) -> None:
    """Sign out: the token opens nothing any more."""
    async with database.write() as connection:
        await sessions.end_by_token(connection, token_hash(token))


async def list_own(database: Database, clock: Clock, holder: SessionHolder) -> tuple[StoredSession, ...]:
    """List the sessions of who asks, the newest first."""
    return await _list(database, clock, holder.user_id)


async def read_own(database: Database, holder: SessionHolder) -> StoredUser:
    """Find the user who asks."""
    async with database.read() as connection:
        return await users.find(connection, holder.user_id, login="")


async def list_of(database: Database, clock: Clock, by: Principal, name: str) -> tuple[StoredSession, ...]:
    """List the sessions of a user, the newest first. Raises NotFoundError."""
    by.require(KeyScope.ADMIN)
    async with database.read() as connection:
        user = await users.find(connection, name, login=login_of(name))
    return await _list(database, clock, user.id)


async def end_own(database: Database, clock: Clock, holder: SessionHolder, session: str) -> None:
    """End one of who asks. Raises NotFoundError."""
    async with database.write() as connection:
        if not await sessions.end(connection, session, user=holder.user_id):
            raise NotFoundError("session", session)
        now = epoch.milliseconds(clock)
        await audit.record(connection, holder.by, "user.session_end", holder.user_id, now=now)


async def end_all_of(database: Database, clock: Clock, by: Principal, name: str) -> int:
    """End every session of a user; how many there were. Raises NotFoundError."""
    by.require(KeyScope.ADMIN)
    async with database.write() as connection:
        user = await users.find(connection, name, login=login_of(name))
        ended = await sessions.end_all(connection, user.id)
        await audit.record(connection, by, "user.session_end", user.id, now=epoch.milliseconds(clock))
    return ended


def password_change(holder: SessionHolder, user: StoredUser, *, now: int) -> PasswordChange:
    """The way in which who asks may set a password of their own. A link that was just used stands for the old one."""
    session = holder.session
    if session is None or user.has_identity:
        return PasswordChange.NONE
    by_link = session.by == "link" and now - session.created_at < FORGOTTEN_MS
    return PasswordChange.WITH_OLD if user.has_password and not by_link else PasswordChange.FREE


async def change_own_password(
    database: Database,
    clock: Clock,
    holder: SessionHolder,
    *,
    old: Secret[str],
    new: Secret[str],
    visitor: Visitor,
    hasher: Passwords,
    attempts: SignInAttempts,
) -> None:
    """Set a password of one's own, and end all other sessions. Raises UnusableError, AttemptsError."""
    passwords.check(new)
    login = login_of(holder.by.name)
    attempts.check(login, visitor.address)
    attempts.failed(login, visitor.address)
    async with database.read() as connection:
        user, stored = await users.password_of(connection, login) or (None, None)
    change = PasswordChange.NONE if user is None else password_change(holder, user, now=epoch.milliseconds(clock))
    if change is PasswordChange.NONE:
        raise UnusableError("whoever signs you in keeps your password: there is none here to change")
    if change is PasswordChange.WITH_OLD and not await hasher.fits(stored, old):
        raise UnusableError("the old password is not the right one", field="old")
    attempts.succeeded(login, visitor.address)
    hashed = await hasher.hash(new)
    async with database.write() as connection:
        await users.change(connection, holder.user_id, password_hash=hashed)
        await sessions.end_all(connection, holder.user_id, but=holder.session.id if holder.session else "")
        now = epoch.milliseconds(clock)
        await audit.record(connection, holder.by, "user.password", holder.user_id, now=now)


def token_hash(token: Secret[str]) -> bytes:
    """The form in which a token is stored: 256 random bits need no salt."""
    return hashlib.sha256(token.reveal().encode("utf-8", "surrogatepass")).digest()


async def _list(database: Database, clock: Clock, user: str) -> tuple[StoredSession, ...]:
    now = epoch.milliseconds(clock)
    async with database.read() as connection:
        return tuple(await sessions.of_user(connection, user, now=now, seen_since=now - IDLE_MS))


async def _note_use(database: Database, session: StoredSession, *, now: int) -> None:
    """Best effort: a database that takes no writes may still be read."""
    if 0 <= now - session.last_seen < USE_MS:
        return
    try:
        async with database.write() as connection:
            await sessions.note_use(connection, session.id, now=now)
    except StatementError as error:
        extra = {"action": "database_failed", "trouble": error.trouble.value}
        log.warning("cannot note the use of a session: %s", error.reason, extra=extra)
