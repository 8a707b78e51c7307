"""Where a control group of version 2 is looked for, from texts of cgroups(7); and one real group, where this system has it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from worker.sandbox.killgroup import make_group, own_group

PURE = "31 23 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
HYBRID = "41 31 0:36 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw"
OLD = "40 31 0:35 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"
GROUPS = "4:memory:/a\n0::/system.slice/runner.service\n"


def machine(root: Path, mounts: str, groups: str = GROUPS, *, place: str = "sys/fs/cgroup", mode: int = 0o755) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mountinfo").write_text(mounts)
    (root / "proc/self/cgroup").write_text(groups)
    folder = root / place / "system.slice/runner.service"
    folder.mkdir(parents=True)
    (folder / "cgroup.procs").touch()
    folder.chmod(mode)
    return folder


def test_the_group_of_this_process_is_found_in_a_pure_and_in_a_hybrid_hierarchy(tmp_path: Path) -> None:
    pure = machine(tmp_path / "pure", f"{OLD}\n{PURE}\n")
    hybrid = machine(tmp_path / "hybrid", f"{OLD}\n{HYBRID}\n", place="sys/fs/cgroup/unified")
    assert (own_group(tmp_path / "pure"), own_group(tmp_path / "hybrid")) == (pure, hybrid)


@pytest.mark.parametrize(
    ("mounts", "groups"), [(OLD, GROUPS), ("", GROUPS), (PURE, "4:memory:/a\n"), (PURE, ""), ("garbage\n - ", GROUPS)]
)
def test_without_version_2_there_is_none(tmp_path: Path, mounts: str, groups: str) -> None:
    machine(tmp_path, mounts, groups)
    assert own_group(tmp_path) is None
    assert make_group(tmp_path) is None


def test_a_system_without_proc_has_none(tmp_path: Path) -> None:
    assert make_group(tmp_path) is None


def test_a_kernel_without_cgroup_kill_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = machine(tmp_path, PURE)
    assert make_group(tmp_path) is None
    assert [each.name for each in folder.iterdir()] == ["cgroup.procs"]


def test_everything_in_a_real_group_is_killed_by_one_write() -> None:
    home = own_group()
    if home is None:
        pytest.skip("no control group of version 2 can be made here")
    stale = home / "command-0"
    stale.mkdir()
    group = make_group()
    assert group is not None
    assert not stale.exists(), "an empty one of a launcher that was killed is cleared away"
    code = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    os.fork()\ntime.sleep(1000)"
    process = subprocess.Popen([sys.executable, "-c", code], preexec_fn=group.enter)  # noqa: PLW1509 - one write
    folder = home / f"command-{os.getpid()}"
    end = time.monotonic() + 30
    try:
        while len((folder / "cgroup.procs").read_text().split()) < 3 and time.monotonic() < end:
            time.sleep(0.01)
        assert len((folder / "cgroup.procs").read_text().split()) == 3
        group.kill()
        assert process.wait(60) == -9
        while (folder / "cgroup.procs").read_text() and time.monotonic() < end:
            time.sleep(0.01)
        assert (folder / "cgroup.procs").read_text() == ""
    finally:
        process.kill()
        group.kill()
    while folder.exists():
        group.remove()
        assert time.monotonic() < end
