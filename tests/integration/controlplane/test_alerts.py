"""Work on alerts: list, show, acknowledge and silence them, plan maintenance, route by tags; as use cases and as commands."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from controlplane.alerts.notices import OpenNotice
from controlplane.alerts.transitions import TransitionKind
from controlplane.errors import ForbiddenError, NotFoundError, UnusableError
from controlplane.service import alerts, definitions, silences, tests
from controlplane.service.principal import KeyScope, Principal, operator
from controlplane.store import notices
from controlplane.store.alerttables import notifications, transitions
from controlplane.store.tables import audit as audit_table
from controlplane.store.transitions import put
from tests.integration.controlplane.plane import Plane
from tests.integration.controlplane.typed import Run
from tests.support.alerts import transition
from tests.support.definitions import http_test
from tests.support.protocol import ProtocolWorker, item

BY = operator("somebody")
READER = Principal(name="reader", via="api", scopes=frozenset({KeyScope.READ}))
NOBODY = Principal(name="nobody", via="api", scopes=frozenset({KeyScope.TRIGGER}))
FAILED: dict[str, Any] = {"status": "failed", "failure": {"code": "DNS", "message": "no such name"}}
ID = "abc-def-ghi"


@pytest.fixture
async def worker(plane: Plane) -> ProtocolWorker:
    worker = await plane.add_location()
    options = {"tick_every": 60, "monitor_options": {"renotify_interval": 1}}
    content = http_test("shop", public_id=ID, options=options, message="@ops", tags=["env:prod", "team:shop"])
    await tests.push(plane.database, plane.clock, BY, [definitions.check("test", content)], places=["office"])
    await plane.let_pass(16)
    return worker


async def run(plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, **outcome: Any) -> None:
    while not (given := (await worker.pull(session)).jobs):
        await plane.let_pass(4)
    await worker.push(session, *(item(job, **outcome) for job in given))


async def kinds(plane: Plane) -> list[str]:
    (rows,) = await plane.rows(transitions)
    return [row.kind for row in rows if not row.muted_by]


async def test_an_alert_is_listed_shown_and_acknowledged(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await run(plane, worker, session, **FAILED)
    (ongoing,) = await alerts.list_ongoing(plane.database, READER)
    assert (ongoing.test, ongoing.name, ongoing.told, ongoing.acknowledged_by) == (ID, "shop", True, None)
    for name in (ongoing.alert, ID, "shop"):
        record = await alerts.show(plane.database, READER, name)
        assert (record.alert, record.ongoing) == (ongoing.alert, ongoing)
        (told,) = record.transitions
        assert [(one.address, one.state) for one in told.notifications] == [("ops", "queued")]
    acknowledged = await alerts.acknowledge(plane.database, plane.clock, BY, "shop")
    assert (acknowledged.alert, acknowledged.acknowledged_by) == (ongoing.alert, "somebody")
    await run(plane, worker, session, **FAILED)
    await plane.let_pass(120)
    assert await kinds(plane) == ["alert"], "it is repeated no more"
    await run(plane, worker, session, status="passed")
    assert await kinds(plane) == ["alert", "recovery"]
    assert await alerts.list_ongoing(plane.database, READER) == ()
    assert (await alerts.show(plane.database, READER, "shop")).ongoing is None
    newest, first = await alerts.history(plane.database, READER, limit=10, test="shop")
    assert [one.transition.kind.value for one in (newest, first)] == ["recovery", "alert"]
    assert await alerts.history(plane.database, READER, limit=10, before=newest.seq) == (first,)
    (entries,) = await plane.rows(audit_table)
    assert ("alert.acknowledge", ID) in {(entry.action, entry.subject) for entry in entries}


async def test_a_notice_that_holds_is_listed_among_alerts(plane: Plane) -> None:
    decided = transition(7, kind=TransitionKind.NOTICE, alert="n", test=None)
    async with plane.database.write() as connection:
        await notices.add(connection, OpenNotice(subject="disk", alert="n", since=5))
        await put(connection, decided, ["ops"], now=5)
    (ongoing,) = await alerts.list_ongoing(plane.database, READER)
    assert (ongoing.alert, ongoing.test, ongoing.name, ongoing.since) == ("n", "", decided.name, 5)
    record = await alerts.show(plane.database, READER, "n")
    assert ([one.transition for one in record.transitions], record.ongoing) == ([decided], ongoing)


async def test_what_is_not_there_cannot_be_shown_or_acknowledged(plane: Plane, worker: ProtocolWorker) -> None:
    assert worker
    for name in ("shop", "nothing"):
        with pytest.raises(NotFoundError):
            await alerts.show(plane.database, READER, name)
    with pytest.raises(UnusableError, match="no alert of 'shop' that goes on"):
        await alerts.acknowledge(plane.database, plane.clock, BY, "shop")


async def test_nobody_reads_or_changes_alerts_without_the_scope(plane: Plane) -> None:
    for forbidden in (
        alerts.list_ongoing(plane.database, NOBODY),
        alerts.history(plane.database, NOBODY, limit=1),
        alerts.show(plane.database, NOBODY, "x"),
        alerts.acknowledge(plane.database, plane.clock, READER, "x"),
        silences.add(plane.database, plane.clock, READER),
        silences.list_all(plane.database, plane.clock, NOBODY),
        silences.remove(plane.database, plane.clock, READER, "x"),
        silences.put_route(plane.database, plane.clock, READER, "x", tags=(), handles=("y",)),
        silences.list_routes(plane.database, NOBODY),
        silences.remove_route(plane.database, plane.clock, READER, "x"),
    ):
        with pytest.raises(ForbiddenError):
            await forbidden


SCOPES: dict[str, tuple[dict[str, Any], bool]] = {
    "the test": ({"test": "shop"}, True),
    "its tags": ({"tags": ["env:prod", "team:shop"]}, True),
    "everything": ({}, True),
    "other tags": ({"tags": ["env:prod", "team:other"]}, False),
}


@pytest.mark.parametrize(("scope", "covers"), SCOPES.values(), ids=SCOPES)
async def test_a_silence_keeps_alerts_of_its_tests_until_it_ends(
    plane: Plane,
    worker: ProtocolWorker,
    session: aiohttp.ClientSession,
    scope: dict[str, Any],
    covers: bool,
) -> None:
    made = await silences.add(plane.database, plane.clock, BY, minutes=3, **scope)
    await run(plane, worker, session, **FAILED)
    assert await kinds(plane) == ([] if covers else ["alert"])
    if not covers:
        return
    (ongoing,) = await alerts.list_ongoing(plane.database, READER)
    assert (ongoing.told, ongoing.muted_by) == (False, made.id)
    await plane.let_pass(180)
    assert await kinds(plane) == ["alert"], "it goes on when the silence is over"
    (queued,) = await plane.rows(notifications)
    assert len(queued) == 1


async def test_a_silence_that_somebody_ends_tells_what_goes_on_at_once(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await silences.add(plane.database, plane.clock, BY, test="shop")
    await run(plane, worker, session, **FAILED)
    await plane.let_pass(600)
    assert await kinds(plane) == []
    (gone,) = await silences.remove(plane.database, plane.clock, BY, ID)
    assert gone.minutes is None
    await plane.let_pass(4)
    assert await kinds(plane) == ["alert"]
    with pytest.raises(NotFoundError):
        await silences.remove(plane.database, plane.clock, BY, ID)
    (entries,) = await plane.rows(audit_table)
    assert [entry.action for entry in entries][-2:] == ["silence.create", "silence.delete"]


async def test_maintenance_that_comes_again_holds_in_its_hours(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    now = plane.clock.now()
    await silences.add(
        plane.database,
        plane.clock,
        BY,
        name="nightly",
        starts=now.replace(tzinfo=None, year=2020, microsecond=0).isoformat(),
        minutes=5,
        rule="FREQ=DAILY",
    )
    ((planned, until),) = await silences.list_all(plane.database, plane.clock, READER)
    assert (planned.name, 0 < until - plane.now() <= 300_000) == ("nightly", True)
    await run(plane, worker, session, **FAILED)
    assert await kinds(plane) == []
    await plane.let_pass(300)
    assert await kinds(plane) == ["alert"]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"zone": "Berlin"}, "is not a valid time zone"),
        ({"starts": "tomorrow"}, "is not a valid local time"),
        ({"starts": "2026-01-01T00:00:00+01:00"}, "is not a valid local time"),
        ({"minutes": 0}, "is not a valid one"),
        ({"minutes": 10**9}, "is not a valid one"),
        ({"rule": "FREQ=DAILY"}, "needs a length"),
        ({"rule": "FREQ=SECONDLY", "minutes": 1}, "rule 'FREQ=SECONDLY' is not a valid one here: FREQ must be"),
        ({"name": "x" * 201}, "name: is not a valid one"),
        ({"name": "\x1b[2J"}, "name: is not a valid one"),
        ({"tags": [str(number) for number in range(51)]}, "more than 50"),
    ],
)
async def test_a_mistaken_silence_is_refused_by_name(plane: Plane, members: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnusableError, match=reason):
        await silences.add(plane.database, plane.clock, BY, **members)
    assert await silences.list_all(plane.database, plane.clock, READER) == ()


async def test_a_silence_that_begins_in_the_second_of_two_hours_holds_from_now_on(plane: Plane) -> None:
    second_half_past_two = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    plane.clock.stall((second_half_past_two - plane.clock.now()).total_seconds())
    await silences.add(plane.database, plane.clock, BY, zone="Europe/Berlin", minutes=30)
    ((_, until),) = await silences.list_all(plane.database, plane.clock, READER)
    assert until == plane.now() + 30 * 60_000


async def test_a_silence_that_is_long_over_is_forgotten(plane: Plane) -> None:
    await silences.add(plane.database, plane.clock, BY, minutes=5)
    await silences.add(plane.database, plane.clock, BY, name="open")
    plane.clock.stall(3 * 86_400)
    await silences.prune(plane.database, plane.clock)
    assert [one.name for one, _ in await silences.list_all(plane.database, plane.clock, READER)] == ["open"]


async def test_a_route_tells_by_tags(plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession) -> None:
    for name, tags, handles in (
        ("prod", ["env:prod"], ["@pager", "ops"]),
        ("other", ["env:prod", "team:other"], ["other"]),
        ("all", [], ["archive@example.com"]),
    ):
        await silences.put_route(plane.database, plane.clock, BY, name, tags=tags, handles=handles)
    await run(plane, worker, session, **FAILED)
    (queued,) = await plane.rows(notifications)
    assert sorted(row.address for row in queued) == ["archive@example.com", "ops", "pager"]
    await silences.remove_route(plane.database, plane.clock, BY, "prod")
    assert [one.name for one in await silences.list_routes(plane.database, READER)] == ["all", "other"]
    for handles in ([], ["not a handle"], ["@"]):
        with pytest.raises(UnusableError):
            await silences.put_route(plane.database, plane.clock, BY, "x", tags=(), handles=handles)


def test_commands_say_what_they_did(run: Run, location: str) -> None:
    assert location
    assert "ALERT" in run("alert", "list").output
    made = run("alert", "silence", "--tag", "env:prod", "--for", "2h", "--name", "moving house").output
    assert "of moving house holds" in made
    run("maintenance", "add", "nightly", "--start", "2026-11-28T22:00", "--for", "1h", "--rrule", "FREQ=DAILY")
    shown = [json.loads(line) for line in run("maintenance", "list", "--json").output.splitlines()]
    assert [(one["silence"]["name"], one["holds"]) for one in shown] == [("moving house", True), ("nightly", False)]
    assert "FREQ=DAILY" in run("maintenance", "list").output
    assert "is gone" in run("maintenance", "remove", "nightly").output
    assert "is over" in run("alert", "unsilence", "moving house").output
    assert "is told to @ops" in run("alert", "route", "set", "prod", "@ops", "--tag", "env:prod").output
    assert json.loads(run("alert", "route", "list", "--json").output) == {
        "name": "prod",
        "tags": ["env:prod"],
        "handles": ["ops"],
    }
    run("alert", "route", "remove", "prod")
    for mistaken in (["--for", "2"], ["--for", "forever"]):
        assert "is not a valid length" in run("alert", "silence", *mistaken, code=2).output
    assert run("alert", "show", "nothing", code=2).output
    assert run("alert", "ack", "nothing", code=2).output
    assert run("alert", "list", "--all").output
