"""A real runner answers an orchestrator, a collector and a person; once it is revoked it stays up and is not ready."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.support.checkout import ROOT
from tests.support.programs import ControlPlane, run
from tests.support.runnerprograms import RUNNER, RunnerProgram

pytestmark = pytest.mark.acceptance

MONITORING = ROOT / "k8s" / "monitoring"


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


def check_figures(shown: str) -> None:
    """Alerts and dashboard ask for figures that exist, and the guide explains each."""
    kinds = dict(re.findall(r"# TYPE private_action_runner_(\w+) (\w+)", shown))
    there = {name for name in kinds if not name.endswith("_created")}
    series = {f"{name}_{part}" for name, kind in kinds.items() if kind == "histogram" for part in ("bucket", "count")}
    asked: set[str] = set()
    for name in ("alerts.yaml", "dashboard-runner.json"):
        asked |= set(re.findall(r"private_action_runner_(\w+)", (MONITORING / name).read_text()))
    assert len(asked) > 12
    assert asked - there - series == set()
    guide = (ROOT / "docs" / "actions.md").read_text()
    assert {name for name in there if f"`{name}`" not in guide} == set()


def identity_values(runner: RunnerProgram) -> dict[str, str]:
    done = run(RUNNER, "identity", env={"DD_PRIVATE_RUNNER_CONFIG_DIR": str(runner.folder)})
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def told_connections(control_plane: ControlPlane) -> list[str]:
    """The connections that the runner has told: with its second pull."""
    for _ in range(100):  # each is a process
        shown = json.loads(control_plane.command("runner", "show", "berlin", "--json"))
        if shown["details"] is not None:
            return [one["name"] for one in shown["details"]["connections"]]
    return []


def test_a_runner_is_ready_until_it_is_revoked(runner: RunnerProgram, control_plane: ControlPlane) -> None:
    runner.allow([], {"crm": {"type": "http", "base_url": "http://127.0.0.1:1"}})
    program = runner.start()
    bare, probes = re.findall(r"status probes on 127.0.0.1, port (\d+)", program.output)
    assert get(bare, "/liveness") == get(probes, "/liveness") == (200, "alive\n")
    assert get(bare, "/readiness")[0] == get(probes, "/readiness")[0] == 200
    assert get(bare, "/metrics")[0] == 404, "figures are on the other port alone"
    assert "private_action_runner_epoch 1.0" in get(probes, "/metrics")[1]
    check_figures(get(probes, "/metrics")[1])
    told = json.loads(get(probes, "/status")[1])
    assert (told["runner"], told["epoch"], told["troubles"]) == ("berlin", 1, [])

    assert told_connections(control_plane) == ["crm"]
    assert "crm         http" in control_plane.command("runner", "show", "berlin")

    runner.allow([{"name": "all", "allow": "**"}])
    program.signal(signal.SIGHUP)
    program.wait_for("SIGHUP: looking at the operator's files")
    program.wait_for("the connections and the policy were read again")
    assert get(bare, "/readiness")[0] == 200, "it ends nothing"

    given = identity_values(runner)
    runner.kill()
    (runner.folder / "identity.json").unlink()
    program = runner.start(**given)
    bare, probes = re.findall(r"status probes on 127.0.0.1, port (\d+)", program.output)
    assert not (runner.folder / "identity.json").exists(), "two values are the whole identity"

    control_plane.command("runner", "revoke", "berlin")
    program.wait_for("no tasks are taken, revoked")
    assert get(bare, "/liveness")[0] == 200
    assert get(bare, "/readiness")[0] == 503
    assert json.loads(get(probes, "/status")[1])["troubles"] == ["revoked"]
