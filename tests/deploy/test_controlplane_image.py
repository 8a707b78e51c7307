"""Both images together, hardened, with nothing of this checkout outside them: location, test, run, result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.deploy.engine import Container, Engine
from tests.deploy.images import CONTROL_PLANE, HARDENED, MOUNT, WORKER, StartContainer
from tests.support.definitions import http_test
from tests.support.servers.target import Target
from tests.support.waiting import eventually

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1500)]


def test_a_control_plane_in_a_container_gets_the_results_of_a_worker_in_another(
    start: StartContainer, target: Target, tmp_path: Path
) -> None:
    definitions = tmp_path / "tests.json"
    definitions.write_text(json.dumps([http_test("between containers", target.url)]))
    hardened = [
        flag for flag in HARDENED if not flag.startswith("--user")
    ]  # its volume belongs to the image's own user
    plane = start(
        "--network=host",
        *hardened,
        "-v",
        f"{definitions}:/tests.json:ro",
        CONTROL_PLANE,
        "serve",
        "--listen=127.0.0.1:0",
    )
    url = plane.wait_for("listening on ").rpartition(" ")[2]
    command(plane, "location", "create", "office", f"--intake-url={url}", "--output=/tmp/worker-config.json")
    config = tmp_path / "worker-config.json"
    config.write_text(plane.tell("sh", "-c", "cat /tmp/worker-config.json && rm /tmp/worker-config.json"))
    command(plane, "test", "push", "/tests.json", "--location", "office")

    start(
        "--network=host", *HARDENED, "-v", f"{config}:{MOUNT}:ro", WORKER, "--whitelistedRange.4=127.0.0.1/32"
    ).wait_for("serves")

    def result() -> str | None:
        return command(plane, "results", "--json").strip() or None

    assert json.loads(eventually(result, "a result"))["outcome"]["status"] == "passed"


def test_a_control_plane_is_backed_up_while_it_runs(start: StartContainer) -> None:
    plane = start("--network=none", CONTROL_PLANE)
    plane.wait_for("listening on ")
    url = "--intake-url=https://controlplane.example"
    command(plane, "location", "create", "office", url, "--output=/tmp/worker-config.json")
    plane.tell("python3", "-m", "sqlite3", "/var/lib/controlplane/controlplane.db", "VACUUM INTO '/tmp/backup.db'")
    key = "CONTROLPLANE_KEY_FILE=/var/lib/controlplane/controlplane.db.key"
    opened = plane.tell("sh", "-c", f"{key} synthetics-controlplane location list --database=/tmp/backup.db")
    assert "office" in opened


def test_the_control_planes_image_holds_no_worker_and_is_nobody(engine: Engine) -> None:
    assert engine.inspect(CONTROL_PLANE)["Config"]["User"] == "10001:10001"
    found = engine.run(
        "--network=none", "--entrypoint=/bin/sh", CONTROL_PLANE, "-c", "command -v synthetics-worker pip3"
    )
    assert found.stdout == ""


def command(plane: Container, *arguments: str) -> str:
    return plane.tell("synthetics-controlplane", *arguments)
