"""What starts an action runner, k8s/runner and compose.yaml, held against the program, and played where podman can."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.commands import runnerstart
from tests.deploy.engine import Container, Engine
from tests.deploy.images import RUNNER, RUNNER_MOUNT
from tests.support import programs
from tests.support.checkout import ROOT
from tests.support.peers import peer
from tests.support.programs import ControlPlane, Program, run
from tests.support.runnerprograms import RUNNER as PROGRAM
from worker import __version__
from worker.actionrunner import options
from worker.agent import worker
from worker.agent.journal import journal

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1500)]

CONFIG = ROOT / "k8s" / "runner" / "config"
STATE = "/var/lib/action-runner"


@pytest.fixture(scope="module")
def sent() -> list[dict[str, Any]]:
    """The objects of `kubectl apply -k k8s/runner`."""
    command = [peer("kubectl"), "kustomize", "k8s/runner"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture(scope="module")
def pod(sent: list[dict[str, Any]]) -> dict[str, Any]:
    (deployment,) = (one for one in sent if one["kind"] == "Deployment")
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return found


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The folder of k8s/runner, with its state in a folder of this test."""
    folder = tmp_path / "config"
    shutil.copytree(CONFIG, folder)
    text = (folder / "config.yaml").read_text()
    assert text.count(STATE) == 2
    (folder / "config.yaml").write_text(text.replace(STATE, str(tmp_path / "state")))
    (tmp_path / "state").mkdir()
    return folder


