"""A test with time frames in a running control plane: given out inside of them, and nothing missed outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from controlplane.service import definitions, locations, tests, triggers
from controlplane.service.principal import operator
from controlplane.service.tests import Change
from controlplane.store.tables import assignments, results
from tests.integration.controlplane.plane import Plane
from tests.integration.controlplane.typed import Run
from tests.support.definitions import http_test
from tests.support.protocol import ProtocolWorker, item
from worker.wire.messages import Job

SOON = [{"day": 5, "from": "03:10", "to": "03:12"}]
"""The clock of these tests begins on a Friday, 2026-01-02, at 03:04:05 UTC."""


@pytest.fixture
async def worker(plane: Plane) -> ProtocolWorker:
    return await plane.add_location()


async def push(plane: Plane, frames: list[dict[str, Any]], zone: str = "UTC", **changes: Any) -> Change:
    options = {"tick_every": 30, "scheduling": {"timeframes": frames, "timezone": zone}}
    checked = definitions.check("test", http_test("framed") | {"options": options} | changes)
    (pushed,) = await tests.push(plane.database, plane.clock, operator("somebody"), [checked], places=["office"])
    return pushed.change


async def run_for(plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, minutes: int) -> list[Job]:
    given: list[Job] = []
    for _ in range(minutes * 15):
        await plane.let_pass(4)
        jobs = (await worker.pull(session)).jobs
        if jobs:
            await worker.push(session, *(item(job) for job in jobs))
        given += jobs
    return given


async def test_a_test_runs_inside_of_its_frames_and_misses_nothing_outside(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await push(plane, SOON)
    assert (await worker.pull(session)).jobs == ()
    given = await run_for(plane, worker, session, 10)
    times = [(job.scheduled_at // 1000 % 86_400) / 60 - 3 * 60 for job in given]
    assert len(given) == 4
    assert all(10 <= minute < 12 for minute in times)
    (stored,) = await plane.rows(results)
    assert [row.origin for row in stored] == ["worker"] * 4


async def test_a_job_may_not_start_after_its_frame(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await push(plane, [{"day": 5, "from": "03:04", "to": "03:05"}])
    (job,) = (await worker.pull(session)).jobs
    assert job.start_by <= 55_000


async def test_what_is_asked_for_runs_at_once_outside_of_its_frames(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await push(plane, SOON)
    before = await plane.rows(assignments)
    assert await triggers.trigger_one(plane.database, plane.clock, operator("somebody"), "framed") == ("office",)
    (job,) = (await worker.pull(session)).jobs
    await worker.push(session, item(job))
    assert await plane.rows(assignments) == before, "the schedule goes on as it was"


async def test_frames_that_a_push_changes_count_from_then_on(plane: Plane, worker: ProtocolWorker) -> None:
    assert await push(plane, SOON) is Change.ADDED
    assert await push(plane, SOON) is Change.UNCHANGED
    assert await push(plane, SOON, zone="Europe/Berlin") is Change.UPDATED
    (row,) = (await plane.rows(assignments))[0]
    assert row.due_at >= plane.now() + 6 * 86_400_000, "03:10 in Berlin has been"


async def test_a_location_that_is_enabled_again_keeps_to_the_frames(plane: Plane, worker: ProtocolWorker) -> None:
    await push(plane, SOON)
    for enabled in (False, True):
        await locations.set_enabled(plane.database, plane.clock, operator("somebody"), "office", enabled=enabled)
    (row,) = (await plane.rows(assignments))[0]
    assert 5 * 60_000 < row.due_at - plane.now() < 8 * 60_000


async def test_mending_leaves_alone_what_its_frames_alone_put_far_ahead(plane: Plane, worker: ProtocolWorker) -> None:
    await push(plane, [{"day": 4, "from": "03:10", "to": "03:12"}])
    before = await plane.rows(assignments)
    await plane.sweep(mend=True)
    assert await plane.rows(assignments) == before


def test_a_time_zone_without_rules_is_a_mistake(run: Run, location: str, tmp_path: Path) -> None:
    scheduling = {"timeframes": SOON, "timezone": "Europe/Nowhere"}
    definition = http_test() | {"options": {"tick_every": 60, "scheduling": scheduling}}
    (tmp_path / "test.json").write_text(json.dumps(definition))
    said = run("test", "push", "test.json", "--location", "office", code=2).output
    assert "options.scheduling.timezone: 'Europe/Nowhere' is not a known time zone" in said
