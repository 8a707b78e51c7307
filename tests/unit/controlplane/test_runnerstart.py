"""Tests of the words that start a runner: what is printed can be typed, and hands the token on without showing it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from controlplane.commands import runnerstart
from tests.support.checkout import ROOT
from worker.actionrunner import options

TOKEN = "pl1e.eyJ1Ijoi_-0"
PRINTS_ITS_ARGUMENTS = '#!/bin/sh\nprintf "%s\\n" "$@"\n'


def typed(folder: Path, command: str, program: str, script: str) -> list[str]:
    """The lines that *program*, in the place of the real one, prints when a shell is given the command."""
    (folder / program).write_text(script)
    (folder / program).chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "RUNNER_ENROLLMENT_TOKEN": TOKEN}
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_docker_is_handed_the_folder_and_the_name_of_the_token(tmp_path: Path) -> None:
    folder = tmp_path / "my folder"
    folder.mkdir()
    arguments = typed(folder, runnerstart.docker(), "docker", PRINTS_ITS_ARGUMENTS)
    assert arguments[-3:] == ["-v", f"{folder}/runner:{options.CONFIG_DIRECTORY}", runnerstart.IMAGE]
    assert arguments[arguments.index("-e") + 1] == "RUNNER_ENROLLMENT_TOKEN"
    assert TOKEN not in " ".join(arguments)
    assert {"--read-only", "--cap-drop", "--security-opt"} <= set(arguments)
    assert "--network" not in arguments


def test_kubectl_is_handed_the_token_on_its_input(tmp_path: Path) -> None:
    assert typed(tmp_path, runnerstart.secret(), "kubectl", "#!/bin/sh\ncat\n") == [TOKEN]
    arguments = typed(tmp_path, runnerstart.secret(), "kubectl", PRINTS_ITS_ARGUMENTS)
    assert arguments[:2] == ["-n", "private-actions"]
    assert TOKEN not in " ".join(arguments)


def test_the_commands_are_printed_as_they_are_typed() -> None:
    lines = [line.strip() for line in runnerstart.how_to_start("berlin", "https://plane.example").splitlines()]
    assert f"mkdir -p runner && {runnerstart.docker()}" in lines
    assert runnerstart.secret() in lines
    assert "kubectl apply -k k8s/runner" in lines
    assert "  - {job_name: private-action-runner, static_configs: [{targets: ['berlin:9017']}]}".strip() in lines


def test_the_guide_prints_the_same_commands() -> None:
    guide = (ROOT / "docs" / "actions.md").read_text()
    assert f"\nmkdir -p runner && {runnerstart.docker()}\n" in guide
    assert f"\n{runnerstart.secret()}\n" in guide


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://plane.example", ()),
        ("http://plane.example", ("insecureControlPlane",)),
        (
            "http://127.0.0.1:8080",
            ("A runner on another machine does not reach http://127.0.0.1:8080", "--network host"),
        ),
    ],
)
def test_what_stands_in_the_way_is_pointed_out(url: str, said: tuple[str, ...]) -> None:
    text = runnerstart.how_to_start("berlin", url)
    words = (
        "insecureControlPlane",
        "A runner on another machine does not reach http://127.0.0.1:8080",
        "--network host",
    )
    assert tuple(word for word in words if word in text) == said
