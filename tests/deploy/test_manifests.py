"""What is in k8s/ and the Dockerfile, read by their own tools, and held against the worker that they start."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from controlplane.commands import locationfile
from controlplane.service import startcommands
from tests.deploy.engine import Container, Engine
from tests.deploy.images import CONTROL_PLANE, WORKER
from tests.support.checkout import ROOT
from tests.support.peers import peer
from tests.support.programs import ControlPlane, run
from tests.support.waiting import eventually
from worker import __version__
from worker.agent import worker
from worker.agent.journal import journal
from worker.config import options

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1500)]

POD = ROOT / "k8s" / "private-worker-pod.yaml"
KUBERNETES = ("1.31", "1.37")
ACCEPTED = (
    "CKV_K8S_15",  # Always pulling would make the registry a thing that a restart depends on
    "CKV_K8S_43",  # a digest is for whoever has pushed the image
    "CKV_K8S_11",  # throttling makes a worker's runs unhealthy; docs/guide.md, "How much memory and CPU"
)
"""Findings of checkov that are decisions."""


def tool(*command: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"}
    return subprocess.run(
        [peer(command[0]), *command[1:]], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def kustomized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that `kubectl apply -k k8s` would send, with an empty config file."""
    folder = tmp_path_factory.mktemp("kustomized")
    shutil.copytree(ROOT / "k8s", folder / "k8s", dirs_exist_ok=True)
    (folder / "k8s" / "worker" / "worker-config.json").write_text("{}")
    done = tool("kubectl", "kustomize", "k8s", folder=folder)
    assert done.returncode == 0, done.stderr
    everything = folder / "everything.yaml"
    everything.write_text(done.stdout)
    return everything


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `kubectl apply -k k8s/runner` would send."""
    done = tool("kubectl", "kustomize", "k8s/runner")
    assert done.returncode == 0, done.stderr
    path = tmp_path_factory.mktemp("runner") / "runner.yaml"
    path.write_text(done.stdout)
    return path


def objects(path: Path, kind: str) -> Iterator[dict[str, Any]]:
    for found in yaml.safe_load_all(path.read_text()):
        if found["kind"] == kind:
            yield found


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_knows_every_field(kustomized: Path, runner: Path, version: str) -> None:
    done = tool("kubernetes-validate", "--strict", "-k", version, str(kustomized), str(POD), str(runner))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count(f"against version {version}") + done.stdout.count(f"against version {version}") >= 14


def test_the_validation_notices_a_misspelt_field(kustomized: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(kustomized.read_text().replace("readOnlyRootFilesystem", "readOnlyRootFileSystem"))
    assert tool("kubernetes-validate", "--strict", "-k", KUBERNETES[0], str(wrong)).returncode == 1


def test_checkov_finds_nothing_that_was_not_decided(kustomized: Path, runner: Path) -> None:
    flags = ("--skip-download", "--quiet", "--compact", "--framework", "kubernetes", "-o", "json")
    done = tool("checkov", *flags, "-f", str(kustomized), str(runner))
    failed = json.loads(done.stdout)["results"]["failed_checks"]
    assert {(check["check_id"], check["resource"]) for check in failed if check["check_id"] not in ACCEPTED} == set()


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    done = tool("hadolint", "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")


def test_the_composition_is_one_by_the_specification(tmp_path: Path) -> None:
    checked = ("check-jsonschema", "--builtin-schema=vendor.compose-spec")
    done = tool(*checked, "compose.yaml")
    assert done.returncode == 0, done.stdout
    misspelt = tmp_path / "compose.yaml"
    misspelt.write_text((ROOT / "compose.yaml").read_text().replace("cap_drop:", "cap_dropp:"))
    assert "cap_dropp" in tool(*checked, str(misspelt)).stdout


def test_every_locked_dependency_has_its_hashes_and_no_place_of_its_own() -> None:
    for lock in ("build", "worker", "controlplane", "runner"):
        text = (ROOT / "requirements" / f"{lock}.txt").read_text()
        entries = [line for line in text.replace("\\\n", "").splitlines() if re.match(r"\w", line)]
        assert entries
        assert all("==" in entry and "--hash=sha256:" in entry for entry in entries), lock
        assert "://" not in text
        assert not re.search(r"^--", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("lock", "extras"), [("worker", ()), ("controlplane", ("controlplane",)), ("runner", ("actions",))]
)
def test_the_locks_hold_what_setup_cfg_asks_for(lock: str, extras: Sequence[str]) -> None:
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    asked = [settings["options"]["install_requires"], *(settings["options.extras_require"][extra] for extra in extras)]
    wanted = {named(found.name): found for text in asked for found in map(Requirement, text.strip().splitlines())}
    blocks = re.split(r"^(?=\w)", (ROOT / "requirements" / f"{lock}.txt").read_text(), flags=re.MULTILINE)[1:]
    pinned = {named(name): version for name, version in (block.split()[0].split("==") for block in blocks)}
    asked_for = {named(block.partition("==")[0]) for block in blocks if "open-private-location (setup.cfg)" in block}
    assert asked_for == set(wanted), "make lock"
    assert [str(found) for name, found in wanted.items() if pinned[name] not in found.specifier] == []


def named(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_worker_understands_the_arguments_of_the_deployment(
    kustomized: Path, control_plane: ControlPlane, tmp_path: Path
) -> None:
    config = control_plane.create_location()
    (deployment,) = objects(kustomized, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    arguments = [str(part).replace("/var/spool/synthetics", str(tmp_path)) for part in container["args"]]
    done = run("worker", f"--config={config}", *arguments, "--dumpConfig")
    assert done.returncode == 0, done.stderr
    ports = [port["containerPort"] for port in container["ports"]]
    assert ports == [options.NAMES["statusProbesPort"].option.default]


def test_the_grace_period_is_enough_for_the_drain_and_the_last_word(kustomized: Path) -> None:
    (deployment,) = objects(kustomized, "Deployment")
    drain = options.NAMES["drainTimeout"].option.default
    assert isinstance(drain, int | float)
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["worker"]
    assert compose["stop_grace_period"] == f"{deployment['spec']['template']['spec']['terminationGracePeriodSeconds']}s"
    for pod in (deployment["spec"]["template"], yaml.safe_load(POD.read_text())):
        assert pod["spec"]["terminationGracePeriodSeconds"] > drain + worker.FLUSH + worker.LAST_PULL + journal.CLOSE


def test_the_images_are_those_of_this_version(kustomized: Path) -> None:
    images = re.findall(r"^\s+(?:- )?image: (\S+)$", kustomized.read_text() + POD.read_text(), re.MULTILINE)
    assert sorted(images) == sorted([*[f"{WORKER}:{__version__}"] * 2, *[f"{CONTROL_PLANE}:{__version__}"] * 2])


def test_the_file_goes_where_location_create_says_and_ends_where_a_worker_looks(kustomized: Path) -> None:
    (secret,) = objects(kustomized, "Secret")
    (deployment,) = objects(kustomized, "Deployment")
    volumes = {volume["name"]: volume for volume in deployment["spec"]["template"]["spec"]["volumes"]}
    assert volumes["config"]["secret"]["secretName"] == secret["metadata"]["name"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (mount,) = (mount for mount in container["volumeMounts"] if mount["name"] == "config")
    assert (mount["mountPath"], [mount["subPath"]]) == (startcommands.MOUNT, list(secret["data"]))
    printed = locationfile.how_to_start(Path("elsewhere.json"), "https://controlplane.example")
    assert "cp elsewhere.json k8s/worker/worker-config.json && kubectl apply -k k8s/worker" in printed


def test_each_part_brings_the_namespace_that_its_objects_are_in(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    (tmp_path / "k8s" / "worker" / "worker-config.json").write_text("{}")
    namespaces = {"worker": "synthetics", "controlplane": "synthetics-controlplane", "runner": "private-actions"}
    for part, namespace in namespaces.items():
        sent = list(yaml.safe_load_all(tool("kubectl", "kustomize", f"k8s/{part}", folder=tmp_path).stdout))
        assert [one["metadata"]["name"] for one in sent if one["kind"] == "Namespace"] == [namespace]
        assert {one["metadata"]["namespace"] for one in sent if one["kind"] != "Namespace"} == {namespace}


def test_every_pod_is_what_its_namespace_demands(kustomized: Path, runner: Path) -> None:
    """The profile `restricted` (https://kubernetes.io/docs/concepts/security/pod-security-standards/), which is enforced."""
    demanded = {
        one["metadata"]["labels"].get("pod-security.kubernetes.io/enforce")
        for one in (*objects(kustomized, "Namespace"), *objects(runner, "Namespace"))
    }
    assert demanded == {"restricted"}
    (deployment,), (stateful,), (cron,) = (
        list(objects(kustomized, kind)) for kind in ("Deployment", "StatefulSet", "CronJob")
    )
    (acting,) = objects(runner, "Deployment")
    templates = (deployment["spec"], stateful["spec"], cron["spec"]["jobTemplate"]["spec"], acting["spec"])
    pods = [template["template"]["spec"] for template in templates] + [yaml.safe_load(POD.read_text())["spec"]]
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_operator_is_given_the_same_alerts_and_pods_that_are_there(kustomized: Path, runner: Path) -> None:
    monitoring = ROOT / "k8s" / "monitoring"
    done = tool("kubectl", "kustomize", str(monitoring))
    assert done.returncode == 0, done.stderr
    sent = list(yaml.safe_load_all(done.stdout))
    (rule,) = (one for one in sent if one["kind"] == "PrometheusRule")
    assert rule["spec"]["groups"] == yaml.safe_load((monitoring / "alerts.yaml").read_text())["groups"]
    scraped = {}
    for monitor in (one for one in sent if one["kind"] == "PodMonitor"):
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        labels = monitor["spec"]["selector"]["matchLabels"]
        scraped[monitor["metadata"]["namespace"], labels["app.kubernetes.io/name"]] = endpoint["port"]
    served = {}
    served_by = (
        *objects(kustomized, "Deployment"),
        *objects(kustomized, "StatefulSet"),
        *objects(runner, "Deployment"),
    )
    for one in served_by:
        template = one["spec"]["template"]
        *_, port = template["spec"]["containers"][0]["ports"]  # of a runner's, the second has figures
        served[one["metadata"]["namespace"], template["metadata"]["labels"]["app.kubernetes.io/name"]] = port["name"]
    assert scraped == served


def test_a_worker_is_not_throttled(kustomized: Path) -> None:
    (deployment,) = objects(kustomized, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert "cpu" not in container["resources"]["limits"]


def test_the_backup_of_a_running_control_plane_opens_and_seven_are_kept(
    kustomized: Path, control_plane: ControlPlane, tmp_path: Path
) -> None:
    control_plane.create_location()
    (cron,) = objects(kustomized, "CronJob")
    (container,) = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    backup = tmp_path / "backup"
    backup.mkdir()
    for day in range(10, 20):
        (backup / f"controlplane-202601{day}T021700Z.db").touch()
    (backup / "notes.txt").touch()
    control_plane.command(*(argument.replace("/backup", str(backup)) for argument in container["args"]))
    (backup / "notes.txt").unlink()
    kept = sorted(backup.iterdir())
    assert [one.name for one in kept[:6]] == [f"controlplane-202601{day}T021700Z.db" for day in range(14, 20)]
    assert len(kept) == 7
    key = {"CONTROLPLANE_KEY_FILE": f"{control_plane.database}.key"}
    assert "office" in run("controlplane", "location", "list", f"--database={kept[-1]}", env=key).stdout


def test_podman_plays_the_pod(engine: Engine, control_plane: ControlPlane, tmp_path: Path) -> None:
    """As a kubelet would, but for three things: the network is the host's, because the control plane of this test is on
    loopback; Debian's podman knows no subPath for a ConfigMap, so the file's directory is mounted; and it asks no probe itself.
    """
    config = control_plane.create_location()
    pod = yaml.safe_load(POD.read_text())
    pod["spec"]["hostNetwork"] = True
    (container,) = pod["spec"]["containers"]
    (volume,) = (volume for volume in pod["spec"]["volumes"] if volume["name"] == "worker-config")
    (mount,) = (mount for mount in container["volumeMounts"] if mount["name"] == "worker-config")
    path = Path(mount["mountPath"])
    volume["configMap"]["items"] = [{"key": mount.pop("subPath"), "path": path.name}]
    mount["mountPath"] = str(path.parent)
    settings = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": volume["configMap"]["name"]},
        "data": {"worker-config.json": config.read_text()},
    }
    manifest = tmp_path / "pod.yaml"
    manifest.write_text(yaml.safe_dump_all([settings, pod]))
    try:
        engine.podman("play", "kube", str(manifest))
        worker = Container(engine, f"{pod['metadata']['name']}-{container['name']}")
        assert json.loads(worker.wait_for('"started"'))["level"] == "info"  # args: -f=json
        probe = container["livenessProbe"]["exec"]["command"]
        eventually(lambda: worker.execute(*probe) == 0 or None, "sign of life")
    finally:
        engine.podman("play", "kube", "--down", str(manifest), check=False)
