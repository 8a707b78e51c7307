"""Stories 1 and 6 of private actions as users live them: make a runner, start it with one token, call an internal service; and,
on call, look from inside, clean up, stop what hangs.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from controlplane.cli import main
from tests.support.definitions import http_test
from tests.support.programs import ControlPlane, run
from tests.support.runnerprograms import RUNNER, RunnerProgram
from tests.support.servers.target import Target
from tests.support.waiting import eventually

pytestmark = pytest.mark.acceptance


@pytest.fixture
def runner(control_plane: ControlPlane, tmp_path: Path) -> Iterator[RunnerProgram]:
    program = RunnerProgram(control_plane, tmp_path / "runner", auditLog=str(tmp_path / "audit.log"))
    try:
        yield program
    finally:
        program.kill()


def said(plane: ControlPlane, *words: str) -> Result:
    """A command, in this process: its start would take longer than all that is looked at here."""
    return CliRunner().invoke(main, [*words, *plane.database_flag], catch_exceptions=False)


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

    secret = ("--runner", "berlin", "--connection", "crm", "--input", '{"verb":"GET","url":"/secret"}')
    denied = said(control_plane, "action", "run", "http.request", *secret)
    assert denied.exit_code == 1
    assert "DENIED" in denied.stderr
    assert target.hits["/secret"] == 0

    program.signal(signal.SIGTERM)
    assert program.wait() == 0
    assert ordered(control_plane) == obeyed(tmp_path / "audit.log"), "what only one side knows is a finding"
    verified = run(RUNNER, "audit", "verify", str(tmp_path / "audit.log"))
    assert verified.returncode == 0, verified.stderr


SCRIPTS = """
schemaId: script-credentials-v1
runPredefinedScript:
  disk:
    command: [/bin/df, -P, "{{ parameters.path }}"]
    parameterSchema: {properties: {path: {enum: [/, /tmp]}}, required: [path]}
    effect: read
  hang: {command: [/bin/sh, -c, "setsid sleep 1029 & sleep 1029"]}
"""


def hanging() -> int:
    return sum(b"sleep\x001029" in process for process in map(command_line, Path("/proc").glob("[0-9]*/cmdline")))


def command_line(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_on_call_one_looks_from_inside_cleans_up_and_stops_what_hangs(
    control_plane: ControlPlane, runner: RunnerProgram, target: Target, tmp_path: Path
) -> None:
    (runner.folder / "scripts.yaml").write_text(SCRIPTS)
    runner.allow([{"name": "all", "allow": "**"}], {"ops": {"type": "script", "file": "scripts.yaml"}})
    runner.start()
    (tmp_path / "test.json").write_text(json.dumps({"test": http_test(url=target.url + "/v1/health")}))
    look = ("action", "run", "checks.run", "--runner", "berlin", "--input", f"@{tmp_path}/test.json")
    assert (seen := said(control_plane, *look)).exit_code == 0, seen.output
    assert json.loads(seen.stdout)["status"] == "passed"
    assert target.hits["/v1/health"] == 1
    script = ("action", "run", "script.runPredefinedScript", "--runner", "berlin", "--connection", "ops")
    disk = said(control_plane, *script, "--input", '{"scriptName":"disk","parameters":{"path":"/tmp"}}')
    assert (disk.exit_code, "Filesystem" in json.loads(disk.stdout)["stdout"]) == (0, True)
    made = said(control_plane, *script, "--input", '{"scriptName":"hang"}', "--no-wait").stdout.strip()
    eventually(lambda: hanging() == 2, "both processes of the script")
    assert said(control_plane, "run", "cancel", made).exit_code == 0
    eventually(lambda: said(control_plane, "run", "show", made).exit_code == 1, "its end")
    assert "cancelled: CANCELLED" in said(control_plane, "run", "show", made).stdout
    assert hanging() == 0
