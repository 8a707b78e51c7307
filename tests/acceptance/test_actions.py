"""Story 1 of private actions as a user lives it: make a runner, start it with one token, call an internal service through it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import ControlPlane, run
from tests.support.runnerprograms import RUNNER, RunnerProgram
from tests.support.servers.target import Target

pytestmark = pytest.mark.acceptance


@pytest.fixture
def runner(control_plane: ControlPlane, tmp_path: Path) -> Iterator[RunnerProgram]:
    program = RunnerProgram(control_plane, tmp_path / "runner", auditLog=str(tmp_path / "audit.log"))
    try:
        yield program
    finally:
        program.kill()


def ordered(plane: ControlPlane) -> dict[str, str]:
    """The digests of what the control plane signed, by task, as its audit log has them."""
    entries = [json.loads(line) for line in plane.command("audit", "--limit", "1000", "--json").splitlines()]
    made = [entry["after"] for entry in entries if entry["action"] == "run.create"]
    return {one["task"]: one["order_sha256"] for one in made}


def obeyed(path: Path) -> dict[str, str]:
    """The same of what the runner decided on, as its own log has them (check 28)."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {one["task"]: one["order_sha256"] for one in lines if one["event"] == "decided"}


def test_an_internal_service_is_called_through_a_runner_that_enrolled_with_one_token(
    control_plane: ControlPlane, runner: RunnerProgram, target: Target, tmp_path: Path
) -> None:
    connection = {"crm": {"type": "http", "base_url": target.url}}
    rule = {"name": "crm", "allow": "http.request", "connections": ["crm"], "when": {"url": {"paths": ["/v1/**"]}}}
    runner.allow([rule], connection)
    program = runner.start()

    done = runner.order("http.request", {"verb": "GET", "url": "/v1/customers/7"}, "--connection", "crm")
    assert done.returncode == 0, done.stdout + done.stderr + program.output
    assert json.loads(done.stdout)["body"] == {"status": "ok"}
    assert "queued: waits for runner berlin" in done.stderr
    assert "succeeded" in done.stderr
    assert target.hits["/v1/customers/7"] == 1

    denied = runner.order("http.request", {"verb": "GET", "url": "/secret"}, "--connection", "crm")
    assert denied.returncode == 1
    assert "DENIED" in denied.stderr
    assert target.hits["/secret"] == 0

    program.signal(signal.SIGTERM)
    assert program.wait() == 0
    assert ordered(control_plane) == obeyed(tmp_path / "audit.log"), "what only one side knows is a finding"
    verified = run(RUNNER, "audit", "verify", str(tmp_path / "audit.log"))
    assert verified.returncode == 0, verified.stderr
