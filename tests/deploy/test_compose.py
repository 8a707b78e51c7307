"""compose.yaml under Docker's own compose, with podman as the engine behind its API: the commands that the file begins with."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.deploy.engine import Engine
from tests.support.checkout import ROOT
from tests.support.peers import peer
from tests.support.waiting import eventually

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1500)]

COMMANDS = re.findall(r"^#   docker compose (.+)$", (ROOT / "compose.yaml").read_text(), re.MULTILINE)


class Composition:
    """One project of compose. *types* runs a command as a person types it behind `docker compose`."""

    def __init__(self, file: Path, socket: str) -> None:
        self._compose = (
            peer("docker-compose"),
            f"--project-name={file.parent.name}",
            f"--project-directory={ROOT}",
            f"--file={file}",
        )
        self._socket = socket

    def types(self, command: str, *, seconds: float = 120) -> str:
        line = f'exec "$@" {command}'
        done = subprocess.run(
            ["/bin/sh", "-c", line, "sh", *self._compose],
            env={"PATH": "/usr/bin:/bin", "DOCKER_HOST": self._socket, "HOME": str(ROOT)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"docker compose {command}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
def composition(engine: Engine, tmp_path: Path) -> Iterator[Composition]:
    """Nothing is up yet. The images are those of `make image`; their tags are those that the file names."""
    text = re.sub(r"^name: .*\n", "", (ROOT / "compose.yaml").read_text(), count=1, flags=re.MULTILINE)
    file = tmp_path / "compose.yaml"  # Debian 12 has the compose of before `name`
    file.write_text(text)
    with engine.serving(tmp_path / "engine") as socket:
        made = Composition(file, socket)
        try:
            yield made
        finally:
            made.types("--profile actions down --volumes --timeout 5")


def test_the_file_says_how_to_use_it() -> None:
    assert [command.split()[0] for command in COMMANDS] == ["exec", "exec", "exec"]
    assert set(yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["worker"]["volumes"]) == {
        "config:/etc/datadog:ro",
        "spool:/var/spool/synthetics",
    }, "the worker sees nothing of the control plane's"


def test_a_composition_runs_a_test_and_an_action(composition: Composition) -> None:
    push, follow, act = COMMANDS
    for _ in range(2):  # a composition is started again and again
        composition.types("up -d --no-build")
    composition.types(push.replace("exec ", "exec -T ", 1) if " -T " not in push else push)
    results = follow.replace("exec ", "exec -T ", 1).removesuffix(" --follow")
    told = eventually(lambda: composition.types(results).strip(), "a result")
    spooled = "exec -T worker synthetics-worker spool list /var/spool/synthetics --insecureIntake"
    assert "in use" in composition.types(spooled), "the worker keeps a journal on its volume"
    assert "Shop API is healthy" in told
    assert "ENOTFOUND" in told, "there is no shop beside this composition, and its resolver said so"

    composition.types("--profile actions up -d --no-build")
    assert json.loads(composition.types(act.replace("exec ", "exec -T ", 1))) == {"value": 2}
