"""`/metrics` of the control plane: locations, leases, results and single tests, as Prometheus reads them."""

from __future__ import annotations

import asyncio
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text, update

from controlplane.leases import LEASE_TTL
from controlplane.rest.series import SeriesChoice
from controlplane.service import runners, runs
from controlplane.service.principal import operator
from controlplane.service.runners import WantedRunner
from controlplane.service.runs import WantedRun
from controlplane.service.upkeep import Retention, Upkeep
from controlplane.steady import SteadyClock
from controlplane.store import gauges, locations, rungauges
from controlplane.store.sweep import MissedReason
from controlplane.store.tables import action_tasks, assignments, results
from tests.integration.controlplane.plane import Plane
from tests.integration.controlplane.process import issue
from tests.support.checkout import ROOT
from tests.support.peers import peer
from tests.support.protocol import ProtocolWorker, item
from worker.web.certificate import CertificateFiles, ServedCertificate

BOSS = operator("tests")
PREFIX = "synthetics_controlplane_"


@pytest.fixture
async def worker(plane: Plane) -> ProtocolWorker:
    return await plane.add_location()


async def scraped(plane: Plane, session: aiohttp.ClientSession) -> str:
    """A scrape that is not the one before."""
    plane.clock.stall(1)
    async with session.get(f"{plane.url}/metrics") as response:
        assert response.status == 200
        return await response.text()


def sample(shown: str, series: str, **labels: str) -> float | None:
    """The value of the one series of this name that has *labels*, None where there is none."""
    found = [
        one.value
        for family in text_string_to_metric_families(shown)
        for one in family.samples
        if one.name == PREFIX + series and labels.items() <= one.labels.items()
    ]
    assert len(found) <= 1, found
    return found[0] if found else None


def choose(plane: Plane, series: SeriesChoice) -> None:
    """The context with other series; what its server was given before goes on."""
    plane.context = replace(plane.context, series=series)


async def made(plane: Plane) -> str:
    plane.clock.stall(1)
    return (await plane.context.scrapes.text()).decode()


def upkeep_of(plane: Plane, **retention: Any) -> Upkeep:
    clock = plane.context.clock
    assert isinstance(clock, SteadyClock)
    kept = Retention(**{"age_ms": 30 * 86_400_000} | retention)
    return Upkeep(plane.database, clock, plane.context.grace, retention=kept, counters=plane.context.counters)


async def add_runner(plane: Plane, name: str = "berlin") -> None:
    wanted = WantedRunner(name=name, modes=("pull",), host=None, base_url="http://127.0.0.1")
    await runners.create(plane.database, plane.context.clock, BOSS, wanted, ttl_ms=3_600_000)


async def test_runs_of_actions_wait_for_somebody_by_state_and_each_queue_has_its_age(
    plane: Plane, session: aiohttp.ClientSession
) -> None:
    assert "_runs{" not in await scraped(plane, session), "nobody has made a runner"
    await add_runner(plane, "paris")
    await add_runner(plane)
    database, clock = plane.database, plane.context.clock
    wanted = WantedRun(action="data.jq", runner="berlin", arguments={})
    first, *_ = [await runs.create(database, clock, BOSS, wanted, client="cli") for _ in range(3)]
    plane.clock.stall(4)
    queued = await scraped(plane, session)
    assert [sample(queued, "queue_oldest_seconds", runner=name) for name in ("berlin", "paris")] == [5, 0]
    assert [sample(queued, "runs", state=state) for state in ("queued", "leased", "unknown")] == [3, 0, 0]
    assert sample(queued, "runs", state="succeeded") is None, "however many ended is not counted"
    async with database.write() as connection:
        doubtful = update(action_tasks).where(action_tasks.c.id == first.task.id)
        await connection.execute(doubtful.values(state="unknown"))
    assert sample(await scraped(plane, session), "runs", state="unknown") == 1


