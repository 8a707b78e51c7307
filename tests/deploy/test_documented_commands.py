"""The lines of docs/ that start a container, word by word, with podman in Docker's place."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deploy.engine import Engine
from tests.support.definitions import http_test
from tests.support.documented import PAGES, of_docker
from tests.support.programs import ControlPlane, run
from tests.support.servers.target import Target
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1500)]

OF_WORKERS = [command for command in of_docker(*PAGES) if command.endswith(" open-private-location")]
OF_RUNNERS = [command for command in of_docker(*PAGES) if command.endswith(" open-private-action-runner")]


@pytest.fixture
def typed(engine: Engine, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Type a line that starts a container beside this shell; the container is removed at the end."""
    engine.as_docker(tmp_path)
    with ExitStack() as stack:

        def type_one(line: str, **variables: str) -> None:
            shell = Terminal(tmp_path, {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", **variables})
            stack.callback(shell.close)
            code, said = shell.run(line)
            assert code == 0, said
            container = said.split()[-1]
            stack.callback(engine.podman, "rm", "--force", "--ignore", "--time=0", container)

        yield type_one


def test_every_line_of_docker_is_typed() -> None:
    """Those in the foreground are README's, which `test_first_hour.py` types."""
    assert [command for command in of_docker(*PAGES) if command not in OF_WORKERS + OF_RUNNERS] == []
    assert len(OF_WORKERS) == 2
    assert OF_WORKERS[0].startswith("docker run --rm ")


def test_the_hardened_line_of_the_guide_starts_a_worker(
    typed: Callable[..., None], control_plane: ControlPlane, target: Target
) -> None:
    control_plane.create_location("worker-config")
    control_plane.push([http_test("first", target.url)], location="worker-config")
    typed(f"{OF_WORKERS[1]} --whitelistedRange.4=127.0.0.1/32")
    (result,) = control_plane.wait_for_results(1)
    assert (result["test"]["name"], result["status"]) == ("first", "passed"), json.dumps(result)


@pytest.mark.parametrize("line", OF_RUNNERS)
def test_the_line_of_private_actions_starts_a_runner(
    line: str, typed: Callable[..., None], control_plane: ControlPlane, tmp_path: Path
) -> None:
    (tmp_path / "runner").mkdir()
    (tmp_path / "runner/config.yaml").write_text("{port: 0, probesPort: 0}")
    (tmp_path / "runner/policy.yaml").write_text("rules: [{name: jq, allow: data.jq}]")
    created = control_plane.command("runner", "create", "berlin", "--base-url", control_plane.url, "--json")
    typed(line, RUNNER_ENROLLMENT_TOKEN=json.loads(created)["token"])
    given = json.dumps({"program": ".a + 1", "value": {"a": 41}})
    flags = ("action", "run", "data.jq", "--runner", "berlin", "--input", given, *control_plane.database_flag)
    done = run("controlplane", *flags, env=control_plane.env)
    assert (done.returncode, json.loads(done.stdout or "null")) == (0, {"value": 42}), done.stderr
