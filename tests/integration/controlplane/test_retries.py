"""Failed runs that are executed once more after a long wait: by a job of their own, which no slot waits for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from controlplane.leases import LEASE_TTL, MAX_FAILED
from controlplane.service import definitions, results, tests
from controlplane.service.principal import operator
from controlplane.store import sweep
from controlplane.store.results import Filter
from controlplane.store.tables import results as results_table
from tests.integration.controlplane.plane import Plane
from tests.support.definitions import http_test
from tests.support.protocol import ProtocolWorker, item
from worker.wire.messages import Job

WAIT = 60
"""Seconds between two executions."""


@pytest.fixture
async def worker(plane: Plane) -> ProtocolWorker:
    worker = await plane.add_location()
    await push(plane)
    await plane.let_pass(LEASE_TTL // 1000)
    return worker


async def push(plane: Plane, *, count: int = 2, interval: int = WAIT * 1000, **changes: Any) -> None:
    options = {"tick_every": 600, "retry": {"count": count, "interval": interval}}
    content = http_test("tried", public_id="abc-def-ghi") | {"options": options} | changes
    await tests.push(
        plane.database, plane.clock, operator("somebody"), [definitions.check("test", content)], places=["office"]
    )


async def run(worker: ProtocolWorker, session: aiohttp.ClientSession, status: str) -> Job:
    """Take the one job that is there, and say how it went."""
    (job,) = (await worker.pull(session)).jobs
    sent = item(job, status=status)
    assert (await worker.push(session, sent)).accepted == (sent.result,)
    return job


async def stored(plane: Plane) -> list[tuple[int, str, bool]]:
    (rows,) = await plane.rows(results_table)
    return [(row.attempt, row.status, row.is_last) for row in rows]


async def wait(plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, seconds: int) -> None:
    """Time in which the worker lives, has all its slots free, and is given nothing."""
    for _ in range(seconds // 4):
        await plane.let_pass(4)
        assert (await worker.pull(session)).jobs == ()


async def test_a_failed_run_is_executed_again_after_its_wait_and_judged_by_the_last_execution(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    first = await run(worker, session, "failed")
    assert await stored(plane) == [(1, "failed", False)]
    await wait(plane, worker, session, WAIT - 4)
    await plane.let_pass(4)
    other = worker.another()
    second = await run(other, session, "passed")
    assert (second.scheduled_at, second.delivery) == (first.scheduled_at, 1)
    assert second.job != first.job
    assert await stored(plane) == [(1, "failed", False), (2, "passed", True)]
    one, two = (await plane.rows(results_table))[0]
    assert (one.initial_id, two.initial_id) == (None, one.id)
    await wait(plane, worker, session, 120)


async def test_there_are_as_many_further_executions_as_the_test_says(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    for _ in range(3):
        await run(worker, session, "failed")
        await plane.let_pass(WAIT)
    assert (await worker.pull(session)).jobs == ()
    assert await stored(plane) == [(1, "failed", False), (2, "failed", False), (3, "failed", True)]
    rows = (await plane.rows(results_table))[0]
    assert {row.initial_id for row in rows[1:]} == {rows[0].id}
    failed = await results.newest(plane.database, operator("somebody"), Filter(failed=True), limit=10)
    assert [one.attempt for one in failed.results] == [3]


@pytest.mark.parametrize("how", [{"interval": 5_000}, {"count": 0}])
async def test_what_waits_in_a_slot_or_never_is_not_the_control_planes(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, how: dict[str, int]
) -> None:
    await push(plane, **how)
    await run(worker, session, "failed")
    assert await stored(plane) == [(1, "failed", True)]


async def test_a_run_that_passed_is_not_executed_again(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await run(worker, session, "passed")
    assert await stored(plane) == [(1, "passed", True)]
    await wait(plane, worker, session, WAIT + 8)


async def test_a_reply_that_was_lost_loses_no_execution(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await run(worker, session, "failed")
    await plane.let_pass(WAIT)
    (lost,) = (await worker.pull(session)).jobs
    again = await run(worker, session, "passed")
    assert (again.job, again.delivery) == (lost.job, 2)
    assert await stored(plane) == [(1, "failed", False), (2, "passed", True)]


async def test_the_execution_before_decides_where_nobody_takes_the_next_one(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await run(worker, session, "failed")
    await plane.let_pass(WAIT + 600 + 300)
    assert (1, "failed", True) in await stored(plane)
    (rows,) = await plane.rows(results_table)
    assert [row.origin for row in rows if row.job_id is not None] == ["worker"], "the run has its result and no note"
    job = await run(worker, session, "passed")
    assert job.scheduled_at > rows[0].scheduled_at


async def test_the_execution_before_decides_where_workers_die_of_the_next_one_until_that_comes_after_all(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await run(worker, session, "failed")
    await plane.let_pass(WAIT)
    for _ in range(MAX_FAILED):
        victim = worker.another()
        (job,) = (await victim.pull(session)).jobs
        await plane.let_pass(LEASE_TTL // 1000 + 1)
    await plane.sweep()
    assert await stored(plane) == [(1, "failed", True)]
    late = item(job, status="passed")
    assert (await victim.push(session, late)).accepted == (late.result,)
    assert await stored(plane) == [(1, "failed", False), (2, "passed", True)]


async def edit(plane: Plane) -> None:
    await push(plane, message="changed")


async def pause(plane: Plane) -> None:
    await tests.set_paused(plane.database, plane.clock, operator("somebody"), "tried", paused=True)


@pytest.mark.parametrize(("change", "due"), [(edit, 1), (pause, 0)])
async def test_a_change_of_the_test_ends_the_waiting(
    plane: Plane,
    worker: ProtocolWorker,
    session: aiohttp.ClientSession,
    change: Callable[[Plane], Awaitable[None]],
    due: int,
) -> None:
    first = await run(worker, session, "failed")
    await change(plane)
    assert await stored(plane) == [(1, "failed", True)]
    jobs = (await worker.pull(session)).jobs
    assert len(jobs) == due
    assert all(job.scheduled_at > first.scheduled_at for job in jobs)


async def test_a_paused_tests_failed_run_is_its_last(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    (job,) = (await worker.pull(session)).jobs
    await pause(plane)
    await worker.push(session, item(job, status="failed"))
    assert await stored(plane) == [(1, "failed", True)]


async def test_a_failed_run_is_not_shown_as_the_last_while_the_next_execution_is_awaited(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await run(worker, session, "failed")
    (one,) = await tests.list_page(plane.database, operator("somebody"), offset=0, limit=100_000)
    assert [(place.last_status, place.running) for place in one.assignments] == [(None, True)]


async def test_a_step_of_the_clock_moves_the_wait_along(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:

    await run(worker, session, "failed")
    async with plane.database.write() as connection:
        await sweep.shift(connection, by=-WAIT * 1000)
    await plane.let_pass(4)
    assert len((await worker.pull(session)).jobs) == 1
