"""Alerts over a real store: transitions and queued notifications follow from results, from time, and from what people change."""

from __future__ import annotations

import aiohttp
import pytest

from controlplane.alerts.telling import duration
from controlplane.service import triggers
from controlplane.steady import HELD_SECONDS
from controlplane.store import results
from controlplane.store.alerttables import notifications, transitions
from controlplane.store.tables import workers
from tests.integration.controlplane.plane import Plane, traced
from tests.integration.controlplane.watch import BY, FAILED, ID, PERIOD, TURN, Watch, kept_up, watching
from tests.support.protocol import item


@pytest.fixture
async def watch(plane: Plane, session: aiohttp.ClientSession) -> Watch:
    return await watching(plane, session)


async def test_a_failure_is_queued_for_whom_the_message_names_and_so_is_its_end(watch: Watch) -> None:
    await watch.push()
    await watch.run(status="passed")
    assert await watch.rests()
    await watch.run(**FAILED)
    await watch.run(**FAILED)
    assert await watch.addresses() == [("alert", "oncall@example.com"), ("alert", "slack-ops")]
    await watch.run(status="passed")
    assert (await watch.addresses())[2:] == [("recovery", "boss"), ("recovery", "slack-ops")]
    (rows,) = await watch.plane.rows(transitions)
    lasted = duration(rows[1].at - rows[0].at)
    assert await watch.summaries() == [
        "shop fails at office: CONNECT: connection refused",
        f"shop recovered after {lasted}",
    ]
    assert await watch.rests()
    assert len({row.alert_id for row in rows}) == 1
    assert len({row.id for row in rows}) == 2
    (queued,) = await watch.plane.rows(notifications)
    assert {(row.state, row.attempts, row.reason) for row in queued} == {("queued", 0, "")}


async def test_trouble_of_the_probe_is_no_failure_of_the_target(watch: Watch) -> None:
    await watch.push()
    await watch.run(**FAILED, unhealthy="the event loop lagged by 3 s")
    await watch.let_pass(10 * PERIOD)
    assert (await watch.told(), await watch.rests()) == ([], True)


async def test_no_data_names_the_location_its_workers_and_since_when(watch: Watch) -> None:
    await watch.push(monitor_options={"notify_no_data": True, "no_data_timeframe": 3})
    await watch.run()
    await watch.let_pass(6 * PERIOD)
    assert await watch.told() == ["no_data"]
    (line,) = await watch.summaries()
    ((worker,),) = await watch.plane.rows(workers)
    assert line.startswith("shop has no data: the probe is blind at office since 20")
    assert ": no worker of the location was seen in its period; its workers: " in line
    assert f"{worker.id} last seen 20" in line
    assert await watch.addresses() == [("no_data", "slack-ops")]
    await watch.run()
    assert await watch.told() == ["no_data", "no_data_recovery"]
    assert await watch.rests()


async def test_missed_runs_of_a_test_that_does_not_ask_for_no_data_cost_no_row(watch: Watch) -> None:
    await watch.push()
    await watch.run()
    await watch.let_pass(5 * PERIOD)
    assert (await watch.told(), await watch.rests()) == ([], True)


async def test_a_failure_must_last_and_may_do_so_between_two_results(watch: Watch) -> None:
    await watch.push(tick_every=600, min_failure_duration=90)
    await watch.run(**FAILED)
    await watch.let_pass(88)
    assert await watch.told() == []
    await watch.let_pass(TURN)
    assert await watch.told() == ["alert"]


async def test_a_new_process_goes_on_where_the_last_one_was(watch: Watch) -> None:
    await watch.push(tick_every=600, min_failure_duration=90, monitor_options={"renotify_interval": 2})
    await watch.run(**FAILED)
    await watch.let_pass(48)
    watch.plane.restart()
    watch.upkeep = kept_up(watch.plane)
    await watch.let_pass(48)
    assert await watch.told() == ["alert"]
    watch.upkeep = kept_up(watch.plane)
    await watch.let_pass(130)
    assert await watch.told() == ["alert", "renotify"]


async def test_an_absence_of_the_control_plane_is_no_blindness_of_the_probe(watch: Watch) -> None:
    await watch.push(monitor_options={"notify_no_data": True, "no_data_timeframe": 10})
    await watch.run()
    watch.plane.clock.stall(6 * 3600)
    watch.upkeep = kept_up(watch.plane)
    await watch.let_pass(TURN)
    await watch.run()
    await watch.let_pass(4 * TURN)
    assert await watch.told() == []


async def test_a_run_that_is_to_be_executed_again_decides_nothing(watch: Watch) -> None:
    await watch.push(retry={"count": 1, "interval": 20_000})
    await watch.run(**FAILED)
    assert await watch.told() == []
    await watch.let_pass(20)
    await watch.run(status="passed")
    assert (await watch.told(), await watch.rests()) == ([], True)
    await watch.run(**FAILED)
    await watch.let_pass(20)
    await watch.run(**FAILED)
    assert await watch.told() == ["alert"]


async def test_the_time_of_a_failure_begins_with_its_last_execution(watch: Watch) -> None:
    """The guide's table “Fast retries causing a delay in alerting”, with shorter times."""
    await watch.push(tick_every=300, min_failure_duration=60, retry={"count": 2, "interval": 20_000})
    for _ in range(3):
        await watch.run(**FAILED)
    await watch.let_pass(60 - TURN)
    assert await watch.told() == [], "the first execution failed more than a minute ago"
    await watch.let_pass(TURN)
    assert await watch.told() == ["alert"]