def named(of: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = (one for one in of if one["name"] == name)
    return found


def test_the_runner_can_use_the_config_and_says_nothing_against_it() -> None:
    done = run(PROGRAM, "policy", "check", env={"DD_PRIVATE_RUNNER_CONFIG_DIR": str(CONFIG)})
    assert done.returncode == 0, done.stderr
    given = ("--input", '{"program": "."}')
    allowed = run(PROGRAM, "explain", "data.jq", *given, env={"DD_PRIVATE_RUNNER_CONFIG_DIR": str(CONFIG)})
    assert allowed.returncode == 0, allowed.stdout + allowed.stderr


def test_what_is_written_is_on_the_volume_and_nothing_else_is_writable(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    loaded = options.load({}, str(CONFIG)).config
    volume = named(container["volumeMounts"], "state")["mountPath"]
    assert loaded.identity_file.is_relative_to(volume)
    assert loaded.state_directory is not None
    assert loaded.state_directory.is_relative_to(volume)
    assert named(container["volumeMounts"], "config")["mountPath"] == RUNNER_MOUNT == options.CONFIG_DIRECTORY
    writable = {one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")}
    assert writable == {volume, "/tmp"}


def test_the_probes_ask_the_port_that_has_nothing_but_probes_and_scrapes_the_other(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    loaded = options.load({}, str(CONFIG)).config
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {
        "probes": loaded.port,
        "status": loaded.probes_port,
    }
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: (probe["path"], probe["port"]) for name, probe in probes.items()} == {
        "startup": ("/liveness", "probes"),
        "liveness": ("/liveness", "probes"),
        "readiness": ("/readiness", "probes"),
    }


def test_only_scrapes_come_in(sent: list[dict[str, Any]]) -> None:
    (policy,) = (one for one in sent if one["kind"] == "NetworkPolicy")
    (rule,) = policy["spec"]["ingress"]
    assert [port["port"] for port in rule["ports"]] == [options.load({}, str(CONFIG)).config.probes_port]
    assert policy["spec"]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "private-action-runner"}


def test_the_grace_period_is_enough_for_the_drain_and_the_last_word(pod: dict[str, Any]) -> None:
    drain = options.load({}, str(CONFIG)).config.drain_timeout
    assert pod["terminationGracePeriodSeconds"] > drain + worker.FLUSH + worker.LAST_PULL + journal.CLOSE
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["runner"]
    assert compose["stop_grace_period"] == f"{pod['terminationGracePeriodSeconds']}s"


def test_the_image_and_the_secret_are_those_that_runner_create_names(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    assert container["image"] == f"{RUNNER}:{__version__}"
    assert runnerstart.IMAGE == RUNNER
    assert runnerstart.MOUNT == RUNNER_MOUNT
    secret = named(pod["volumes"], "token")["secret"]["secretName"]
    assert f"-n private-actions create secret generic {secret} --from-file=token=" in runnerstart.secret()
    variables = {one["name"]: one["value"] for one in container["env"]}
    mount = named(container["volumeMounts"], "token")["mountPath"]
    assert variables == {"ACTION_RUNNER_ENROLLMENT_TOKEN_FILE": f"{mount}/token"}
    printed = (ROOT / "k8s" / "runner" / "kustomization.yaml").read_text()
    assert runnerstart.secret() in printed


def test_compose_starts_a_runner_that_acts(control_plane: ControlPlane, config: Path, tmp_path: Path) -> None:
    """Each service's own command as a process here: its folders are this test's, its host name is loopback."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert services["runner"]["volumes"] == [
        f"./{CONFIG.relative_to(ROOT)}:{RUNNER_MOUNT}:ro",
        f"runner:{STATE}",
    ], "and none of the control plane's"
    (script,) = services["enrolment"]["command"]
    here = script.replace(STATE, str(tmp_path / "state")).replace("http://controlplane:8080", control_plane.url)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = programs.environment({"PATH": path, "CONTROLPLANE_DATABASE": str(control_plane.database)})
    for _ in range(2):  # a composition is started again and again
        subprocess.run([*services["enrolment"]["entrypoint"], here], env=environment, check=True, timeout=60)
    assert (tmp_path / "state" / "token").stat().st_mode & 0o777 == 0o600

    variables = {
        name: value.replace(STATE, str(tmp_path / "state")) for name, value in services["runner"]["environment"].items()
    }
    own = {"DD_PRIVATE_RUNNER_CONFIG_DIR": str(config), "ACTION_RUNNER_PORT": "0", "ACTION_RUNNER_PROBES_PORT": "0"}
    runner = Program(tmp_path / "runner.log", PROGRAM, env={**variables, **own})
    try:
        runner.wait_for("this instance is the runner")
        assert order(control_plane, "compose") == {"value": 2}
    finally:
        runner.kill()


def order(plane: ControlPlane, name: str) -> Any:
    """The action of compose.yaml's own comment."""
    text = (ROOT / "compose.yaml").read_text()
    found = re.search(r"action run data\.jq --runner compose --input '(.+)'$", text, re.MULTILINE)
    assert found is not None
    flags = ("action", "run", "data.jq", "--runner", name, "--input", found[1], *plane.database_flag)
    done = run("controlplane", *flags, env=plane.env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def played(engine: Engine) -> Iterator[list[Path]]:
    manifests: list[Path] = []
    yield manifests
    for manifest in manifests:
        engine.podman("play", "kube", "--down", str(manifest), check=False)


def test_podman_plays_the_pod(
    engine: Engine,
    control_plane: ControlPlane,
    pod: dict[str, Any],
    sent: list[dict[str, Any]],
    played: list[Path],
    tmp_path: Path,
) -> None:
    """As a kubelet would, but for these: the network is the host's, because the control plane of this test is on loopback;
    Secrets and claim are folders of this test, which the image's user may write; and podman asks no probe itself.
    """
    token = json.loads(control_plane.command("runner", "create", "berlin", "--base-url", control_plane.url, "--json"))[
        "token"
    ]
    folders = {name: tmp_path / name for name in ("state", "token", "credentials")}
    for folder in folders.values():
        folder.mkdir()
        folder.chmod(0o777)
    (folders["token"] / "token").write_text(token)
    here = json.loads(json.dumps(pod))
    here["hostNetwork"] = True
    (container,) = here["containers"]
    del container["ports"]
    container["env"].append({"name": "ACTION_RUNNER_PROBES_HOST", "value": "127.0.0.1"})
    here["volumes"] = [
        {"name": volume["name"], "hostPath": {"path": str(folders[volume["name"]]), "type": "Directory"}}
        if volume["name"] in folders
        else volume
        for volume in here["volumes"]
    ]
    (settings,) = (one for one in sent if one["kind"] == "ConfigMap")
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "private-action-runner"}, "spec": here}
    manifest = tmp_path / "pod.yaml"
    manifest.write_text(yaml.safe_dump_all([settings, whole]))
    played.append(manifest)
    engine.podman("play", "kube", str(manifest))
    running = Container(engine, f"private-action-runner-{container['name']}")
    running.wait_for("this instance is the runner")
    assert order(control_plane, "berlin") == {"value": 2}
    assert running.execute("private-action-runner", "status") == 0
