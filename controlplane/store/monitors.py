"""Rows of monitors and their locations as values of `alerts.monitor`, and back. Nothing is decided here.

A test without a row is well: whoever has nothing to remember has none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Integer, and_, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.alerts import rule
from controlplane.alerts.monitor import Monitor, WatchedPlace
from controlplane.alerts.rule import AlertRule
from controlplane.store.alerttables import monitor_locations, monitors
from controlplane.store.portions import portions
from controlplane.store.prepared import Prepared
from controlplane.store.tables import assignments, locations, tests


@dataclass(slots=True, kw_only=True)
class WatchedTest:
    """A test as its monitor sees it. *places* are where it is watched, *gone* where it was; neither of a paused one's.

    *names* are those of the locations. *known* says that it has a row, *muted_by* which silence keeps its alert from being told.
    """

    test: str
    rule: AlertRule
    paused: bool
    monitor: Monitor = field(default_factory=Monitor)
    muted_by: str = ""
    known: bool = False
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None
    due_at: int | None = None
    places: tuple[WatchedPlace, ...] = ()
    gone: tuple[WatchedPlace, ...] = ()
    names: dict[str, str] = field(default_factory=dict)


_IN_TROUBLE = Prepared(select(monitors.c.test_id).where(monitors.c.test_id.in_(bindparam("some", expanding=True))))


async def in_trouble(connection: AsyncConnection, ids: Collection[str]) -> set[str]:
    """The tests of *ids* that have a monitor's row."""
    found: set[str] = set()
    for some in portions(sorted(ids)):
        found.update(row.test_id for row in await _IN_TROUBLE.rows(connection, some=some))
    return found


async def load(connection: AsyncConnection, ids: Collection[str]) -> dict[str, WatchedTest]:
    """The tests that there are of *ids*, locked until the transaction ends: two runs of one may end at once."""
    found: dict[str, WatchedTest] = {}
    for some in portions(sorted(ids)):
        rows = await connection.execute(
            select(tests.c.public_id, tests.c.alerting, tests.c.paused)
            .where(tests.c.public_id.in_(some))
            .order_by(tests.c.public_id)
            .with_for_update()
        )
        found |= {
            row.public_id: WatchedTest(test=row.public_id, rule=rule.of(row.alerting), paused=row.paused)
            for row in rows
        }
        await _load_monitors(connection, some, found)
        await _load_places(connection, some, found)
    return found


async def _load_monitors(connection: AsyncConnection, ids: Sequence[str], found: Mapping[str, WatchedTest]) -> None:
    for row in await connection.execute(select(monitors).where(monitors.c.test_id.in_(ids))):
        watched = found[row.test_id]
        watched.known, watched.muted_by, watched.due_at = True, row.muted_by, row.due_at
        watched.acknowledged_at, watched.acknowledged_by = row.acknowledged_at, row.acknowledged_by
        watched.monitor = Monitor(
            failing_since=row.failing_since,
            reached_at=row.reached_at,
            alert=row.alert_id,
            alert_at=row.alert_at,
            told=row.told,
            notified_at=row.notified_at,
            renotified=row.renotified,
            acknowledged=row.acknowledged_at is not None,
        )


async def _load_places(connection: AsyncConnection, ids: Sequence[str], found: Mapping[str, WatchedTest]) -> None:
    """Add the places where tests are watched, and of those in trouble where they were."""
    here = and_(
        monitor_locations.c.test_id == assignments.c.test_id,
        monitor_locations.c.location_id == assignments.c.location_id,
    )
    query = (
        select(assignments.c.test_id, assignments.c.location_id, assignments.c.seen_at, *_TROUBLE)
        .add_columns(locations.c.enabled, locations.c.name)
        .join(locations, locations.c.id == assignments.c.location_id)
        .outerjoin(monitor_locations, here)
        .where(assignments.c.test_id.in_(ids))
        .order_by(assignments.c.test_id, assignments.c.location_id)
    )
    known: set[tuple[str, str]] = set()
    for row in await connection.execute(query):
        watched = found.get(row.test_id)
        if watched is not None:
            known.add((row.test_id, row.location_id))
            _put_place(watched, row, row.seen_at, is_watched=row.enabled and not watched.paused)
            watched.names[row.location_id] = row.name
    left = (
        select(monitor_locations).where(monitor_locations.c.test_id.in_(ids)).order_by(monitor_locations.c.location_id)
    )
    for row in await connection.execute(left):
        if row.test_id in found and (row.test_id, row.location_id) not in known:
            _put_place(found[row.test_id], row, None, is_watched=False)


