"""What few clients ask for: the cap of runs on demand, uptimes, and results as older clients poll them."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from controlplane.service import upkeep
from controlplane.store.tables import audit, batches, results, triggered
from tests.integration.controlplane.plane import Plane
from tests.support.clock import FakeClock
from tests.support.protocol import item
from tests.support.public_api import PublicAPI

TESTS = "/api/v1/synthetics/tests"
CAP = "/api/v2/synthetics/settings/on_demand_concurrency_cap"


class Still(FakeClock):
    """A clock that stands: who rests goes on at the next turn of the loop."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


async def test_the_cap_holds_triggered_runs_back_and_no_scheduled_ones(
    plane: Plane, api: PublicAPI, session: aiohttp.ClientSession
) -> None:
    worker = await plane.add_location()
    stored = await plane.add_test(worker.location)
    set_to = await api.post(CAP, {"on_demand_concurrency_cap": 2})
    assert set_to == await api.get(CAP)
    assert set_to["data"]["attributes"] == {"on_demand_concurrency_cap": 2}
    assert await api.get("/api/v1/synthetics/settings") == {"onDemandConcurrencyCap": 2}
    await api.post(f"{TESTS}/trigger/ci", {"tests": [{"public_id": stored.public_id}] * 3})

    first = (await worker.pull(session)).jobs
    assert len(first) == 3, "one that was due, and two of those that were asked for"
    held = tuple(job.lease for job in first)
    assert (await worker.pull(session, holding=held)).jobs == ()
    await worker.push(session, *(item(job) for job in first))
    assert len((await worker.pull(session)).jobs) == 1


@pytest.mark.parametrize("number", [-1, 100_001, "2", None])
async def test_a_cap_of_another_kind_is_refused(api: PublicAPI, number: object) -> None:
    assert (await api.call("POST", CAP, {"on_demand_concurrency_cap": number})).status == 400


async def test_an_uptime_is_told_by_the_results(plane: Plane, api: PublicAPI, session: aiohttp.ClientSession) -> None:
    worker = await plane.add_location()
    stored = await plane.add_test(worker.location, paused=True)
    begin = plane.now() // 1000
    for status in ("passed", "failed"):
        await api.post(f"{TESTS}/trigger", {"tests": [{"public_id": stored.public_id}]})
        (job,) = (await worker.pull(session)).jobs
        await worker.push(session, item(job, status=status))
        plane.clock.stall(100)
    asked = {"public_ids": [stored.public_id], "from_ts": begin, "to_ts": begin + 200}
    (found,) = await api.post(f"{TESTS}/uptimes", asked)
    assert (found["public_id"], found["overall"]["name"]) == (stored.public_id, "test abc-def-ghi")
    assert [state for _, state in found["overall"]["history"]] == [0, 1]
    assert found["overall"]["uptime"] == 50.0
    assert (await api.call("POST", f"{TESTS}/uptimes", asked | {"public_ids": []})).status == 400
    assert (await api.call("POST", f"{TESTS}/uptimes", asked | {"public_ids": ["zzz-zzz-zzz"]})).status == 404
    assert (await api.call("POST", f"{TESTS}/uptimes", asked | {"to_ts": 0})).status == 400


async def test_older_clients_poll_results_of_version_1(
    plane: Plane, api: PublicAPI, session: aiohttp.ClientSession
) -> None:
    worker = await plane.add_location()
    stored = await plane.add_test(worker.location, paused=True)
    made = await api.post(f"{TESTS}/trigger/ci", {"tests": [{"public_id": stored.public_id}]})
    ids = json.dumps([made["results"][0]["result_id"]])
    (early,) = (await api.get(f"{TESTS}/poll_results", result_ids=ids))["results"]
    assert early["result"] == {"eventType": "created"}
    (job,) = (await worker.pull(session)).jobs
    await worker.push(session, item(job))
    (late,) = (await api.get(f"{TESTS}/poll_results", result_ids=ids))["results"]
    assert (late["resultID"], late["result"]["passed"], late["check"]["subtype"]) == (json.loads(ids)[0], True, "http")


async def test_what_is_old_goes_with_its_results_and_the_audit_log_stays_for_longer(
    plane: Plane, api: PublicAPI, session: aiohttp.ClientSession
) -> None:
    worker = await plane.add_location()
    stored = await plane.add_test(worker.location, paused=True)
    await api.post(f"{TESTS}/trigger/ci", {"tests": [{"public_id": stored.public_id}]})
    (job,) = (await worker.pull(session)).jobs
    await worker.push(session, item(job))
    day = 24 * 3600
    clock = Still()

    async def left_after(days: int) -> list[int]:
        clock.stall(days * day)
        retention = 30 * day * 1000
        ageing = await upkeep.age(plane.database, clock, retention=retention, passed=days * day * 1000)
        await upkeep.prune(plane.database, clock, ageing, retention=retention)
        return [len(rows) for rows in await plane.rows(triggered, batches, results, audit)]

    # The log: a key was made, and a test was triggered.
    assert await left_after(29) == [1, 1, 1, 2]
    assert await left_after(2) == [0, 0, 0, 2]
    for _ in range(15):
        last = await left_after(29)
    assert last == [0, 0, 0, 0]
