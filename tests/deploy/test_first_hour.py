"""The first hour by README.md, as far as it installs something: a fresh clone, a terminal, and the image's line.

The other lines are typed by `tests/acceptance/test_first_hour.py`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.engine import Engine
from tests.support.checkout import ROOT
from tests.support.definitions import http_test
from tests.support.pages import shell_blocks
from tests.support.programs import ControlPlane
from tests.support.servers.target import Target
from tests.support.terminal import Terminal
from worker import __version__

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1500)]

INSTALLING = 300.0
"""Seconds for an environment that is made from a package index."""
_BLOCKS = shell_blocks((ROOT / "README.md").read_text())
MAKE_RUN, SERVING, WORKING, DOCKER = _BLOCKS[0][0], _BLOCKS[1], _BLOCKS[3], _BLOCKS[4][0]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True, timeout=60)
    return folder


@pytest.fixture
def terminal(clone: Path) -> Iterator[Terminal]:
    """In the clone, with the interpreter of these tests as `python3` and nothing of their environment."""
    interpreter = Path(sys.executable).resolve().parent
    path = f"{interpreter}{os.pathsep}/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    kept = {
        name: value for name, value in os.environ.items() if name.lower().startswith("pip_") or "proxy" in name.lower()
    }
    opened = Terminal(clone, {**kept, "PATH": path, "HOME": os.environ.get("HOME", "/root"), "LANG": "C.UTF-8"})
    yield opened
    opened.close()


def test_a_fresh_clone_installs_and_shows_results_within_one_terminal(terminal: Terminal) -> None:
    assert (WORKING[:2], SERVING[1]) == ([SERVING[0], "pip install ."], "pip install '.[controlplane]'")
    for command in SERVING[:2]:  # the worker without a control plane is installed into its image
        code, said = terminal.run(command, INSTALLING)
        assert code == 0, said
    for program in ("synthetics-worker", "synthetics-controlplane"):
        code, said = terminal.run(f"{program} --version")
        assert (code, __version__ in said) == (0, True), said

    terminal.type(MAKE_RUN)
    terminal.wait_for("passed  Shop API is healthy", INSTALLING)
    terminal.wait_for("failed  Cloud metadata stays out of reach")
    code, said = terminal.press_ctrl_c()
    assert "drained and clean" in said, said
    assert code in (0, 128 + signal.SIGINT), said  # make's word for an interrupt
    assert "Traceback" not in said


def test_the_line_of_docker_runs_a_first_private_test(
    engine: Engine, control_plane: ControlPlane, target: Target, tmp_path: Path
) -> None:
    """Word by word, in the folder of the file that `location create` wrote, which nobody else may read."""
    control_plane.create_location("worker-config")
    control_plane.push([http_test("first", target.url)], location="worker-config")
    engine.as_docker(tmp_path)
    shell = Terminal(tmp_path, {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"})
    try:
        shell.type(f"{DOCKER} --whitelistedRange.4=127.0.0.1/32")
        (result,) = control_plane.wait_for_results(1)
        assert (result["test"]["name"], result["status"]) == ("first", "passed"), json.dumps(result)
        code, said = shell.press_ctrl_c()
        assert (code, "drained: 0 jobs given back, 0 results not delivered" in said) == (0, True), said
    finally:
        shell.close()
