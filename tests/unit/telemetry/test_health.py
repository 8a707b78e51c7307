"""Health: alive means that the poller makes progress, ready that the control plane answered lately."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from tests.support.clock import FakeClock
from tests.support.waiting import until
from worker.telemetry.health import PATIENCE, READY_FOR, Health
from worker.telemetry.metrics import Metrics
from worker.telemetry.status import status_application, status_server


class Readings:
    quiet_until_ns = 0
    last_reply_ns: int | None = None


def health_of(clock: FakeClock, readings: Readings) -> Health:
    return Health(
        clock, quiet_until_ns=lambda: readings.quiet_until_ns, last_signed_reply_ns=lambda: readings.last_reply_ns
    )


async def test_a_poller_that_backs_off_is_alive_and_one_that_hangs_is_not() -> None:
    clock, readings = FakeClock(), Readings()
    health = health_of(clock, readings)
    readings.quiet_until_ns = 60_000_000_000
    await clock.advance(60 + PATIENCE - 1)
    assert health.alive
    await clock.advance(2)
    assert not health.alive


async def test_ready_needs_a_signed_reply_of_late() -> None:
    clock, readings = FakeClock(), Readings()
    health = health_of(clock, readings)
    answers = [health.ready]
    readings.last_reply_ns = 0
    answers.append(health.ready)
    await clock.advance(READY_FOR)
    answers.append(health.ready)
    assert answers == [False, True, False]


async def test_the_liveness_file_holds_epoch_milliseconds_and_stops_with_the_poller(tmp_path: Path) -> None:
    clock, readings = FakeClock(), Readings()
    readings.quiet_until_ns = 5_000_000_000
    path = tmp_path / "liveness.date"
    task = asyncio.ensure_future(health_of(clock, readings).keep_liveness_file(path))
    await until_sleeping(clock)
    assert int(path.read_text()) == round(clock.now().timestamp() * 1000)
    path.unlink()
    await clock.advance(5 + PATIENCE)
    await until_sleeping(clock)
    path.unlink(missing_ok=True)
    await clock.advance(3)
    await until_sleeping(clock)
    assert not path.exists()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_liveness_file_that_cannot_be_written_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, readings = FakeClock(), Readings()
    readings.quiet_until_ns = 100_000_000_000
    task = asyncio.ensure_future(health_of(clock, readings).keep_liveness_file(tmp_path / "absent" / "file"))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await until_sleeping(clock)
            await clock.advance(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [getattr(record, "action", "") for record in caplog.records] == ["liveness_failed"]


async def test_a_lack_of_threads_for_the_liveness_file_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock, readings, path = FakeClock(), Readings(), tmp_path / "liveness"
    readings.quiet_until_ns = 100_000_000_000

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        task = asyncio.ensure_future(health_of(clock, readings).keep_liveness_file(path))
        await until_sleeping(clock)
        assert caplog.messages == [f"cannot write the liveness file {path}: can't start new thread"]
    await clock.advance(1)
    await until(path.exists)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("other", ["/dev/null", "file"])
async def test_a_link_that_takes_its_place_later_is_said_once_and_not_followed(
    other: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, readings, path = FakeClock(), Readings(), tmp_path / "liveness"
    readings.quiet_until_ns = 100_000_000_000
    (tmp_path / "file").write_text("as it was")
    task = asyncio.ensure_future(health_of(clock, readings).keep_liveness_file(path))
    await until_sleeping(clock)
    assert path.read_text().isdecimal()
    path.unlink()
    path.symlink_to(tmp_path / other)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await clock.advance(1)
            await until_sleeping(clock)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [record.getMessage() for record in caplog.records] == [
        f"cannot write the liveness file {path}: it is a link, not a regular file"
    ]
    assert path.is_symlink()
    assert (tmp_path / "file").read_text() == "as it was"


async def test_the_status_server_answers_orchestrators() -> None:
    clock, readings = FakeClock(), Readings()
    metrics = Metrics("1.2.3", location="pl:office-1")
    metrics.watch("free_slots", "Slots free.", lambda: 7)
    metrics.watch_count("pulls_answered", "Pulls with a signed reply.", lambda: 5)
    metrics.count_run(kind="http", status="failed", code="DNS", seconds=0.001, unhealthy=False)
    async with (
        TestServer(status_application(health_of(clock, readings), metrics)) as server,
        aiohttp.ClientSession(str(server.make_url("/"))) as client,
    ):
        async with client.get("/liveness") as reply:
            assert (reply.status, await reply.text()) == (200, "alive\n")
        async with client.get("/readiness") as reply:
            assert (reply.status, await reply.text()) == (503, "not ready\n")
        readings.last_reply_ns = 0
        async with client.get("/readiness") as reply:
            assert reply.status == 200
        async with client.get("/metrics") as reply:
            text = await reply.text()
            assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        async with client.get("/other") as reply:
            assert reply.status == 404
    place = 'location="pl:office-1"'
    assert f"# TYPE synthetics_worker_free_slots gauge\nsynthetics_worker_free_slots{{{place}}} 7.0\n" in text
    answered = "synthetics_worker_pulls_answered_total"
    assert f"# TYPE {answered} counter\n{answered}{{{place}}} 5.0\n" in text
    assert f'synthetics_worker_results_total{{code="DNS",{place},status="failed"}} 1.0' in text
    assert f'synthetics_worker_info{{{place},version="1.2.3"}} 1.0' in text
    assert [line for line in text.splitlines() if place not in line and not line.startswith("#")] == []
    assert "secret name" not in text


@pytest.mark.parametrize(
    "said", [b"", b"GET /liveness HTTP/1.1\r\nHost: x\r\n", b"GET /liveness HTTP/1.1\r\nHost: x\r\n\r\n"]
)
async def test_a_client_that_says_no_more_is_hung_up_on(said: bytes) -> None:
    """Nothing at all, half of a head, or one request on a connection that is kept."""
    health = health_of(FakeClock(), Readings())
    application = status_application(health, Metrics("1", location="pl:office-1"))
    async with status_server(application, "127.0.0.1", 0, option="statusProbesPort", idle_seconds=0.2) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(said)
        async with asyncio.timeout(60):
            answered = await reader.read()
        writer.close()
    assert answered.startswith(b"HTTP/1.1 200") == said.endswith(b"\r\n\r\n")


async def until_sleeping(clock: FakeClock) -> None:
    """The writer works in a thread; wait until it is back at its sleep."""
    await until(lambda: clock.sleeping)
