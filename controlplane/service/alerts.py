"""Alerts: list those that go on and those that were, show how each was told, acknowledge one."""

from __future__ import annotations

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.alerts.transitions import Transition
from controlplane.errors import NotFoundError, UnusableError
from controlplane.service import audit
from controlplane.service.principal import KeyScope, Principal
from controlplane.store import monitors, notices, notifications, tests, transitions
from controlplane.store.database import Database
from controlplane.store.monitors import OngoingAlert
from controlplane.store.notifications import NotificationState
from worker.clock import Clock

MOST_ALERTS = 1000
"""Of one list."""
MOST_TRANSITIONS = 200
"""Of one alert that is shown, the newest: one that is repeated each minute has many."""


class NumberedTransition(msgspec.Struct, frozen=True, kw_only=True):
    """A transition and its sequence number, by which the next page begins."""

    seq: int
    transition: Transition


class ToldTransition(msgspec.Struct, frozen=True, kw_only=True):
    """A transition and how far its notifications are."""

    transition: Transition
    notifications: tuple[NotificationState, ...]


class AlertRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The alert with the id *alert*: *ongoing* while it goes on, and all that was decided of it, the oldest first."""

    alert: str
    ongoing: OngoingAlert | None
    transitions: tuple[ToldTransition, ...]


async def list_ongoing(database: Database, by: Principal) -> tuple[OngoingAlert, ...]:
    """List the alerts that go on, the locations whose blindness was told, and the control plane's own notices that hold."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        return (*await monitors.ongoing(connection, limit=MOST_ALERTS), *await _notices(connection))


async def _notices(connection: AsyncConnection) -> list[OngoingAlert]:
    found = []
    for notice in (await notices.known(connection)).values():
        told = await transitions.of_alert(connection, notice.alert, limit=1)
        name = told[0].name if told else notice.subject
        found.append(OngoingAlert(alert=notice.alert, test="", name=name, since=notice.since))
    return found


async def ongoing_of(database: Database, by: Principal, test: str) -> tuple[OngoingAlert, ...]:
    """List what goes on of one test, by its public id."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        return tuple(await monitors.ongoing(connection, limit=MOST_ALERTS, test=test))


async def history(
    database: Database, by: Principal, *, limit: int, test: str | None = None, before: int | None = None
) -> tuple[NumberedTransition, ...]:
    """List transitions, the newest first: of all tests, or of one by its public id or name, before number *before*."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        wanted = None if test is None else (await tests.get(connection, test)).public_id
        found = await transitions.newest(connection, limit=min(limit, MOST_ALERTS), test=wanted, before=before)
        return tuple(NumberedTransition(seq=seq, transition=one) for seq, one in found)


async def show(database: Database, by: Principal, name: str) -> AlertRecord:
    """Show an alert by its id, or the last one of a test by its public id or name. Raises NotFoundError."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        decided = await transitions.of_alert(connection, name, limit=MOST_TRANSITIONS)
        if not decided:
            alert = await transitions.last_of_test(connection, (await tests.get(connection, name)).public_id)
            decided = [] if alert is None else await transitions.of_alert(connection, alert, limit=MOST_TRANSITIONS)
        if not decided:
            raise NotFoundError("alert", name)
        told = [
            ToldTransition(transition=one, notifications=tuple(await notifications.of_transition(connection, one.id)))
            for one in decided
        ]
        ongoing = await _ongoing(connection, decided[-1])
        return AlertRecord(alert=decided[-1].alert, ongoing=ongoing, transitions=tuple(told))


async def _ongoing(connection: AsyncConnection, of: Transition) -> OngoingAlert | None:
    if of.test is None:
        found = await _notices(connection)
    else:
        found = list(await monitors.ongoing(connection, limit=MOST_ALERTS, test=of.test))
    return next((one for one in found if one.alert == of.alert), None)


async def acknowledge(database: Database, clock: Clock, by: Principal, name: str) -> OngoingAlert:
    """Say that somebody looks after an alert, by its id or its test: it is repeated no more, and its end is told.

    Raises NotFoundError, and UnusableError where nothing goes on that could be acknowledged.
    """
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        known = next((one for one in await monitors.ongoing(connection, limit=MOST_ALERTS) if one.alert == name), None)
        test = known.test if known is not None else (await tests.get(connection, name)).public_id
        found = [one for one in await monitors.ongoing(connection, limit=1, test=test) if one.location is None]
        if not found or (known is not None and known.location is not None):
            raise UnusableError(f"there is no alert of {name!r} that goes on and could be acknowledged")
        now = epoch.milliseconds(clock)
        await monitors.acknowledge(connection, test, by=by.name, now=now)
        await audit.record(connection, by, "alert.acknowledge", test, after={"alert": found[0].alert}, now=now)
        (acknowledged,) = [
            one for one in await monitors.ongoing(connection, limit=1, test=test) if one.location is None
        ]
        return acknowledged
