"""The worker's image as its users run it: a mounted file, flags that override, hardening, signals, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.deploy.engine import Engine
from tests.deploy.images import HARDENED, MOUNT, WORKER, StartContainer
from tests.support.definitions import http_test
from tests.support.programs import ControlPlane
from tests.support.servers.target import Target

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1500)]

PATTERN = {"type": "body", "operator": "matches", "target": '"status": "o[k]+"'}
"""Something that only an evaluator may judge: its processes must start in the container, too."""


@pytest.fixture
def config(control_plane: ControlPlane) -> Path:
    """The file of `location create`, allowing loopback, and readable by the image's user."""
    path = control_plane.create_location()
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "whitelistedRange.4": ["127.0.0.1/32"], "concurrency": 5}))
    path.chmod(0o644)
    return path


def test_a_worker_serves_its_location_with_nothing_but_a_mounted_file(
    control_plane: ControlPlane, config: Path, target: Target, start: StartContainer
) -> None:
    container = start("--network=host", "-v", f"{config}:{MOUNT}", WORKER)
    container.wait_for("serves")
    control_plane.push([http_test("from a container", target.url, assertions=[PATTERN])])
    (result,) = control_plane.wait_for_results(1)
    assert (result["test"]["name"], result["status"]) == ("from a container", "passed")


def test_a_hardened_worker_drains_on_sigterm(
    control_plane: ControlPlane, config: Path, target: Target, start: StartContainer
) -> None:
    container = start("--network=host", *HARDENED, "-v", f"{config}:{MOUNT}:ro", WORKER, "-f=json")
    assert json.loads(container.wait_for('"started"'))["concurrency"] == 5
    control_plane.push([http_test("held", f"{target.url}/held")])
    assert target.held.wait(30)
    container.signal("TERM")
    container.wait_for('"draining"')
    target.release.set()
    assert container.wait() == 0
    (result,) = control_plane.wait_for_results(1)
    assert result["status"] == "passed"


def test_flags_override_the_mounted_file(engine: Engine, config: Path) -> None:
    mounted = ("--network=none", "-v", f"{config}:{MOUNT}", WORKER)
    for flags, concurrency in (((), "5"), (("--concurrency=20",), "20")):
        dump = engine.run(*mounted, *flags, "--dumpConfig").stdout
        shown = next(line for line in dump.splitlines() if line.startswith("concurrency"))
        assert concurrency in shown.split(), shown


def test_check_runs_definitions_under_every_restriction(engine: Engine, target: Target, tmp_path: Path) -> None:
    tests = tmp_path / "tests.json"
    tests.write_text(json.dumps([http_test("pattern", target.url, assertions=[PATTERN])]))
    arguments = ("--network=host", *HARDENED, "-v", f"{tests}:/tests.json:ro", WORKER, "check", "/tests.json")
    denied = engine.run(*arguments)
    assert (denied.returncode, "DENIED" in denied.stdout) == (1, True), denied
    allowed = engine.run(*arguments, "--whitelistedRange.4=127.0.0.1/32")
    assert (allowed.returncode, "passed" in allowed.stdout) == (0, True), allowed


def test_a_config_that_cannot_be_used_ends_with_2(engine: Engine, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"concurrency": "many"}')
    config.chmod(0o644)
    done = engine.run("--network=none", "-v", f"{config}:{MOUNT}", WORKER)
    assert (done.returncode, "concurrency" in done.stderr) == (2, True), done


def test_a_private_file_is_read_by_its_owner_and_by_nobody_else(engine: Engine, config: Path) -> None:
    config.chmod(0o600)
    mounted = ("--network=none", "-v", f"{config}:{MOUNT}")
    stranger = engine.run(*mounted, WORKER, "--dumpConfig")
    assert (stranger.returncode, "user 10001" in stranger.stderr) == (2, True), stranger
    assert engine.run(*mounted, f"--user={config.stat().st_uid}", WORKER, "--dumpConfig").returncode == 0


def test_the_image_says_what_it_is_and_is_nobody(engine: Engine) -> None:
    image = engine.inspect(WORKER)
    assert image["Config"]["User"] == "10001:10001"
    assert image["Healthcheck"]["Test"][0] == "CMD"
    assert image["Config"]["Labels"]["org.opencontainers.image.title"] == WORKER
    assert {"version", "revision", "licenses", "description"} <= {
        label.removeprefix("org.opencontainers.image.") for label in image["Config"]["Labels"]
    }
