"""A real runner answers an orchestrator, a collector and a person; once it is revoked it stays up and is not ready."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.support.programs import ControlPlane
from tests.support.runnerprograms import RunnerProgram

pytestmark = pytest.mark.acceptance


@pytest.fixture
def runner(control_plane: ControlPlane, tmp_path: Path) -> Iterator[RunnerProgram]:
    program = RunnerProgram(control_plane, tmp_path / "runner")
    try:
        yield program
    finally:
        program.kill()


def get(port: str, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
            return reply.status, reply.read().decode()
    except HTTPError as error:
        return error.code, ""


def test_a_runner_is_ready_until_it_is_revoked(runner: RunnerProgram, control_plane: ControlPlane) -> None:
    runner.allow([])
    program = runner.start()
    bare, probes = re.findall(r"status probes on 127.0.0.1, port (\d+)", program.output)
    assert get(bare, "/liveness") == get(probes, "/liveness") == (200, "alive\n")
    assert get(bare, "/readiness")[0] == get(probes, "/readiness")[0] == 200
    assert get(bare, "/metrics")[0] == 404, "figures are on the other port alone"
    assert "private_action_runner_epoch 1.0" in get(probes, "/metrics")[1]
    told = json.loads(get(probes, "/status")[1])
    assert (told["runner"], told["epoch"], told["troubles"]) == ("berlin", 1, [])

    control_plane.command("runner", "revoke", "berlin")
    program.wait_for("no tasks are taken, revoked")
    assert get(bare, "/liveness")[0] == 200
    assert get(bare, "/readiness")[0] == 503
    assert json.loads(get(probes, "/status")[1])["troubles"] == ["revoked"]
