"""Silences and routes: say which alerts are not told and when, and who is told of tests by their tags."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from controlplane import epoch
from controlplane.alerts import windows
from controlplane.alerts.monitor import NOT_MUTED
from controlplane.alerts.routing import TagRoute
from controlplane.alerts.windows import LONGEST_MINUTES, Silence
from controlplane.errors import NotFoundError, UnusableError
from controlplane.frames import is_time_zone
from controlplane.service import audit
from controlplane.service.principal import KeyScope, Principal
from controlplane.store import monitors, silences, tests
from controlplane.store.database import Database
from worker.clock import Clock

MOST_TAGS = 50
MOST_HANDLES = 50
_HANDLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+@/-]{0,319}")
_ROUTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MAX_NAME = 200


async def add(
    database: Database,
    clock: Clock,
    by: Principal,
    *,
    name: str = "",
    test: str | None = None,
    tags: Sequence[str] = (),
    starts: str | None = None,
    zone: str = "UTC",
    minutes: int | None = None,
    rule: str = "",
) -> Silence:
    """Make a silence: of a test (its public id or name), of all tests with *tags*, or of all.

    It begins at *starts*, a local time of *zone*, or now. Raises UnusableError with what is wrong, NotFoundError for the test.
    """
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        if await silences.count(connection) >= silences.MOST_SILENCES:
            raise UnusableError(f"there are {silences.MOST_SILENCES} silences already; `maintenance remove` makes room")
        found = None if test is None else await tests.get(connection, test)
        now = epoch.milliseconds(clock)
        begins, of = (starts, zone) if starts else _begins_now(clock, zone, rule)
        new = Silence(
            id=str(uuid.uuid4()),
            name=name or (found.name if found else ", ".join(tags) or "everything"),
            test=None if found is None else found.public_id,
            tags=tuple(dict.fromkeys(tags)),
            starts=begins,
            zone=of,
            minutes=minutes,
            rule=rule,
            created_at=now,
            created_by=by.name,
        )
        _check(new)
        await silences.add(connection, new)
        await monitors.wake_all(connection, now=now)
        await audit.record(connection, by, "silence.create", new.id, after=_state(new), now=now)
    return new


def _begins_now(clock: Clock, zone: str, rule: str) -> tuple[str, str]:
    """This moment as a local time, the whole second, which has begun; and its zone.

    In the second of two hours of one name a silence that holds once begins in UTC: its local time would name the first.
    """
    _check_zone(zone)
    local = clock.now().astimezone(ZoneInfo(zone))
    if local.fold and not rule:
        zone, local = "UTC", clock.now()
    return local.replace(tzinfo=None, microsecond=0).isoformat(), zone


def _check_zone(zone: str) -> None:
    if not is_time_zone(zone):
        raise UnusableError(
            f"zone {zone[:60]!r} is not a valid time zone: expected a name as Europe/Berlin", field="zone"
        )


def _check(new: Silence) -> None:
    if len(new.name) > _MAX_NAME or not new.name.isprintable():
        raise UnusableError(f"name: is not a valid one of at most {_MAX_NAME} printable characters", field="name")
    if len(new.tags) > MOST_TAGS:
        raise UnusableError(f"tags: more than {MOST_TAGS}", field="tags")
    _check_zone(new.zone)
    try:
        windows.read_start(new.starts)
    except ValueError as error:
        raise UnusableError(f"start {new.starts[:40]!r} is not a valid local time: {error}", field="start") from error
    if new.minutes is not None and not 1 <= new.minutes <= LONGEST_MINUTES:
        raise UnusableError(
            f"a length of {new.minutes} minutes is not a valid one: from 1 to {LONGEST_MINUTES}", field="minutes"
        )
    if new.rule:
        _check_rule(new)


def _check_rule(new: Silence) -> None:
    if new.minutes is None:
        raise UnusableError("a silence that comes again needs a length", field="minutes")
    try:
        windows.check_rule(new.rule)
    except ValueError as error:
        raise UnusableError(f"rule {new.rule[:80]!r} is not a valid one here: {error}", field="rule") from error


async def list_all(database: Database, clock: Clock, by: Principal) -> tuple[tuple[Silence, int], ...]:
    """List every silence with the end of its window, if it holds now; `NOT_MUTED` where it does not."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        now = epoch.milliseconds(clock)
        return tuple((one, windows.ends_at(one, now)) for one in await silences.list_all(connection))


