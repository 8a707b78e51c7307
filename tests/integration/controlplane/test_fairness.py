"""Slots that are scarce: the oldest run first, no test in everybody's way, and after an absence no crowd and nothing stale."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import aiohttp
import pytest

from controlplane.store.tables import assignments, jobs, results
from tests.integration.controlplane.plane import Plane
from tests.support.definitions import http_test
from tests.support.protocol import ProtocolWorker, item
from tests.support.public_api import PublicAPI
from worker.wire.messages import Job

TRIGGER = "/api/v1/synthetics/tests/trigger"


@pytest.fixture
async def worker(plane: Plane) -> ProtocolWorker:
    return await plane.add_location()


async def one_slot(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, turns: int, *, seconds: int = 1
) -> list[str]:
    """The tests that a location of one slot runs, each of which takes *seconds*."""
    ran = []
    for _ in range(turns):
        (job,) = (await worker.pull(session, free_slots=1)).jobs
        ran.append(json.loads(bytes(job.test))["public_id"])
        await plane.let_pass(seconds)
        await worker.push(session, item(job))
    return ran


async def test_a_test_that_is_asked_for_many_times_does_not_keep_others_waiting(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, api: PublicAPI
) -> None:
    greedy = http_test("greedy", public_id="gre-gre-gre", locations=[worker.location], tick_every=604_800)
    await api.post("/api/v1/synthetics/tests/api", greedy | {"status": "paused"})
    (row,) = (await api.get("/api/v1/synthetics/tests"))["tests"]
    for _ in range(4):
        await api.post(TRIGGER, {"tests": [{"public_id": row["public_id"]}] * 5})
    plane.clock.stall(1)
    for letter in "abc":
        await plane.add_test(worker.location, f"{letter}aa-aaa-aaa", period=604_800)
        plane.clock.stall(1)
    ran = await one_slot(plane, worker, session, 8)
    assert ran[0] == row["public_id"], "it waits longest"
    assert ran[1:4] == ["aaa-aaa-aaa", "baa-aaa-aaa", "caa-aaa-aaa"]
    assert set(ran[4:]) == {row["public_id"]}


async def test_with_too_few_slots_each_scheduled_test_has_its_turn(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    """Ten tests want a run each half minute, and one slot runs six of them: the oldest due goes first, so that none gets less
    than half of its runs. More than that depends on the tests' phases, which go by the location's random id.
    """
    tests = [f"{letter}aa-aaa-aaa" for letter in "abcdefghij"]
    for test in tests:
        await plane.add_test(worker.location, test, period=30)
    ran = Counter(await one_slot(plane, worker, session, 60, seconds=5))
    assert set(ran) == set(tests)
    assert min(ran.values()) >= 5, ran
    missed = [row for row in (await plane.rows(results))[0] if row.origin == "missed"]
    assert {json.loads(row.outcome)["unhealthy"] for row in missed} == {
        "every worker was full, draining or in trouble in its period"
    }


async def test_after_an_absence_each_test_has_one_run_and_workers_take_no_more_than_they_have_room_for(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    for letter in "abcdefgh":
        await plane.add_test(worker.location, f"{letter}aa-aaa-aaa", period=60)
    await one_slot(plane, worker, session, 8)
    plane.clock.stall(7200)
    plane.restart()
    await plane.sweep()
    given: list[Job] = []
    while reply := (await worker.pull(session, free_slots=3)).jobs:
        assert len(reply) <= 3
        given += reply
        await worker.push(session, *[item(job) for job in reply])
    assert len({job.job for job in given}) == len({bytes(job.test) for job in given}) == 8, "one run of each test"
    assert all(plane.now() - job.scheduled_at < 60_000 for job in given), (
        "nothing is older than the period that goes on"
    )
    (due,) = await plane.rows(assignments)
    spread = sorted(row.due_at % 60_000 for row in due)
    assert len(set(spread)) == 8, "the runs after it are in the tests' own phases"


async def test_each_run_has_its_five_times(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, api: PublicAPI
) -> None:
    await plane.add_test(worker.location)
    scheduled = plane.now()
    plane.clock.stall(2)
    (job,) = (await worker.pull(session)).jobs
    leased = plane.now()
    plane.clock.stall(3)
    times: dict[str, Any] = {
        "scheduled_at": scheduled,
        "leased_at": leased,
        "started_at": leased + 100,
        "finished_at": leased + 900,
    }
    await worker.push(session, item(job, **times))
    reported = plane.now()
    (row,) = (await plane.rows(jobs))[0]
    assert (row.scheduled_at, row.leased_at) == (scheduled, leased)
    (page,) = (await api.get("/api/v2/synthetics/tests/abc-def-ghi/results"))["data"]
    found = (await api.get(f"/api/v2/synthetics/tests/abc-def-ghi/results/{page['id']}"))["data"]["attributes"][
        "result"
    ]
    assert {name: found[name] for name in (*times, "reported_at")} == times | {"reported_at": reported}
