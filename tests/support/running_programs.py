"""Fixtures: a control plane, a target and workers as real processes. Everything that a test started ends with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import ControlPlane, Program, StartWorker
from tests.support.servers.target import Target, running_target


@pytest.fixture
def control_plane(tmp_path: Path) -> Iterator[ControlPlane]:
    plane = ControlPlane(tmp_path)
    plane.start()
    try:
        yield plane
    finally:
        plane.stop()


@pytest.fixture
def target() -> Iterator[Target]:
    with running_target() as running:
        yield running


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[StartWorker]:
    """Start a worker on a config file; *flags* follow. Loopback is allowed, which is where the targets are."""
    programs: list[Program] = []

    def start(config: Path, *flags: str) -> Program:
        number = len(programs)
        program = Program(
            tmp_path / f"worker-{number}.log",
            "worker",
            f"--config={config}",
            "--whitelistedRange.4=127.0.0.1/32",
            f"--livenessFile={tmp_path / f'liveness-{number}.date'}",
            "--logFormat=json",
            *flags,
        )
        programs.append(program)
        program.wait_for('"started"')
        return program

    yield start
    for program in programs:
        program.kill()
