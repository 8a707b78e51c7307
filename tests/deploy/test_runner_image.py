"""The action runner's image as its users run it: one token, a folder to read, one to write, hardening, signals, exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.deploy.engine import Engine
from tests.deploy.images import HARDENED, RUNNER, RUNNER_MOUNT, StartContainer
from tests.support.checkout import ROOT
from tests.support.programs import ControlPlane, run
from tests.support.waiting import eventually

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1500)]

LOOPBACK = ("--network=host", "-e=ACTION_RUNNER_PROBES_HOST=127.0.0.1")
"""The control plane of these tests is on this machine's loopback; the ports of the runner need not be open beyond it."""


@pytest.fixture
def mounts(tmp_path: Path) -> tuple[str, ...]:
    """The folder of k8s/runner, to be read, and an empty one that the image's user can write."""
    config, state = tmp_path / "config", tmp_path / "state"
    shutil.copytree(ROOT / "k8s" / "runner" / "config", config)
    for path in (config, *config.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    state.mkdir()
    state.chmod(0o777)
    return (f"-v={config}:{RUNNER_MOUNT}:ro", f"-v={state}:/var/lib/action-runner")


def token(plane: ControlPlane, name: str) -> str:
    text = plane.command("runner", "create", name, "--base-url", plane.url, "--json")
    return str(json.loads(text)["token"])


def order(plane: ControlPlane, name: str) -> dict[str, object]:
    given = json.dumps({"program": ".a + 1", "value": {"a": 41}})
    flags = ["action", "run", "data.jq", "--runner", name, "--input", given, *plane.database_flag]
    done = run("controlplane", *flags, env=plane.env)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_hardened_runner_enrols_acts_drains_and_is_the_same_after_a_restart(
    control_plane: ControlPlane, mounts: tuple[str, ...], start: StartContainer
) -> None:
    common = (*LOOPBACK, *HARDENED, *mounts)
    first = start(*common, f"-e=RUNNER_ENROLLMENT_TOKEN={token(control_plane, 'berlin')}", RUNNER)
    first.wait_for("this instance is the runner")
    assert order(control_plane, "berlin") == {"value": 42}
    eventually(lambda: first.execute("private-action-runner", "status") == 0 or None, "health", lambda: first.output)
    first.signal("TERM")
    assert first.wait() == 0, first.output

    second = start(*common, RUNNER)  # and no token
    second.wait_for("this instance is the runner")
    assert order(control_plane, "berlin") == {"value": 42}


def test_a_runner_that_can_keep_no_identity_ends_with_2_and_keeps_its_token(
    engine: Engine, control_plane: ControlPlane, mounts: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "state").chmod(0o755)
    issued = token(control_plane, "berlin")
    arguments = (*LOOPBACK, *HARDENED, *mounts, f"-e=RUNNER_ENROLLMENT_TOKEN={issued}", RUNNER)
    done = engine.run(*arguments)
    assert (done.returncode, "identityFile" in done.stderr) == (2, True), done
    assert issued not in done.stdout + done.stderr
    (tmp_path / "state").chmod(0o777)
    enrolled = engine.run(*arguments, "enroll")
    assert enrolled.returncode == 0, enrolled


def test_without_a_token_it_says_where_one_comes_from(engine: Engine) -> None:
    done = engine.run("--network=none", "--tmpfs=/tmp", RUNNER)
    assert (done.returncode, "runner create" in done.stderr) == (2, True), done


def test_the_image_says_what_it_is_and_is_nobody(engine: Engine) -> None:
    image = engine.inspect(RUNNER)
    assert image["Config"]["User"] == "10001:10001"
    assert image["Config"]["Entrypoint"] == ["private-action-runner"]
    assert image["Healthcheck"]["Test"] == ["CMD", "private-action-runner", "status"]
    assert not image["Config"].get("ExposedPorts"), "what is probed is opened where it is probed"
    assert image["Config"]["Labels"]["org.opencontainers.image.title"] == RUNNER
