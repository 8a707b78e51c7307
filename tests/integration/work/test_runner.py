"""A run from definition to result, with a real door, a real target and real evaluators."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import orjson
import pytest

from tests.integration.work.runners import LIMITS, definition, runner
from tests.support.jobs import job
from tests.support.servers.target import Target, running_target
from worker.apitest.bounds import MAX_OUTCOME_BYTES
from worker.apitest.observation import Observation
from worker.apitest.parse import parse
from worker.apitest.result import Result, Status
from worker.outcome.failure import Failure, FailureCode
from worker.outcome.phases import Timings
from worker.work import tests as kinds
from worker.work.runner import RunLimits

SCHEDULED = 1_700_000_000_000


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with running_target() as running:
        yield running


async def carry_out(test: object, limits: RunLimits = LIMITS, *, start_by: int = 60_000) -> Result:
    async with runner(limits) as running:
        return await running.carry_out(
            job(test=test, scheduled_at=SCHEDULED, start_by=start_by), running._clock.monotonic_ns() - 1_000_000
        )


async def test_a_run_carries_its_times_in_order(target: Target) -> None:
    result = await carry_out(definition(target.url))
    assert result.status is Status.PASSED
    assert result.scheduled_at is not None
    assert result.leased_at is not None
    assert result.started_at is not None
    assert result.finished_at is not None
    assert result.scheduled_at < result.leased_at <= result.started_at <= result.finished_at
    assert (result.test_public_id, result.worker_id, result.worker_version) == ("abc-def-ghi", "worker", "1")


async def test_assertions_keep_their_order_wherever_they_are_judged(target: Target) -> None:
    result = await carry_out(
        definition(
            target.url,
            {"type": "body", "operator": "matches", "target": "o[kK]"},
            {"type": "statusCode", "operator": "is", "target": 200},
            {
                "type": "body",
                "operator": "validatesXPath",
                "target": {"xPath": "//a", "operator": "is", "targetValue": "x"},
            },
            {"type": "body", "operator": "contains", "target": "status"},
        )
    )
    assert [(entry.operator, entry.valid) for entry in result.assertions] == [
        ("matches", True),
        ("is", True),
        ("validatesXPath", False),
        ("contains", True),
    ]
    assert result.failure is not None
    assert [entry["operator"] for entry in orjson.loads(result.failure.message)] == ["validatesXPath"]


async def test_a_job_that_comes_too_late_is_missed_and_not_run(target: Target) -> None:
    target.hits.clear()
    result = await carry_out(definition(target.url + "/late"), start_by=0)
    assert (result.status, result.started_at, dict(target.hits)) == (Status.MISSED, None, {})


@pytest.mark.parametrize("broken", [{}, {"type": "api"}, [], "text", {"type": "api", "subtype": "http", "config": 3}])
async def test_what_is_no_test_ends_as_invalid_test(broken: object) -> None:
    result = await carry_out(broken)
    assert result.failure is not None
    assert (result.status.value, result.failure.code.value) == ("failed", "INVALID_TEST")


async def test_what_this_version_cannot_do_is_named_and_not_half_done(target: Target) -> None:
    target.hits.clear()
    result = await carry_out(definition(target.url, {"type": "telepathy", "operator": "is"}))
    assert result.failure is not None
    assert result.failure.code.value == "REQUIRES_UPDATE"
    assert "'telepathy' is not known" in result.failure.message
    assert dict(target.hits) == {}


async def test_the_operators_limit_caps_the_tests_own(target: Target) -> None:
    short = replace(LIMITS, max_timeout=0.2)
    try:
        result = await carry_out(definition(target.url + "/held", timeout=30), short)
    finally:
        target.release.set()
        target.release.clear()
    assert result.failure is not None
    assert result.failure.code.value == "TIMEOUT"
    assert result.timings.total_tenths < 10_000


@pytest.mark.parametrize("leased", [True, False])
async def test_a_bug_of_the_worker_costs_one_result_and_leaves_a_trace(
    leased: bool, target: Target, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("worker.work.runner.probe", broken)
    if leased:
        result = await carry_out(definition(target.url))
    else:
        async with runner() as running:
            result = await running.run(parse(definition(target.url)))
    assert result.failure is not None
    assert result.failure.code.value == "INTERNAL_ERROR"
    assert "a bug" not in result.failure.message
    assert result.unhealthy == result.failure.message, "the probe's trouble is never the target's"
    assert [getattr(record, "action", "") for record in caplog.records] == ["run_crashed"]


async def test_a_run_that_memory_ended_is_the_workers_trouble_and_no_more_is_taken(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_large(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("worker.work.runner.probe", too_large)
    async with runner() as running:
        result = await running.run(parse(definition(target.url)))
        assert running._vitals.shortage == "memory"
    assert result.unhealthy


async def test_a_probe_that_this_machine_kept_from_its_target_is_unhealthy(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    lack = Failure(FailureCode.INTERNAL_ERROR, "127.0.0.1:1: the worker has no file descriptor left")

    async def short(*_: object) -> Observation:
        return Observation(timings=Timings(), failure=lack)

    monkeypatch.setattr("worker.work.runner.probe", short)
    result = await carry_out(definition(target.url))
    assert result.failure == lack
    assert result.unhealthy == lack.message


async def test_a_cancelled_run_ends_at_once(target: Target) -> None:
    async with runner() as running:
        target.held.clear()
        task = asyncio.create_task(
            running.carry_out(job(test=definition(target.url + "/held")), running._clock.monotonic_ns())
        )
        await asyncio.to_thread(target.held.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 1)
    target.release.set()
    target.release.clear()


async def test_a_result_is_json_that_another_program_can_read(target: Target) -> None:
    result = await carry_out(definition(target.url, {"type": "body", "operator": "contains", "target": "ok"}))
    outcome = orjson.loads(orjson.dumps(result.as_json()))
    assert outcome["test"]["public_id"] == "abc-def-ghi"
    assert outcome["response"]["status_code"] == 200
    assert outcome["response"]["body"] == '{"status": "ok"}'
    assert outcome["scheduled_at"] == SCHEDULED


REDIRECTS = 10


async def lead_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Redirect ten times to 60 kB of quotation marks, then fail."""
    number = int((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].partition(b"?")[0][1:])
    if number < REDIRECTS:
        location = b"/%d?%s" % (number + 1, b'"' * 60_000)
        writer.write(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n" % location)
    else:
        writer.write(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    writer.close()


async def test_a_target_cannot_hide_its_failure_behind_long_redirects() -> None:
    server = await asyncio.start_server(lead_on, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    test = definition(url) | {"options": {"follow_redirects": True}}
    async with server, runner() as running:
        sent = await kinds.Tests(running).run(job(test=test, scheduled_at=SCHEDULED), running._clock.monotonic_ns())
    outcome = orjson.loads(sent)
    assert len(sent) <= MAX_OUTCOME_BYTES
    assert (outcome["status"], outcome["failure"]["code"]) == ("failed", "INCORRECT_ASSERTION")
    assert outcome["response"]["status_code"] == 500
    assert len(outcome["response"]["redirects"]) == REDIRECTS
    assert outcome["cut"] == ["response"]
