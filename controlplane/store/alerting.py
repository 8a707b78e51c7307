"""Monitors in the store: the ends of runs and the passing of time → transitions and their notifications, in one transaction.

`alerts.monitor` decides. A run that passed, of a test that is well, costs a part of one look at an index and nothing else.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.alerts import monitor as machine
from controlplane.alerts import routing, telling
from controlplane.alerts.monitor import AlertDecision, JudgementCause, MonitorVerdict, SeenRun, Sight
from controlplane.alerts.routing import TagRoute
from controlplane.alerts.telling import ToldTest
from controlplane.alerts.transitions import ENDED_BY_A_RUN, SeenProbe, Transition, TransitionKind
from controlplane.alerts.windows import Silence
from controlplane.store import monitors, silences, transitions
from controlplane.store.monitors import WatchedTest
from controlplane.store.silences import Muting
from controlplane.store.states import RunEnd
from controlplane.store.tables import tests, workers

MOST_PROBES = 20
"""Workers of a blind location that are named, those that were seen last."""


@dataclass(slots=True)
class _Readings:
    """The rows that a transaction has read for its decisions, once, where they were needed."""

    tests: dict[str, ToldTest] = field(default_factory=dict)
    silences: tuple[Silence, ...] | None = None
    routes: tuple[TagRoute, ...] | None = None


async def follow(connection: AsyncConnection, ended: Sequence[RunEnd], *, now: int) -> None:
    """Judge the tests whose scheduled runs ended, in the order of the ends. To be called before the ends are written down."""
    concerned = await _concerned(connection, ended)
    if not concerned:
        return
    readings = _Readings()
    runs = [end for end in ended if end.test in concerned]
    for end in runs:
        watched = concerned[end.test]
        run = _run(end)
        watched.monitor, watched.places = machine.take(watched.monitor, watched.places, run, watched.rule, now=now)
        await _judge(connection, watched, "run", readings, now=now)
    await monitors.save(connection, list(concerned.values()))


async def _concerned(connection: AsyncConnection, ended: Sequence[RunEnd]) -> dict[str, WatchedTest]:
    """The tests for which the ends of their runs mean anything: in trouble, or failing, or blind where that is to be told."""
    if not ended:
        return {}
    troubled = await monitors.in_trouble(connection, {end.test for end in ended})
    failed = {end.test for end in ended if _sight(end) is Sight.FAILED}
    blind = {end.test for end in ended if _sight(end) is Sight.BLIND}
    ids = troubled | failed | blind
    if not ids:
        return {}
    found = await monitors.load(connection, ids)
    meant = troubled | failed
    return {
        test: watched
        for test, watched in found.items()
        if not watched.paused and (test in meant or watched.rule.no_data_ms)
    }


def _sight(end: RunEnd) -> Sight:
    if end.seen_at is None:
        return Sight.BLIND
    return Sight.PASSED if end.status == "passed" else Sight.FAILED


def _run(end: RunEnd) -> SeenRun:
    return SeenRun(
        location=end.location,
        sight=_sight(end),
        at=end.at,
        scheduled_at=end.at if end.scheduled_at is None else end.scheduled_at,
        code=end.code,
        message=end.message,
        result=end.result,
        reason=end.unhealthy,
    )


async def settle(connection: AsyncConnection, *, now: int, limit: int) -> int:
    """Judge at most *limit* tests for the time alone, and for what was changed of them; how many there were."""
    ids = await monitors.due(connection, now=now, limit=limit)
    found = await monitors.load(connection, ids)
    readings = _Readings()
    for watched in found.values():
        reason = "it is paused" if watched.paused else "no location where it failed runs it"
        await _judge(connection, watched, "time", readings, now=now, reason=reason)
    await monitors.save(connection, list(found.values()))
    return len(ids)


async def close(connection: AsyncConnection, test: str, reason: str, *, now: int) -> None:
    """End what is told of a test that is about to be deleted, for *reason*."""
    found = (await monitors.load(connection, await monitors.in_trouble(connection, [test]))).get(test)
    if found is not None:
        found.gone, found.places = (*found.gone, *found.places), ()
        await _judge(connection, found, "time", _Readings(), now=now, reason=reason)
        await monitors.save(connection, [found])


async def _judge(
    connection: AsyncConnection,
    watched: WatchedTest,
    cause: JudgementCause,
    readings: _Readings,
    *,
    now: int,
    reason: str = "",
) -> None:
    """Decide, and write down what was decided. Silences are read where something would be told without them."""
    judged, muting = _judged(watched, cause, now, Muting()), Muting()
    if any(decision.told for decision in judged.decisions):
        told = await _told(connection, watched, readings)
        muting = await _muting(connection, told, readings, now)
        if muting.by:
            judged = _judged(watched, cause, now, muting)
    for decision in judged.decisions:
        muted_by = "" if decision.told else muting.by or watched.muted_by
        if decision.kind is TransitionKind.ALERT:
            watched.muted_by = muted_by
        told = await _told(connection, watched, readings)
        await _put(connection, decision, told, watched, readings, now=now, muted_by=muted_by, reason=reason)
    watched.monitor, watched.places, watched.due_at = judged.monitor, judged.places, judged.due_at
    watched.gone = ()


def _judged(watched: WatchedTest, cause: JudgementCause, now: int, muting: Muting) -> MonitorVerdict:
    return machine.judge(
        watched.monitor,
        watched.places,
        watched.rule,
        now=now,
        cause=cause,
        new_id=_new_id,
        gone=watched.gone,
        muted_until=muting.until,
    )


def _new_id() -> str:
    return str(uuid.uuid4())


async def _told(connection: AsyncConnection, watched: WatchedTest, readings: _Readings) -> ToldTest:
    if watched.test not in readings.tests:
        columns = (tests.c.name, tests.c.definition, tests.c.tags)
        row = (await connection.execute(select(*columns).where(tests.c.public_id == watched.test))).one()
        readings.tests[watched.test] = ToldTest(
            test=watched.test,
            name=row.name,
            definition=json.loads(row.definition),
            tags=tuple(tag for tag in row.tags.split("\n") if tag),
            names=watched.names,
        )
    return readings.tests[watched.test]


async def _muting(connection: AsyncConnection, told: ToldTest, readings: _Readings, now: int) -> Muting:
    if readings.silences is None:
        readings.silences = await silences.list_all(connection)
    return silences.muting(readings.silences, told.test, told.tags, now=now)


async def _put(
    connection: AsyncConnection,
    decision: AlertDecision,
    told: ToldTest,
    watched: WatchedTest,
    readings: _Readings,
    *,
    now: int,
    muted_by: str,
    reason: str,
) -> None:
    probes = () if decision.place is None else await _probes(connection, decision.place.location)
    began = await transitions.first_of(connection, decision.alert)
    decided = telling.transition(
        decision,
        told,
        watched.places,
        probes,
        new_id=_new_id(),
        now=now,
        muted_by=muted_by,
        reason=reason if decision.kind is TransitionKind.CLOSED else "",
        began=began,
    )
    addresses = await _addresses(connection, decided, began, readings) if decision.told else ()
    await transitions.put(connection, decided, addresses, now=now)


async def _addresses(
    connection: AsyncConnection, decided: Transition, began: Transition | None, readings: _Readings
) -> Collection[str]:
    """The addresses that the message and the routes name, and at its end those that were told of it by what was edited since.

    The end of what nobody watches goes to whoever was told of it.
    """
    if decided.kind is TransitionKind.CLOSED:
        return await transitions.addresses_of(connection, decided.alert)
    from controlplane.alerts import wording  # noqa: PLC0415 - templates are for transitions alone, which are rare

    if readings.routes is None:
        readings.routes = await silences.list_routes(connection)
    found = await transitions.outcome_of(connection, decided)
    outcome = None if found is None else json.loads(found)
    handles = wording.handles(decided, outcome)
    if began is not None and decided.kind in ENDED_BY_A_RUN:
        told = await transitions.addresses_of(connection, decided.alert)
        handles = (*handles, *wording.still_waiting(told, began, decided, outcome))
    return routing.addresses(handles, decided.tags, readings.routes)


async def _probes(connection: AsyncConnection, location: str) -> tuple[SeenProbe, ...]:
    query = (
        select(workers.c.id, workers.c.host, workers.c.last_seen)
        .where(workers.c.location_id == location, workers.c.concurrency > 0)
        .order_by(workers.c.last_seen.desc())
        .limit(MOST_PROBES)
    )
    rows = await connection.execute(query)
    return tuple(SeenProbe(id=row.id, host=row.host, last_seen=row.last_seen) for row in rows)