async def remove(database: Database, clock: Clock, by: Principal, name: str) -> tuple[Silence, ...]:
    """End the silence with the id *name*, or all those of that name, or of the test of that public id. Raises NotFoundError."""
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        known = await silences.list_all(connection)
        found = tuple(one for one in known if name in (one.id, one.name, one.test))
        if not found:
            raise NotFoundError("silence", name)
        now = epoch.milliseconds(clock)
        await silences.remove(connection, [one.id for one in found])
        await monitors.wake_all(connection, now=now)
        for one in found:
            await audit.record(connection, by, "silence.delete", one.id, before=_state(one), now=now)
    return found


async def prune(database: Database, clock: Clock) -> None:
    """Drop silences that hold once and were over a day ago."""
    async with database.read() as connection:
        known, now = await silences.list_all(connection), epoch.milliseconds(clock)
    over = [one.id for one in known if _is_over(one, now)]
    if over:
        async with database.write() as connection:
            await silences.remove(connection, over)


def _is_over(one: Silence, now: int) -> bool:
    if one.rule or one.minutes is None or windows.ends_at(one, now) != NOT_MUTED:
        return False
    ended = datetime.fromisoformat(one.starts) + timedelta(minutes=one.minutes, days=2)
    return ended < epoch.moment(now).replace(tzinfo=None)


async def put_route(
    database: Database, clock: Clock, by: Principal, name: str, *, tags: Sequence[str], handles: Sequence[str]
) -> TagRoute:
    """Make or replace a route. Raises UnusableError."""
    by.require(KeyScope.WRITE)
    route = TagRoute(name=name, tags=tuple(tags), handles=tuple(handle.removeprefix("@") for handle in handles))
    if not _ROUTE.fullmatch(name):
        raise UnusableError(
            f"route {name[:40]!r}: is not a valid name: expected letters, digits, '.', '_' and '-'", field="name"
        )
    if not 1 <= len(route.handles) <= MOST_HANDLES:
        raise UnusableError(f"a route needs from 1 to {MOST_HANDLES} handles", field="handles")
    if len(route.tags) > MOST_TAGS:
        raise UnusableError(f"a route has at most {MOST_TAGS} tags", field="tags")
    for handle in route.handles:
        if not _HANDLE.fullmatch(handle):
            raise UnusableError(
                f"handle {handle[:40]!r} is not a valid one: expected a channel's name or an e-mail address",
                field="handles",
            )
    async with database.write() as connection:
        known = {one.name: one for one in await silences.list_routes(connection)}
        if name not in known and len(known) >= silences.MOST_ROUTES:
            raise UnusableError(f"there are {silences.MOST_ROUTES} routes already; `alert route remove` makes room")
        now = epoch.milliseconds(clock)
        await silences.put_route(connection, route, by=by.name, now=now)
        before = _route_state(known[name]) if name in known else None
        await audit.record(connection, by, "route.put", name, before=before, after=_route_state(route), now=now)
    return route


async def list_routes(database: Database, by: Principal) -> tuple[TagRoute, ...]:
    """List every route, by its name."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        return await silences.list_routes(connection)


async def remove_route(database: Database, clock: Clock, by: Principal, name: str) -> None:
    """Take a route away. Raises NotFoundError."""
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        if not await silences.remove_route(connection, name):
            raise NotFoundError("route", name)
        await audit.record(connection, by, "route.delete", name, now=epoch.milliseconds(clock))


def _state(of: Silence) -> dict[str, object]:
    return {
        "name": of.name,
        "test": of.test,
        "tags": list(of.tags),
        "starts": of.starts,
        "zone": of.zone,
        "minutes": of.minutes,
        "rule": of.rule,
    }


def _route_state(of: TagRoute) -> dict[str, object]:
    return {"tags": list(of.tags), "handles": list(of.handles)}
