"""Runs on demand that failed and are executed once more after a long wait: by their own definition, within their own time."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from controlplane.store.tables import assignments, jobs, results
from tests.integration.controlplane.plane import Plane
from tests.support.protocol import ProtocolWorker, item
from tests.support.public_api import PublicAPI
from worker.wire.messages import Job

CI = "/api/v1/synthetics/tests/trigger/ci"
WAIT = 60
"""Seconds between two executions."""
RETRY = {"count": 2, "interval": WAIT * 1000}


@pytest.fixture
async def worker(plane: Plane) -> ProtocolWorker:
    return await plane.add_location()


@pytest.fixture
async def test_id(plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession) -> str:
    """A test that asks for no retries, and whose scheduled run is over."""
    stored = await plane.add_test(worker.location, period=604_800)
    (job,) = (await worker.pull(session)).jobs
    await worker.push(session, item(job))
    return stored.public_id


async def trigger(api: PublicAPI, test_id: str, **options: Any) -> str:
    """The batch of one run that is to be executed twice more."""
    made = await api.post(CI, {"tests": [{"public_id": test_id, "retry": RETRY}], "options": options})
    return str(made["batch_id"])


async def row_of(api: PublicAPI, batch: str) -> Any:
    (row,) = (await api.get(f"/api/v1/synthetics/ci/batch/{batch}"))["data"]["results"]
    return row


async def run(worker: ProtocolWorker, session: aiohttp.ClientSession, status: str) -> Job:
    (job,) = (await worker.pull(session)).jobs
    sent = item(job, status=status)
    assert (await worker.push(session, sent)).accepted == (sent.result,)
    return job


async def told(api: PublicAPI, batch: str) -> tuple[str, int | None, bool | None]:
    row = await row_of(api, batch)
    return row["status"], row["retries"], row["timed_out"]


async def asked(plane: Plane) -> list[tuple[int, str, bool]]:
    """The results of the run on demand, behind that of the scheduled one."""
    ((_, *rows),) = await plane.rows(results)
    return [(row.attempt, row.status, row.is_last) for row in rows]


async def test_it_is_in_progress_until_its_last_execution_which_decides(
    plane: Plane, api: PublicAPI, worker: ProtocolWorker, session: aiohttp.ClientSession, test_id: str
) -> None:
    batch = await trigger(api, test_id)
    first = await run(worker, session, "failed")
    assert await told(api, batch) == ("in_progress", None, None)
    await plane.let_pass(WAIT - 1)
    assert (await worker.pull(session)).jobs == (), "its wait is not over, and no slot waits for it"
    await plane.let_pass(1)
    second = await run(worker.another(), session, "passed")
    assert (second.scheduled_at, bytes(second.test)) == (first.scheduled_at, bytes(first.test))
    assert await told(api, batch) == ("passed", 1, False)
    assert (await row_of(api, batch))["max_retries"] == 2
    assert await asked(plane) == [(1, "failed", False), (2, "passed", True)]
    polled = await api.get(
        "/api/v2/synthetics/tests/poll_results", result_ids=json.dumps([(await row_of(api, batch))["result_id"]])
    )
    assert polled["data"][0]["attributes"]["result"]["status"] == "passed"


async def test_it_has_failed_once_all_its_executions_have(
    plane: Plane, api: PublicAPI, worker: ProtocolWorker, session: aiohttp.ClientSession, test_id: str
) -> None:
    batch = await trigger(api, test_id)
    for _ in range(3):
        await run(worker, session, "failed")
        await plane.let_pass(WAIT)
    assert await told(api, batch) == ("failed", 2, False)
    assert (await worker.pull(session)).jobs == ()
    ((own,),) = await plane.rows(assignments)
    assert own.last_status == "passed", "the test's own state is that of its scheduled runs"


async def test_what_could_not_begin_within_the_batchs_time_is_not_awaited(
    plane: Plane, api: PublicAPI, worker: ProtocolWorker, session: aiohttp.ClientSession, test_id: str
) -> None:
    batch = await trigger(api, test_id, batch_timeout=WAIT * 1000)
    await run(worker, session, "failed")
    assert await told(api, batch) == ("failed", 0, False)


async def test_the_execution_before_decides_where_nobody_takes_the_next_one_until_that_comes_after_all(
    plane: Plane, api: PublicAPI, worker: ProtocolWorker, session: aiohttp.ClientSession, test_id: str
) -> None:
    batch = await trigger(api, test_id, batch_timeout=(WAIT + 10) * 1000)
    await run(worker, session, "failed")
    await plane.let_pass(WAIT)
    (late,) = (await worker.pull(session)).jobs
    await plane.let_pass(40)
    assert await told(api, batch) == ("failed", 0, False)
    assert await asked(plane) == [(1, "failed", True)]
    sent = item(late, status="passed")
    assert (await worker.push(session, sent)).accepted == (sent.result,)
    assert await told(api, batch) == ("passed", 1, False)


async def test_a_change_of_the_test_does_not_touch_it(
    plane: Plane, api: PublicAPI, worker: ProtocolWorker, session: aiohttp.ClientSession, test_id: str
) -> None:
    batch = await trigger(api, test_id)
    await run(worker, session, "failed")
    await plane.add_test(worker.location, period=604_800, version=2)
    await plane.let_pass(WAIT)
    for job in (await worker.pull(session)).jobs:
        await worker.push(session, item(job))
    assert await told(api, batch) == ("passed", 1, False)


async def test_its_retry_waits_in_nobodys_way(
    plane: Plane, api: PublicAPI, worker: ProtocolWorker, session: aiohttp.ClientSession, test_id: str
) -> None:
    """The test's next scheduled run does not wait for it, and a wait takes no room under the cap."""
    await api.post("/api/v2/synthetics/settings/on_demand_concurrency_cap", {"on_demand_concurrency_cap": 1})
    await trigger(api, test_id)
    await run(worker, session, "failed")
    await trigger(api, test_id)
    await run(worker, session, "passed")
    (rows,) = await plane.rows(jobs)
    assert [(row.attempt, row.worker) for row in rows if row.closed is None] == [(2, None)]
    ((own,),) = await plane.rows(assignments)
    assert own.job_id is None
