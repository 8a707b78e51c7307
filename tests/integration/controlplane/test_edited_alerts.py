"""Alerts of tests that are edited, paused, moved or deleted meanwhile: whoever was told of one hears its end."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from controlplane.alerts.channels import table
from controlplane.alerts.wording import words
from controlplane.service import locations, silences, tests
from controlplane.store.alerttables import transitions
from controlplane.store.transitions import from_row
from controlplane.store.transitions import prune as pruned
from tests.integration.controlplane.plane import Plane
from tests.integration.controlplane.watch import BY, FAILED, ID, PERIOD, TURN, Watch, watching
from tests.support.protocol import item


@pytest.fixture
async def watch(plane: Plane, session: aiohttp.ClientSession) -> Watch:
    return await watching(plane, session)


CHANGES: dict[str, tuple[Callable[[Watch], Awaitable[object]], str]] = {
    "paused": (
        lambda watch: tests.set_paused(watch.plane.database, watch.plane.clock, BY, ID, paused=True),
        "shop is no longer watched: it is paused",
    ),
    "deleted": (
        lambda watch: tests.delete(watch.plane.database, watch.plane.clock, BY, ID),
        "shop is no longer watched: it was deleted",
    ),
    "unassigned": (
        lambda watch: tests.unassign(watch.plane.database, watch.plane.clock, BY, ID, places=["office"]),
        "shop is no longer watched: no location where it failed runs it",
    ),
    "location disabled": (
        lambda watch: locations.set_enabled(watch.plane.database, watch.plane.clock, BY, "office", enabled=False),
        "shop is no longer watched: no location where it failed runs it",
    ),
    "location deleted": (
        lambda watch: locations.delete(watch.plane.database, watch.plane.clock, BY, "office", force=True),
        "shop is no longer watched: no location where it failed runs it",
    ),
}


@pytest.mark.parametrize(("change", "line"), CHANGES.values(), ids=CHANGES)
async def test_an_alert_of_what_is_watched_no_more_is_closed_for_whoever_was_told(
    watch: Watch, change: Callable[[Watch], Awaitable[object]], line: str
) -> None:
    await watch.push(monitor_options={"renotify_interval": 1})
    await watch.run(**FAILED)
    await change(watch)
    await watch.let_pass(3 * PERIOD)
    assert await watch.told() == ["alert", "closed"]
    assert (await watch.summaries())[1] == line
    assert (await watch.addresses())[2:] == [("closed", "oncall@example.com"), ("closed", "slack-ops")]
    assert await watch.rests()


async def test_a_paused_test_is_not_judged_by_what_still_ran(watch: Watch) -> None:
    await watch.push()
    (job,) = (await watch.worker.pull(watch.session)).jobs
    await tests.set_paused(watch.plane.database, watch.plane.clock, BY, ID, paused=True)
    assert (await watch.worker.push(watch.session, item(job, **FAILED))).accepted
    assert (await watch.told(), await watch.rests()) == ([], True)


async def test_an_edited_rule_holds_at_once(watch: Watch) -> None:
    await watch.push(min_failure_duration=3600)
    await watch.run(**FAILED)
    await watch.push(min_failure_duration=0)
    await watch.let_pass(TURN)
    assert await watch.told() == ["alert"]


EDITED: dict[str, tuple[str, list[str]]] = {
    "another handle": ("@new", ["new", "old"]),
    "the same one": ("@old again", ["old"]),
    "nobody": ("", ["old"]),
    "only of the beginning": ("{{#is_alert}}@old{{/is_alert}}", ["old"]),
}


@pytest.mark.parametrize(("message", "told"), EDITED.values(), ids=EDITED)
async def test_whoever_was_told_of_an_alert_is_told_of_its_end_whatever_was_edited_meanwhile(
    watch: Watch, message: str, told: list[str]
) -> None:
    await watch.push(message="@old {{#is_alert}}@pager{{/is_alert}}")
    await watch.run(**FAILED)
    await watch.push(message=message)
    await watch.run(status="passed")
    assert await watch.addresses() == [
        ("alert", "old"),
        ("alert", "pager"),
        *(("recovery", address) for address in told),
    ]


async def test_whom_a_route_told_that_is_gone_and_whom_an_escalation_woke_are_told_of_the_end(watch: Watch) -> None:
    database, clock = watch.plane.database, watch.plane.clock
    await silences.put_route(database, clock, BY, "prod", tags=["env:prod"], handles=["night"])
    await watch.push(message="@ops", monitor_options={"renotify_interval": 1, "escalation_message": "@boss"})
    await watch.run(**FAILED)
    await silences.remove_route(database, clock, BY, "prod")
    await watch.let_pass(PERIOD)
    await watch.run(status="passed")
    told = await watch.addresses()
    assert [address for kind, address in told if kind == "renotify"] == ["boss", "ops"]
    assert [address for kind, address in told if kind == "recovery"] == ["boss", "night", "ops"]


async def test_an_alert_keeps_the_tags_by_which_a_receiver_knows_it(watch: Watch) -> None:
    await watch.push()
    await watch.run(**FAILED)
    await watch.push(tags=["env:dev"])
    await watch.run(status="passed")
    (rows,) = await watch.plane.rows(transitions)
    alert, recovery = (words(from_row(row), None) for row in rows)
    am = table.read({"type": "alertmanager", "url": "https://am.example"})
    first, last = (json.loads(table.post(am, message, "k", 0).body)[0] for message in (alert, recovery))  # type: ignore[arg-type]
    assert first["labels"] == last["labels"]
    assert (first["labels"]["env"], recovery.tags) == ("prod", ("env:dev",))


async def test_what_goes_on_for_longer_than_results_are_kept_is_not_forgotten(watch: Watch) -> None:
    await watch.push(monitor_options={"notify_no_data": True, "no_data_timeframe": 3})
    await watch.run(**FAILED)
    await watch.let_pass(6 * PERIOD)
    async with watch.plane.database.write() as connection:
        assert await pruned(connection, before=2**60, limit=10) == 0
    await tests.set_paused(watch.plane.database, watch.plane.clock, BY, ID, paused=True)
    await watch.let_pass(TURN)
    assert [kind for kind, _ in await watch.addresses()] == ["alert", "alert", "closed", "closed", "closed", "no_data"]
    async with watch.plane.database.write() as connection:
        assert await pruned(connection, before=2**60, limit=10) == 4
    assert await watch.addresses() == []
