"""Transitions, and the queue of notifications that each is put into by the transaction that decides it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import delete, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.alerts.transitions import (
    ENDED_BY_A_RUN,
    Transition,
    TransitionDetail,
    TransitionKind,
    notification_key,
)
from controlplane.store.alerttables import monitor_locations, monitors, notifications, transitions
from controlplane.store.channeltables import notices
from controlplane.store.tables import results

MAX_ADDRESS: Final = 320
"""Characters of an address: those of the longest e-mail address there is."""


async def put(connection: AsyncConnection, decided: Transition, addresses: Collection[str], *, now: int) -> None:
    """Write a transition down and queue it for each of *addresses*, all or nothing with the caller's transaction."""
    await connection.execute(transitions.insert(), [_row(decided)])
    rows = [
        {
            "key": notification_key(decided.id, address),
            "transition_id": decided.id,
            "address": address,
            "state": "queued",
            "attempts": 0,
            "due_at": now,
            "created_at": now,
            "reason": "",
        }
        for address in dict.fromkeys(address[:MAX_ADDRESS] for address in addresses)
    ]
    if rows:
        await connection.execute(notifications.insert(), rows)


async def by_ids(connection: AsyncConnection, ids: Collection[str]) -> dict[str, Transition]:
    """The transitions that there are of *ids*; the caller bounds their number."""
    rows = await connection.execute(select(transitions).where(transitions.c.id.in_(sorted(ids))))
    return {row.id: from_row(row) for row in rows}


async def addresses_of(connection: AsyncConnection, alert: str) -> Sequence[str]:
    """The addresses that were told of an alert, in their order."""
    mine = select(notifications.c.address).join(transitions, transitions.c.id == notifications.c.transition_id)
    query = mine.where(transitions.c.alert_id == alert).distinct().order_by(notifications.c.address)
    return (await connection.scalars(query)).all()


async def first_of(connection: AsyncConnection, alert: str) -> Transition | None:
    """The transition with which an alert began, None where there is none, or none any more."""
    mine = select(transitions).where(transitions.c.alert_id == alert).order_by(transitions.c.seq).limit(1)
    row = (await connection.execute(mine)).one_or_none()
    return None if row is None else from_row(row)


async def newest(
    connection: AsyncConnection, *, limit: int, test: str | None = None, before: int | None = None
) -> Sequence[tuple[int, Transition]]:
    """The newest *limit* transitions before sequence number *before*, the newest first, each with its own number."""
    query = select(transitions).order_by(transitions.c.seq.desc()).limit(limit)
    if test is not None:
        query = query.where(transitions.c.test_id == test)
    rows = await connection.execute(query if before is None else query.where(transitions.c.seq < before))
    return [(row.seq, from_row(row)) for row in rows]


async def last_of_test(connection: AsyncConnection, test: str) -> str | None:
    """The alert that the newest transition of a test belongs to, None where there was none."""
    query = select(transitions.c.alert_id).where(transitions.c.test_id == test).order_by(transitions.c.seq.desc())
    found: str | None = await connection.scalar(query.limit(1))
    return found


async def of_alert(connection: AsyncConnection, alert: str, *, limit: int) -> Sequence[Transition]:
    """The newest *limit* transitions of one alert, the oldest of them first."""
    newest = select(transitions).where(transitions.c.alert_id == alert).order_by(transitions.c.seq.desc()).limit(limit)
    return [from_row(row) for row in reversed((await connection.execute(newest)).all())]


async def outcome_of(connection: AsyncConnection, decided: Transition) -> str | None:
    """The outcome, as JSON, of the run that a transition tells of: that of its first failure, or the one that ended it.

    None where there is none, or none any more.
    """
    query = select(results.c.outcome)
    if decided.detail.failing:
        query = query.where(results.c.id == decided.detail.failing[0].result)
    elif decided.kind in ENDED_BY_A_RUN:
        query = query.where(results.c.test_id == decided.test, results.c.stored_at <= decided.at)
        if decided.location is not None:
            query = query.where(results.c.location_id == decided.location)
        query = query.order_by(results.c.stored_at.desc(), results.c.seq.desc()).limit(1)
    else:
        return None
    found: str | None = await connection.scalar(query)
    return found


async def prune(connection: AsyncConnection, *, before: int, limit: int) -> int:
    """Delete at most *limit* transitions decided before *before*, with their notifications; how many there were.

    Those of alerts that go on stay: their ends are told to whoever was told of them.
    """
    ongoing = union_all(
        select(monitors.c.alert_id).where(monitors.c.alert_id.is_not(None)),
        select(monitor_locations.c.no_data_id).where(monitor_locations.c.no_data_id.is_not(None)),
        select(notices.c.alert_id),
    )
    over = transitions.c.at < before, transitions.c.alert_id.not_in(ongoing)
    old = select(transitions.c.seq).where(*over).order_by(transitions.c.at).limit(limit)
    return (await connection.execute(delete(transitions).where(transitions.c.seq.in_(old)))).rowcount


def _row(decided: Transition) -> dict[str, Any]:
    return {
        "id": decided.id,
        "kind": decided.kind.value,
        "alert_id": decided.alert,
        "at": decided.at,
        "subject": decided.subject,
        "name": decided.name,
        "summary": decided.summary,
        "detail": msgspec.json.encode(decided.detail).decode(),
        "test_id": decided.test,
        "location_id": decided.location,
        "message": decided.message,
        "escalation": decided.escalation,
        "tags": json.dumps(decided.tags),
        "priority": decided.priority,
        "muted_by": decided.muted_by,
    }


def from_row(row: Any) -> Transition:
    """A row of `transitions`."""
    return Transition(
        id=row.id,
        kind=TransitionKind(row.kind),
        alert=row.alert_id,
        at=row.at,
        subject=row.subject,
        name=row.name,
        summary=row.summary,
        detail=msgspec.json.decode(row.detail, type=TransitionDetail),
        test=row.test_id,
        location=row.location_id,
        message=row.message,
        escalation=row.escalation,
        tags=tuple(json.loads(row.tags)),
        priority=row.priority,
        muted_by=row.muted_by,
    )
