"""A stop while the disk hangs ends within the grace period that an orchestrator gives, and loses nothing."""

from __future__ import annotations

import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.faults.peers import running_peers
from tests.faults.shim import Shim, build
from tests.faults.target import HonestTarget
from tests.support.definitions import http_test
from tests.support.peers import peer
from tests.support.programs import ControlPlane, Program
from tests.support.waiting import eventually
from worker.agent import worker
from worker.agent.journal import journal

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

HANGS = 600_000
"""Milliseconds for each write: longer than any grace period."""
GRACE = 30.0
"""Seconds: what Kubernetes gives where nothing else is said."""


@pytest.fixture
def target() -> Iterator[HonestTarget]:
    with running_peers(0, Random(1)) as (target, _):
        yield target


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("shim"), peer("cc"))


def stopped_within(program: Program, seconds: float) -> int:
    """The exit code of *program* after SIGTERM."""
    program.signal(signal.SIGTERM)
    return program.wait(seconds)


def is_well(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=10):
            return True
    except OSError:  # an answer of 503, or none
        return False


def test_a_control_plane_whose_disk_hangs_says_so_and_stops_in_time(library: Path, tmp_path: Path) -> None:
    shim = Shim(library, tmp_path / "page", tmp_path / "controlplane.db")
    plane = ControlPlane(tmp_path, env=shim.environment)
    plane.start()
    try:
        assert plane.program is not None
        eventually(lambda: is_well(plane.url), "a control plane that is well")
        shim.slow_disk(HANGS)
        eventually(lambda: not is_well(plane.url), "a control plane that says so")  # an answer is good for a second
        assert stopped_within(plane.program, GRACE) == 0
        assert "does the disk of the database hang?" in plane.program.output
    finally:
        shim.mend()
        plane.stop()
    plane.start()
    try:
        eventually(lambda: is_well(plane.url), "a control plane that is well again")
    finally:
        plane.stop()


def test_a_worker_whose_disk_hangs_delivers_and_stops_in_time(
    library: Path, tmp_path: Path, target: HonestTarget
) -> None:
    spool, plane = tmp_path / "spool", ControlPlane(tmp_path)
    spool.mkdir()
    shim = Shim(library, tmp_path / "page", spool)
    plane.start()
    try:
        config = plane.create_location()
        plane.push([http_test("slow", target.url("slow", 4_000, 2), tick_every=600)])
        program = Program(
            tmp_path / "worker.log",
            "worker",
            f"--config={config}",
            f"--intakeUrl={plane.url}",
            "--whitelistedRange.4=127.0.0.1/32",
            f"--spoolDirectory={spool}",
            "--drainTimeout=10",
            env=shim.environment,
        )
        try:
            eventually(lambda: target.served, "a run")
            shim.slow_disk(HANGS)
            assert stopped_within(program, 10 + worker.FLUSH + worker.LAST_PULL + journal.CLOSE + 5) == 0
        finally:
            shim.mend()
            program.kill()
        assert len(plane.wait_for_results(1)) == 1
    finally:
        plane.stop()