async def test_a_location_is_up_as_long_as_somebody_pulls(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    never = await scraped(plane, session)
    assert sample(never, "location_up", location="office") == 0
    assert sample(never, "location_last_pull_timestamp_seconds", location="office") is None
    await worker.pull(session, free_slots=7, degraded="outbox")
    pulled = plane.now()
    up = await scraped(plane, session)
    for name, value in {
        "location_up": 1,
        "location_enabled": 1,
        "location_workers": 1,
        "location_degraded_workers": 1,
        "location_slots": 10,
        "location_free_slots": 7,
        "location_last_pull_timestamp_seconds": pulled / 1000,
    }.items():
        assert sample(up, name, location="office") == value, name
    assert sample(up, "location_info", location="office", id=worker.location) == 1
    plane.clock.stall(5)
    gone = await scraped(plane, session)
    assert [sample(gone, name, location="office") for name in ("location_up", "location_slots")] == [0, 0]


async def test_runs_are_due_leased_late_and_missed(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    for letter in "abc":
        await plane.add_test(worker.location, f"{letter}aa-aaa-aaa", period=600)
    plane.clock.stall(3)
    before = await scraped(plane, session)
    assert [sample(before, name, location="office") for name in ("due_runs", "leased_jobs")] == [3, 0]
    jobs = (await worker.pull(session, free_slots=2)).jobs
    after = await scraped(plane, session)
    assert [sample(after, name, location="office") for name in ("due_runs", "leased_jobs", "waiting_jobs")] == [1, 2, 0]
    assert sample(after, "lease_lateness_seconds_count", location="office") == 2
    assert sample(after, "lease_lateness_seconds_bucket", location="office", le="2.0") == 0
    assert sample(after, "lease_lateness_seconds_bucket", location="office", le="5.0") == 2
    assert sample(after, "lease_lateness_seconds_sum", location="office") == 8
    passed = item(jobs[0])
    await worker.push(session, passed, item(jobs[1], status="failed"))
    await worker.push(session, passed)
    await plane.let_pass(LEASE_TTL // 1000)
    plane.clock.stall(1200)
    await upkeep_of(plane).turn()
    end = await scraped(plane, session)
    assert sample(end, "results_total", location="office", status="passed") == 1
    assert sample(end, "results_total", location="office", status="failed") == 1
    assert [sample(end, "pushed_results_total", outcome=one) for one in ("accepted", "duplicate")] == [2, 1]
    (rows,) = await plane.rows(results)
    missed = [sample(end, "missed_runs_total", location="office", reason=reason.value) or 0 for reason in MissedReason]
    assert sum(missed) == sum(row.runs for row in rows if row.origin == "missed") > 0


async def test_a_run_that_is_given_out_again_is_late_once(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=600)
    (job,) = (await worker.pull(session)).jobs
    (again,) = (await worker.pull(session, release=(job.lease,))).jobs
    assert again.delivery == 2
    shown = await scraped(plane, session)
    assert sample(shown, "lease_lateness_seconds_count", location="office") == 1


async def test_each_test_shows_its_newest_run_and_chosen_tags(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    choose(plane, SeriesChoice(tags=("env", "team")))
    hostile = 'a "shop" \\ of\ntwo lines'
    await plane.add_test(worker.location, "aaa-aaa-aaa", name=hostile, tags=("env:prod", "team:b", "team:a", "x:y"))
    await plane.add_test(worker.location, "bbb-bbb-bbb")
    await plane.add_test(worker.location, "ccc-ccc-ccc", paused=True)
    new = await made(plane)
    assert sample(new, "test_state", test="aaa-aaa-aaa") is None, "it has not run yet"
    jobs = {job.job: job for job in (await worker.pull(session)).jobs}
    (rows,) = await plane.rows(assignments)
    stored = {row.job_id: row.test_id for row in rows}
    for name, job in jobs.items():
        status = "passed" if stored[name] == "aaa-aaa-aaa" else "failed"
        await worker.push(session, item(job, status=status, timings={"total": 12.5}))
    at = plane.now() / 1000
    shown = await made(plane)
    labels = {"name": hostile, "location": "office", "env": "prod", "team": "a,b"}
    assert sample(shown, "test_state", test="aaa-aaa-aaa", **labels) == 1
    assert sample(shown, "test_duration_seconds", test="aaa-aaa-aaa") == 0.0125
    assert sample(shown, "test_last_run_timestamp_seconds", test="aaa-aaa-aaa") == at
    assert sample(shown, "test_state", test="bbb-bbb-bbb") == 0
    assert sample(shown, "test_state", test="ccc-ccc-ccc") is None
    await plane.let_pass(180)
    missed = await made(plane)
    assert sample(missed, "test_state", test="aaa-aaa-aaa") == -1
    assert sample(missed, "test_duration_seconds", test="aaa-aaa-aaa") == 0.0125, "of the run that took place"


async def test_series_beyond_the_bound_are_counted_and_said_once(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    for letter in "abcde":
        await plane.add_test(worker.location, f"{letter}aa-aaa-aaa")
    await worker.push(session, *[item(job) for job in (await worker.pull(session)).jobs])
    choose(plane, SeriesChoice(most=3))
    shown = [await made(plane), await made(plane)][1]
    assert shown.count("test_state{") == 3
    assert sample(shown, "tests_without_series") == 2
    assert [record.action for record in caplog.records].count("series_left_out") == 1  # type: ignore[attr-defined]
    choose(plane, SeriesChoice(most=0))
    assert "test_state" not in await made(plane)


async def test_the_process_is_shown(plane: Plane, session: aiohttp.ClientSession) -> None:
    plane.clock.step_wall(-60)
    plane.context.clock.now()
    shown = await scraped(plane, session)
    assert sample(shown, "clock_step_seconds") == -60
    assert sample(shown, "clock_steps_total") == 1
    assert sample(shown, "database_writable") == 1
    size = sample(shown, "database_bytes")
    assert size is not None
    assert size > 50_000


async def test_what_a_scrape_reads_is_good_for_a_second(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await scraped(plane, session)
    await worker.pull(session)
    async with session.get(f"{plane.url}/metrics") as response:
        assert sample(await response.text(), "location_up", location="office") == 0
    assert sample(await scraped(plane, session), "location_up", location="office") == 1


async def test_ready_and_healthy_mean_that_something_can_be_written(
    plane: Plane, session: aiohttp.ClientSession
) -> None:
    for path in ("/healthz", "/readyz"):
        async with session.get(plane.url + path) as response:
            assert (response.status, await response.text()) == (200, "ok\n")


async def test_what_is_counted_of_a_deleted_location_goes_with_it(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location)
    await worker.push(session, *[item(job) for job in (await worker.pull(session)).jobs])
    async with plane.database.write() as connection:
        await locations.remove(connection, worker.location)
    shown = await scraped(plane, session)
    assert 'location="office"' not in shown
    counted = plane.context.counters
    assert (counted.lateness, counted.results, counted.missed) == ({}, {}, {})


async def test_promtool_has_nothing_to_say(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    promtool = peer("promtool")
    await plane.add_test(worker.location)
    await worker.push(session, *[item(job) for job in (await worker.pull(session)).jobs])
    shown = await scraped(plane, session)
    assert "test_state{" in shown
    command = [promtool, "check", "metrics"]
    done = await asyncio.to_thread(subprocess.run, command, input=shown, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def test_alerts_and_dashboard_ask_for_figures_that_exist_and_the_guide_explains_each(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    flags = issue(trustme.CA(), tmp_path)
    files = CertificateFiles(cert=Path(flags[1]), key=Path(flags[3]), cert_option=flags[0], key_option=flags[2])
    certificate = ServedCertificate(files, plane.clock)
    plane.context = replace(plane.context, certificate=certificate)
    await plane.add_test(worker.location, period=30)
    await add_runner(plane)
    await worker.push(session, *[item(job) for job in (await worker.pull(session)).jobs])
    plane.clock.stall(3600)
    await upkeep_of(plane).turn()
    shown = {line.partition(" ")[0].partition("{")[0] for line in (await made(plane)).splitlines() if line[0] != "#"}
    monitoring = ROOT / "k8s" / "monitoring"
    asked: set[str] = set()
    for name in ("alerts.yaml", "dashboard-controlplane.json", "dashboard-runner.json", "dashboard.json"):
        asked |= set(re.findall(r"synthetics_controlplane_[a-z_]+", (monitoring / name).read_text()))
    assert len(asked) > 15
    assert asked - shown == set()
    whole = {re.sub("_(bucket|sum|count)$", "", name) for name in shown}
    guide = (ROOT / "docs" / "reference.md").read_text()
    named = {name for name in whole if f"`{name}`" in guide or f"`…{name.removeprefix(PREFIX + 'location')}`" in guide}
    assert whole - named == set()


async def test_no_scrape_reads_results_or_all_that_is_assigned(plane: Plane, worker: ProtocolWorker) -> None:
    """By SQLite's own plan: what is due is found by its index, jobs by that of open ones, tests in the order of the table."""
    await plane.add_test(worker.location)
    asked: list[str] = []
    async with plane.database.read() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        raw.set_trace_callback(asked.append)
        await gauges.of_locations(connection, now=plane.now(), seen_since=0)
        await gauges.of_tests(connection, after=("", ""), limit=10)
        await rungauges.of_runs(connection)
        raw.set_trace_callback(None)
        queries = [one for one in asked if one.lstrip().startswith("SELECT")]
        assert len(queries) == 6
        plans = [row.detail for one in queries for row in await connection.execute(text(f"EXPLAIN QUERY PLAN {one}"))]
    assert not [plan for plan in plans if "results" in plan]
    scans = [plan for plan in plans if plan.startswith("SCAN") and "assignments" in plan + "jobs" in plan]
    scans += [plan for plan in plans if plan.startswith("SCAN action_")]
    assert scans == []
