"""Workflows that tests start: real results over the wire, a clock that only the test moves, and every kill between two steps."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from controlplane.service import remediation, runners, runs, workflows
from controlplane.service.principal import operator
from controlplane.service.runners import WantedRunner
from controlplane.service.runs import RunView
from controlplane.store import starts
from controlplane.store.workflowtables import workflow_starts, workflow_triggers
from tests.integration.controlplane.plane import Plane
from tests.support.protocol import ProtocolWorker, item

BOSS = operator("tests")
TEST = "abc-def-ghi"


async def push(plane: Plane, **trigger: Any) -> None:
    """A workflow that the test starts."""
    async with plane.database.read() as connection:
        known = (await connection.execute(workflow_triggers.select())).all()
    if not known:
        wanted = WantedRunner(name="berlin", modes=("pull",), host=None, base_url="http://127.0.0.1")
        await runners.create(plane.database, plane.clock, BOSS, wanted, ttl_ms=3_600_000)
    told = {name: f"{{{{ trigger.{name} }}}}" for name in ("name", "id", "location", "code", "status")}
    definition = {
        "name": "mend",
        "runner": "berlin",
        "triggers": [{"test": {"id": TEST, "on": "failed"} | trigger}],
        "steps": [{"name": "act", "action": "script.runPredefinedScript", "input": {"parameters": told}}],
    }
    await workflows.push(plane.database, plane.clock, BOSS, definition, {})


@pytest.fixture
async def worker(plane: Plane) -> ProtocolWorker:
    worker = await plane.add_location()
    await plane.add_test(worker.location, period=30)
    return worker


async def run(plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, status: str, **outcome: Any) -> str:
    """Let the test run once; the id of its result."""
    for _ in range(20):
        await plane.let_pass(4)
        jobs = (await worker.pull(session)).jobs
        if jobs:
            sent = item(jobs[0], status=status, **outcome)
            assert (await worker.push(session, sent)).accepted == (sent.result,)
            return sent.result
    raise AssertionError("the test was never due")


async def started(plane: Plane) -> tuple[RunView, ...]:
    await remediation.carry_out(plane.database, plane.clock)
    return await runs.list_newest(plane.database, BOSS, limit=100)


async def test_a_test_that_begins_to_fail_starts_its_workflow_once(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await push(plane, after=2)
    counts = []
    for status in ("passed", "failed", "failed", "failed", "passed", "failed", "failed"):
        await run(plane, worker, session, status)
        counts.append(len(await started(plane)))
    assert counts == [0, 0, 1, 1, 1, 1, 2]
    view = (await started(plane))[0]
    assert (view.run.client, view.run.by_kind, view.run.by_id) == ("test", "test", "mend")


async def test_a_recovery_starts_a_workflow_too(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await push(plane, on="recovered")
    counts = []
    for status in ("passed", "failed", "failed", "passed", "passed"):
        await run(plane, worker, session, status)
        counts.append(len(await started(plane)))
    assert counts == [0, 0, 0, 1, 1]


async def test_missed_and_unhealthy_runs_are_no_failures(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await push(plane)
    await run(plane, worker, session, "failed", unhealthy="no name server answers")
    await plane.let_pass(600)
    await plane.sweep()
    assert await started(plane) == ()
    await run(plane, worker, session, "failed")
    assert len(await started(plane)) == 1


async def test_cooldown_and_at_most_hold_a_start_back(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await push(plane, cooldown="105s", at_most="2/h")
    counts = []
    for status in ("passed", "failed", "passed", "failed", "failed", "failed", "passed", "failed"):
        await run(plane, worker, session, status)
        counts.append(len(await started(plane)))
    assert counts == [0, 1, 1, 1, 1, 2, 2, 2]


async def test_a_kill_between_the_result_and_the_run_loses_nothing(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await push(plane)
    result = await run(plane, worker, session, "failed")
    (rows,) = await plane.rows(workflow_starts)
    assert [(row.result_id, row.pending) for row in rows] == [(result, True)]
    plane.restart()
    [view] = await started(plane)
    assert len(await started(plane)) == 1
    (rows,) = await plane.rows(workflow_starts)
    assert [(row.pending, row.run_id) for row in rows] == [(False, view.run.id)]


async def test_of_two_processes_one_carries_a_start_out(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await push(plane)
    await run(plane, worker, session, "failed")
    await asyncio.gather(*(remediation.carry_out(plane.database, plane.clock) for _ in range(4)))
    assert len(await started(plane)) == 1


async def test_starts_of_long_ago_are_forgotten_and_kept_times_move_with_the_clock(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await push(plane)
    await run(plane, worker, session, "failed")
    async with plane.database.write() as connection:
        [before] = await starts.pending(connection)
        await starts.shift(connection, by=-5_000)
        [after] = await starts.pending(connection)
        assert before.at - after.at == 5_000
        assert await starts.prune(connection, before=after.at, limit=10) == 0
        assert await starts.prune(connection, before=after.at + 1, limit=10) == 1
        assert await starts.pending(connection) == []


async def test_the_input_says_which_test_failed_and_where(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await push(plane)
    await run(plane, worker, session, "failed")
    [view] = await started(plane)
    shown = await runs.show(plane.database, BOSS, view.run.id)
    assert [(step.attempt.name, step.task.state.value) for step in shown.steps] == [("act", "queued")]
    assert shown.steps[0].attempt.input_sha256 != ""


async def test_what_cannot_be_started_is_written_down_and_not_tried_again(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await push(plane)
    await runners.set_state(plane.database, plane.clock, BOSS, "berlin", "disabled")
    await run(plane, worker, session, "failed")
    assert await started(plane) == ()
    (rows,) = await plane.rows(workflow_starts)
    assert [(row.pending, row.run_id, row.reason) for row in rows] == [(False, None, "runner 'berlin' is disabled")]


async def test_a_start_that_was_written_by_hand_starts_nothing(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await push(plane)
    passed = await run(plane, worker, session, "passed")
    (triggers,) = await plane.rows(workflow_triggers)
    row = {"workflow_id": triggers[0].workflow_id, "at": plane.now(), "location_id": "x", "code": "", "pending": True}
    async with plane.database.write() as connection:
        for number, result in ((0, passed), (0, "none"), (7, passed)):
            planted = row | {"number": number, "result_id": result}
            await connection.execute(workflow_starts.insert().values(planted))
    assert await started(plane) == ()


async def test_pushing_the_same_file_again_starts_nothing_anew(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await push(plane)
    await run(plane, worker, session, "failed")
    assert len(await started(plane)) == 1
    await push(plane)
    await run(plane, worker, session, "failed")
    assert len(await started(plane)) == 1
    await workflows.set_paused(plane.database, plane.clock, BOSS, "mend", paused=True)
    await run(plane, worker, session, "passed")
    await run(plane, worker, session, "failed")
    assert len(await started(plane)) == 1
