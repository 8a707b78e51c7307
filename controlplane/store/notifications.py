"""The queue of notifications on their way: what is due for which address, the next one of an address, and what became of it.

Of one alert and one address only the oldest is due: a recovery never overtakes the alert that it ends.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.alerts.transitions import Transition
from controlplane.store.alerttables import notifications, transitions
from controlplane.store.transitions import from_row, outcome_of

QUEUED, DELIVERED, FAILED = "queued", "delivered", "failed"
"""The states of a notification; `failed` is given up."""
MOST_ADDRESSES: Final = 1000
"""Of one look at the queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingAddress:
    """An address with *waiting* notifications, the first of them due at *due_at*."""

    address: str
    waiting: int
    due_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedNotification:
    """A notification to be sent now. *outcome* is JSON of the run that decided, None where it is gone or there was none."""

    key: str
    address: str
    attempts: int
    created_at: int
    transition: Transition
    outcome: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationState:
    """A notification as it stands. *reason* is what went wrong last, *due_at* the next attempt of one that is queued."""

    key: str
    transition: str
    address: str
    state: str
    attempts: int
    due_at: int
    created_at: int
    ended_at: int | None
    reason: str


async def waiting(connection: AsyncConnection) -> Sequence[WaitingAddress]:
    """The addresses that something waits for, those that wait longest first."""
    first = func.min(notifications.c.due_at).label("due_at")
    query = (
        select(notifications.c.address, func.count().label("waiting"), first)
        .where(notifications.c.state == QUEUED)
        .group_by(notifications.c.address)
        .order_by(first)
        .limit(MOST_ADDRESSES)
    )
    rows = await connection.execute(query)
    return [WaitingAddress(address=row.address, waiting=row.waiting, due_at=row.due_at) for row in rows]


async def is_due(connection: AsyncConnection, addresses: Collection[str], *, now: int) -> bool:
    """Tell if there is something to `claim`: a look that nobody has to wait for."""
    return (await connection.execute(_next(addresses, now))).first() is not None


async def claim(
    connection: AsyncConnection, addresses: Collection[str], *, now: int, until: int
) -> ClaimedNotification | None:
    """Take the oldest notification that is due for one of *addresses*, and keep others from it until *until*."""
    row = (await connection.execute(_next(addresses, now))).first()
    if row is None:
        return None
    taken = update(notifications).where(notifications.c.key == row.key, notifications.c.state == QUEUED)
    await connection.execute(taken.values(claimed_until=until, attempts=row.attempts + 1))
    found = from_row(row)
    return ClaimedNotification(
        key=row.key,
        address=row.address,
        attempts=row.attempts + 1,
        created_at=row.created_at,
        transition=found,
        outcome=await outcome_of(connection, found),
    )


async def delivered(connection: AsyncConnection, key: str, remark: str, *, now: int) -> None:
    """Note that a notification was taken; *remark* says what was odd about that, mostly nothing."""
    await _end(connection, key, state=DELIVERED, reason=remark, now=now)


async def given_up(connection: AsyncConnection, key: str, reason: str, *, now: int) -> None:
    await _end(connection, key, state=FAILED, reason=reason, now=now)


async def put_off(connection: AsyncConnection, key: str, reason: str, *, due_at: int) -> None:
    """Note that an attempt failed for *reason*, and when the next one is due."""
    changed = update(notifications).where(notifications.c.key == key, notifications.c.state == QUEUED)
    await connection.execute(changed.values(due_at=due_at, claimed_until=None, reason=reason))


async def release_all(connection: AsyncConnection) -> int:
    """Free what a process that ended had claimed; how many there were."""
    claimed = notifications.c.state == QUEUED, notifications.c.claimed_until.is_not(None)
    return (await connection.execute(update(notifications).where(*claimed).values(claimed_until=None))).rowcount


async def shed(connection: AsyncConnection, address: str, reason: str, *, kept: int, now: int) -> int:
    """Give up what waits longest for *address*, beyond the newest *kept*; how many there were."""
    mine = notifications.c.address == address, notifications.c.state == QUEUED
    newest = select(notifications.c.key).where(*mine).order_by(notifications.c.created_at.desc()).limit(kept)
    given = update(notifications).where(*mine, notifications.c.key.not_in(newest))
    return (await connection.execute(given.values(state=FAILED, reason=reason, ended_at=now))).rowcount


async def shift(connection: AsyncConnection, *, by: int) -> None:
    """Move by *by* milliseconds what is compared with the clock of notifications that wait."""
    moved = {name: notifications.c[name] + by for name in ("due_at", "claimed_until", "created_at")}
    await connection.execute(update(notifications).where(notifications.c.state == QUEUED).values(moved))


async def state(connection: AsyncConnection, key: str) -> NotificationState | None:
    """Read how far a notification is; None where there is none of that key."""
    row = (await connection.execute(select(notifications).where(notifications.c.key == key))).one_or_none()
    return None if row is None else _state(row)


async def of_transition(connection: AsyncConnection, transition: str) -> Sequence[NotificationState]:
    """The notifications of one transition, by their addresses."""
    query = select(notifications).where(notifications.c.transition_id == transition).order_by(notifications.c.address)
    return [_state(row) for row in await connection.execute(query)]


def _next(addresses: Collection[str], now: int) -> Any:
    """The query for the oldest notification that is due and that no older one of its alert waits before."""
    older, before = notifications.alias(), transitions.alias()
    waits_behind = exists().where(
        older.c.transition_id == before.c.id,
        before.c.alert_id == transitions.c.alert_id,
        before.c.seq < transitions.c.seq,
        older.c.address == notifications.c.address,
        older.c.state == QUEUED,
    )
    return (
        select(
            notifications.c.key,
            notifications.c.address,
            notifications.c.attempts,
            notifications.c.created_at,
            *(column for column in transitions.c if column.name != "key"),
        )
        .join(transitions, transitions.c.id == notifications.c.transition_id)
        .where(
            notifications.c.state == QUEUED,
            notifications.c.due_at <= now,
            notifications.c.address.in_(sorted(addresses)),
            _unclaimed(now),
            ~waits_behind,
        )
        .order_by(notifications.c.due_at, transitions.c.seq)
        .limit(1)
    )


def _unclaimed(now: int) -> ColumnElement[bool]:
    return or_(notifications.c.claimed_until.is_(None), notifications.c.claimed_until <= now)


async def _end(connection: AsyncConnection, key: str, *, state: str, reason: str, now: int) -> None:
    """Bring a notification to its end, unless it came to one already."""
    ended = update(notifications).where(notifications.c.key == key, notifications.c.state == QUEUED)
    await connection.execute(ended.values(state=state, reason=reason, ended_at=now, claimed_until=None))


def _state(row: Any) -> NotificationState:
    return NotificationState(
        key=row.key,
        transition=row.transition_id,
        address=row.address,
        state=row.state,
        attempts=row.attempts,
        due_at=row.due_at,
        created_at=row.created_at,
        ended_at=row.ended_at,
        reason=row.reason,
    )
