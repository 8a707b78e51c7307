"""The order of a start: the first pull before what runs tests, and a mistake that only a start can show before that."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.support.clock import FakeClock
from tests.support.intake import FakeIntake
from tests.support.jobs import job
from tests.support.servers.controlplane import CREDENTIALS, ProtocolServer, protocol_server
from tests.support.waiting import PATIENCE, until
from worker import start
from worker.agent import worker as agent
from worker.agent.signals import Signals
from worker.agent.work import Work
from worker.clock import Clock
from worker.config.load import Config, load
from worker.errors import ConfigError
from worker.intake.client import Intake
from worker.telemetry.vitals import Vitals
from worker.wire.messages import Job, Jobs


@pytest.fixture
async def control_plane() -> AsyncIterator[ProtocolServer]:
    async with protocol_server() as server:
        yield server


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def config_of(control_plane: ProtocolServer, folder: Path, *flags: str) -> Config:
    path = folder / "worker.json"
    content = {
        "id": CREDENTIALS.location,
        "intakeUrl": control_plane.url,
        "accessKey": CREDENTIALS.access_key,
        "secretAccessKey": CREDENTIALS.secret_key.reveal(),
        "privateKey": control_plane.location_key.pem.reveal(),
        "publicKey": {"pem": control_plane.results_key.public.pem},
        "livenessFile": "",
    }
    path.write_text(json.dumps(content))
    return load([f"--config={path}", *flags], {}, certificates=str(folder)).config


def mistaken(error: BaseException) -> list[str | None]:
    """The options that *error* blames."""
    if isinstance(error, BaseExceptionGroup):
        return [option for member in error.exceptions for option in mistaken(member)]
    assert isinstance(error, ConfigError), repr(error)
    return [error.option]


async def test_a_port_that_is_taken_ends_the_start_before_anything_is_pulled(
    control_plane: ProtocolServer, taken_port: int, tmp_path: Path
) -> None:
    config = config_of(control_plane, tmp_path, "--enableStatusProbes", f"--statusProbesPort={taken_port}")
    with pytest.raises(BaseExceptionGroup) as raised:
        await start.run(config)
    assert mistaken(raised.value) == ["statusProbesPort"]
    assert control_plane.seen == []


async def test_a_link_in_the_place_of_the_liveness_file_ends_the_start_and_stays(
    control_plane: ProtocolServer, tmp_path: Path
) -> None:
    link = tmp_path / "liveness"
    link.symlink_to("/dev/null")
    with pytest.raises(BaseExceptionGroup) as raised:
        await start.run(config_of(control_plane, tmp_path, f"--livenessFile={link}"))
    assert mistaken(raised.value) == ["livenessFile"]
    assert control_plane.seen == []
    assert link.readlink() == Path("/dev/null")


async def test_a_worker_that_is_stopped_at_once_stops_in_order(control_plane: ProtocolServer, tmp_path: Path) -> None:
    running = asyncio.create_task(start.run(config_of(control_plane, tmp_path)))
    await until(lambda: control_plane.seen)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 0
    assert control_plane.pulls()[-1].draining


async def test_a_stop_in_a_black_hole_ends_in_its_bounds_and_says_what_was_not_delivered(
    control_plane: ProtocolServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a control plane that takes every request and answers none. Manifests allow for the bounds that are shortened here."""
    monkeypatch.setattr(agent, "FLUSH", 0.05)
    monkeypatch.setattr(agent, "LAST_PULL", 0.05)
    caplog.set_level(logging.INFO)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        serving = Serving(config_of(control_plane, tmp_path, "--drainTimeout=0"), group)
        serving.work.set_result(serving.late)
        serving.intake.jobs.append(Jobs(jobs=(job("one"),)))
        await until(lambda: serving.late.began)
        serving.intake.gate = asyncio.Event()
        await serving.clock.advance(1)
        assert len(serving.intake.pushes) == 1
        serving.signals.stop.set()
        assert await serving.served == 0
    assert serving.intake.pulls[-1].draining
    assert [vars(record)["undelivered"] for record in caplog.records if getattr(record, "action", "") == "drained"] == [
        1
    ]


class LateWork:
    """A kind of work that notes when a job began."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.began: dict[str, float] = {}

    async def run(self, job: Job, received_ns: int) -> bytes:
        self.began[job.job] = self._clock.monotonic_ns() / 1e9
        return b"{}"

    def shrink(self, outcome: bytes) -> bytes | None:
        return None


class Serving:
    """A worker that serves without what runs jobs, under a clock that stands still."""

    def __init__(self, config: Config, group: asyncio.TaskGroup) -> None:
        self.clock = FakeClock()
        self.intake = FakeIntake()
        self.signals = Signals()
        self.late = LateWork(self.clock)
        self.work: asyncio.Future[Work] = asyncio.get_running_loop().create_future()
        serving = start.serving_of(
            config,
            self.clock,
            group,
            intake=cast("Intake", self.intake),
            vitals=Vitals(self.clock, descriptors=lambda: (0, 100)),
            metrics=None,
            work=self.work,
        )
        self.served = group.create_task(serving.worker.serve(self.signals))

    async def stop(self) -> int:
        self.signals.stop.set()
        await until(lambda: self.intake.pulls[-1].draining)
        await self.clock.advance(1)
        return await self.served


async def test_jobs_that_come_before_what_runs_them_wait_and_then_start_as_far_apart_as_ever(
    control_plane: ProtocolServer, tmp_path: Path
) -> None:
    async with asyncio.TaskGroup() as group:
        serving = Serving(
            config_of(control_plane, tmp_path, "--concurrency=99", "--maxNumberMessagesToFetch=99"), group
        )
        serving.intake.jobs.append(Jobs(jobs=tuple(job(str(number)) for number in range(60))))
        await serving.clock.advance(0.5)
        assert serving.late.began == {}
        assert len(serving.intake.pulls) == 1
        serving.work.set_result(serving.late)
        await serving.clock.advance(0.1)
        began = [serving.late.began[str(number)] for number in range(60)]
        assert began == pytest.approx([0.5] * 50 + [0.51] * 10)
        assert await serving.stop() == 0


async def test_jobs_that_still_wait_for_what_runs_them_are_given_back_by_a_drain(
    control_plane: ProtocolServer, tmp_path: Path
) -> None:
    async with asyncio.TaskGroup() as group:
        serving = Serving(config_of(control_plane, tmp_path, "--drainTimeout=0"), group)
        serving.intake.jobs.append(Jobs(jobs=(job("one"),)))
        await serving.clock.advance(0.1)
        assert await serving.stop() == 0
    assert serving.intake.pulls[-1].release == ("lease-one",)
    assert serving.late.began == {}