async def test_a_run_that_somebody_asked_for_alerts_nobody_and_ends_nothing(watch: Watch) -> None:
    await watch.push()
    for scheduled, asked, told in (({"status": "passed"}, FAILED, []), (FAILED, {"status": "passed"}, ["alert"])):
        await watch.run(**scheduled)
        await triggers.trigger_one(watch.plane.database, watch.plane.clock, BY, ID)
        await watch.run(**asked)
        assert await watch.told() == told


async def test_a_location_of_two_is_too_few_where_two_are_asked_for(watch: Watch) -> None:
    other = await watch.plane.add_location("lab")
    await watch.push("office", "lab", min_location_failed=2)
    await watch.run(**FAILED)
    await watch.run(other, status="passed")
    await watch.run(other, **FAILED)
    assert await watch.told() == ["alert"]
    assert await watch.summaries() == ["shop fails at lab, office (2 of 2 locations): CONNECT: connection refused"]
    await watch.run(status="passed")
    assert await watch.told() == ["alert", "recovery"]
    assert (await watch.summaries())[1].startswith(
        "shop recovered (it still fails at lab, too few locations for an alert) after"
    )


async def test_results_that_come_late_do_not_bring_back_what_is_over(watch: Watch) -> None:
    """A worker that was cut off ran the test, in vain; another one has run it since."""
    await watch.push()
    cut_off, another = watch.worker, watch.worker.another()
    (late,) = (await cut_off.pull(watch.session)).jobs
    watch.worker = another
    await watch.let_pass(2 * PERIOD)
    await watch.run(status="passed")
    assert (await cut_off.push(watch.session, item(late, **FAILED))).accepted
    assert (await watch.told(), await watch.rests()) == ([], True)


@pytest.mark.parametrize("seconds", [86_400, -86_400], ids=["ahead", "back"])
async def test_a_step_of_the_clock_fires_nothing_and_holds_nothing_back(watch: Watch, seconds: int) -> None:
    await watch.push(tick_every=480, min_failure_duration=420)
    await watch.run(**FAILED)
    watch.plane.clock.step_wall(seconds)
    await watch.let_pass(round(HELD_SECONDS) + 60)  # after which it is followed
    assert await watch.told() == []
    await watch.let_pass(64)
    assert await watch.told() == ["alert"]
    await watch.run(status="passed")
    assert await watch.told() == ["alert", "recovery"], "what comes after a step is not taken for old"


async def test_what_waits_for_its_receiver_goes_along_with_a_step_of_the_clock(watch: Watch) -> None:
    """Moved twice, an alert would wait for another hour, or be given up as too old."""
    await watch.push()
    await watch.run(**FAILED)
    before = {(row.key, row.due_at, row.created_at) for row in (await watch.plane.rows(notifications))[0]}
    watch.plane.clock.step_wall(3600)
    await watch.let_pass(round(HELD_SECONDS) + 60)
    by = 3_600_001  # whole seconds and one, as everything else
    after = {(row.key, row.due_at - by, row.created_at - by) for row in (await watch.plane.rows(notifications))[0]}
    assert after == before


async def test_a_passed_run_of_a_test_that_is_well_costs_one_look_at_an_index(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        await watch.plane.add_test(watch.worker.location, f"aaa-aaa-a{chr(97 + number)}a")
    statements: list[str] = []
    given = (await watch.worker.pull(watch.session, free_slots=20, concurrency=20)).jobs
    assert len(given) == 20
    await traced(watch.plane, monkeypatch, statements.append)
    await watch.worker.push(watch.session, *(item(job) for job in given))
    alerting = [statement for statement in statements if "monitor" in statement or "transitions" in statement]
    assert len(alerting) == 1, alerting
    assert alerting[0].startswith("SELECT monitors.test_id \nFROM monitors \nWHERE monitors.test_id IN")


async def test_a_transition_is_written_whole_or_not_at_all(watch: Watch) -> None:
    """What ends before its commit leaves nothing; pushed again, and once more after a lost reply, it is told once."""
    await watch.push()
    (job,) = (await watch.worker.pull(watch.session)).jobs
    sent = item(job, **FAILED)

    async def keep(*, cut_short: bool) -> None:
        async with watch.plane.database.write() as connection:
            place, now = watch.worker.location, watch.plane.now()
            await results.keep(connection, location=place, worker=watch.worker.id, items=[sent], now=now)
            if cut_short:
                raise InterruptedError

    with pytest.raises(InterruptedError):
        await keep(cut_short=True)
    assert (await watch.told(), await watch.addresses()) == ([], [])
    await keep(cut_short=False)
    await keep(cut_short=False)
    assert (await watch.told(), len(await watch.addresses())) == (["alert"], 2)


async def test_a_message_names_people_by_what_the_run_saw(watch: Watch) -> None:
    """The example of the reference's page on conditional alerting, and the run that ended the alert."""
    await watch.push(
        message='{{#is_exact_match "synthetics.attributes.result.response.statusCode" "500"}}@slack-backend{{else}}'
        "@slack-frontend{{/is_exact_match}}"
    )
    await watch.run(**FAILED, response={"status_code": 500})
    await watch.run(status="passed", response={"status_code": 200})
    assert await watch.addresses() == [("alert", "slack-backend"), ("recovery", "slack-frontend")]
