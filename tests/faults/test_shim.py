"""The preloaded library sets a process's wall clock and spoils its disk, only where and while its page says so."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.shim import Shim, build
from tests.support.peers import peer

READ = "import time; print(time.time())"
WRITE = """
import os, sqlite3, sys
for act in (
    lambda: os.write(os.open(sys.argv[1] + "/file", os.O_CREAT | os.O_WRONLY), b"x"),
    lambda: sqlite3.connect(sys.argv[1] + "/database").execute("CREATE TABLE t (a)"),
):
    try:
        act()
        print("written")
    except (OSError, sqlite3.Error) as error:
        print(error)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("shim"), peer("cc"))


@pytest.fixture
def shim(library: Path, tmp_path: Path) -> Iterator[Shim]:
    (tmp_path / "disk").mkdir()
    made = Shim(library, tmp_path / "page", tmp_path / "disk")
    yield made
    made.close()


def run(shim: Shim, code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, env={**os.environ, **shim.environment}, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def test_the_wall_clock_is_set_and_set_back(shim: Shim) -> None:
    shim.step_clock(-86_400)
    assert abs(float(run(shim, READ)) + 86_400 - time.time()) < 60
    shim.mend()
    assert abs(float(run(shim, READ)) - time.time()) < 60


def test_a_full_disk_is_full_for_files_and_databases_and_only_there(shim: Shim, tmp_path: Path) -> None:
    disk, other = tmp_path / "disk", tmp_path / "other"
    other.mkdir()
    assert run(shim, WRITE, str(disk)).split() == ["written", "written"]
    (disk / "database").unlink()
    shim.fill_disk()
    assert run(shim, WRITE, str(disk)).splitlines() == [
        "[Errno 28] No space left on device",
        "database or disk is full",
    ]
    assert run(shim, WRITE, str(other)).split() == ["written", "written"]


def test_a_slow_disk_takes_its_time_for_each_write(shim: Shim, tmp_path: Path) -> None:
    shim.slow_disk(150)
    timed = "import time; start = time.monotonic()" + WRITE + "print(time.monotonic() - start)"
    assert float(run(shim, timed, str(tmp_path / "disk")).split()[-1]) > 0.45, "a file's write and a database's, synced"