_TROUBLE = tuple(column for column in monitor_locations.c if column.name not in ("test_id", "location_id"))


def _put_place(watched: WatchedTest, row: Any, seen_at: int | None, *, is_watched: bool) -> None:
    place = WatchedPlace(
        location=row.location_id,
        seen_at=seen_at,
        failing_since=row.failing_since,
        code=row.code or "",
        message=row.message or "",
        result=row.result_id or "",
        blind_since=row.blind_since,
        blind_at=row.blind_at,
        reason=row.reason or "",
        no_data=row.no_data_id,
    )
    if is_watched:
        watched.places += (place,)
    elif place.is_in_trouble:
        watched.gone += (place,)


async def save(connection: AsyncConnection, changed: Collection[WatchedTest]) -> None:
    """Write down what is to be remembered of tests, and forget the rest."""
    for some in portions(sorted({watched.test for watched in changed if watched.known})):
        await connection.execute(delete(monitor_locations).where(monitor_locations.c.test_id.in_(some)))
        await connection.execute(delete(monitors).where(monitors.c.test_id.in_(some)))
    rows, places = [], []
    for watched in changed:
        kept = [_place_row(watched.test, place) for place in watched.places if _is_to_keep(place, watched.rule)]
        if kept or watched.monitor.alert is not None:
            rows.append(_row(watched))
            places += kept
    if rows:
        await connection.execute(monitors.insert(), rows)
    if places:
        await connection.execute(monitor_locations.insert(), places)


def _is_to_keep(place: WatchedPlace, of: AlertRule) -> bool:
    """Blindness matters to a test that fails there, or that asks for it to be told."""
    blind = place.blind_since is not None and of.no_data_ms > 0
    return place.failing_since is not None or place.no_data is not None or blind


def _row(watched: WatchedTest) -> dict[str, Any]:
    monitor = watched.monitor
    return {
        "test_id": watched.test,
        "failing_since": monitor.failing_since,
        "reached_at": monitor.reached_at,
        "alert_id": monitor.alert,
        "alert_at": monitor.alert_at,
        "told": monitor.told,
        "muted_by": watched.muted_by,
        "notified_at": monitor.notified_at,
        "renotified": monitor.renotified,
        "acknowledged_at": watched.acknowledged_at if monitor.acknowledged else None,
        "acknowledged_by": watched.acknowledged_by if monitor.acknowledged else None,
        "due_at": watched.due_at,
    }


def _place_row(test: str, place: WatchedPlace) -> dict[str, Any]:
    return {
        "test_id": test,
        "location_id": place.location,
        "failing_since": place.failing_since,
        "code": place.code[:200],
        "message": place.message,
        "result_id": place.result,
        "blind_since": place.blind_since,
        "blind_at": place.blind_at,
        "reason": place.reason,
        "no_data_id": place.no_data,
    }


_DUE = Prepared(
    select(monitors.c.test_id)
    .where(monitors.c.due_at <= bindparam("now"))
    .order_by(monitors.c.due_at)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)


async def due(connection: AsyncConnection, *, now: int, limit: int) -> Sequence[str]:
    """At most *limit* tests whose monitors are to be judged for the time alone, the longest due first."""
    return [row.test_id for row in await _DUE.rows(connection, now=now, most=limit)]


async def wake(connection: AsyncConnection, ids: Collection[str], *, now: int) -> None:
    """Have the monitors of tests judged soon: their definitions or their locations have changed."""
    for some in portions(sorted(ids)):
        await connection.execute(update(monitors).where(monitors.c.test_id.in_(some)).values(due_at=now))


async def wake_at(connection: AsyncConnection, location: str, *, now: int) -> None:
    """Have the monitors of the tests of a location judged soon: it was switched on or off."""
    here = select(assignments.c.test_id).where(assignments.c.location_id == location)
    await connection.execute(update(monitors).where(monitors.c.test_id.in_(here)).values(due_at=now))


async def wake_all(connection: AsyncConnection, *, now: int) -> None:
    """Have every monitor judged soon: a silence began or ended. There are as many as tests in trouble."""
    await connection.execute(update(monitors).values(due_at=now))


async def shift(connection: AsyncConnection, *, by: int) -> None:
    """Move by *by* milliseconds what is compared with the clock."""
    for table, names in (
        (monitors, ("failing_since", "reached_at", "alert_at", "notified_at", "due_at")),
        (monitor_locations, ("failing_since", "blind_since", "blind_at")),
        (assignments, ("seen_at",)),
    ):
        await connection.execute(update(table).values({name: table.c[name] + by for name in names}))


@dataclass(frozen=True, slots=True, kw_only=True)
class OngoingAlert:
    """An alert that goes on of the test with the public id *test*, or of its location that is blind (*location*).

    A notice of the control plane itself has no test: *test* is empty.

    *told* is false where a silence keeps it from being told, by *muted_by*. *acknowledged_by* is None until somebody did.
    """

    alert: str
    test: str
    name: str
    since: int
    location: str | None = None
    told: bool = True
    muted_by: str = ""
    renotified: int = 0
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None


async def ongoing(connection: AsyncConnection, *, limit: int, test: str | None = None) -> Sequence[OngoingAlert]:
    """At most *limit* alerts that go on, and as many locations whose blindness was told; of all tests or of one."""
    mine = monitors.c.alert_id.is_not(None) if test is None else monitors.c.test_id == test
    columns = (monitors, tests.c.name)
    alerts = select(*columns).join(tests, tests.c.public_id == monitors.c.test_id).where(mine).limit(limit)
    rows = await connection.execute(alerts.order_by(monitors.c.alert_at, monitors.c.test_id))
    blind = select(monitor_locations, tests.c.name, locations.c.name.label("place")).where(
        monitor_locations.c.no_data_id.is_not(None)
    )
    blind = blind.join(tests, tests.c.public_id == monitor_locations.c.test_id)
    blind = blind.outerjoin(locations, locations.c.id == monitor_locations.c.location_id).limit(limit)
    if test is not None:
        blind = blind.where(monitor_locations.c.test_id == test)
    found = await connection.execute(blind.order_by(monitor_locations.c.blind_since, monitor_locations.c.test_id))
    return [*(_alert(row) for row in rows if row.alert_id is not None), *map(_blindness, found)]


def _alert(row: Any) -> OngoingAlert:
    return OngoingAlert(
        alert=row.alert_id,
        test=row.test_id,
        name=row.name,
        since=row.alert_at,
        told=row.told,
        muted_by=row.muted_by,
        renotified=row.renotified,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
    )


def _blindness(row: Any) -> OngoingAlert:
    place = row.place or row.location_id
    return OngoingAlert(
        alert=row.no_data_id, test=row.test_id, name=row.name, since=row.blind_since or 0, location=place
    )


async def acknowledge(connection: AsyncConnection, test: str, *, by: str, now: int) -> None:
    """Note that somebody looks after the alert of a test; it is judged soon, as it is repeated no more."""
    there = update(monitors).where(monitors.c.test_id == test)
    await connection.execute(there.values(acknowledged_at=now, acknowledged_by=by[:200], due_at=now))
