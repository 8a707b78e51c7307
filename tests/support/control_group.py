"""A control group with a limit of memory, below the one of this process, for processes that a test starts."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class ControlGroup:
    folder: Path
    version: int

    @property
    def procs(self) -> Path:
        """The file into which a process writes 0 to enter."""
        return self.folder / "cgroup.procs"

    @property
    def limit_file(self) -> Path:
        return self.folder / ("memory.max" if self.version == 2 else "memory.limit_in_bytes")

    def limit(self, bytes_: int) -> None:
        """Let its processes have so much memory together, and nothing of it on disk."""
        for name in ("memory.swap.max", "memory.swappiness"):
            if (self.folder / name).exists():
                (self.folder / name).write_text("0")
        self.limit_file.write_text(str(bytes_))

    @property
    def oom_kills(self) -> int:
        """How many of its processes the kernel has ended for want of memory."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        lines = (self.folder / name).read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


@contextmanager
def limited_memory(bytes_: int) -> Iterator[ControlGroup]:
    """A group of its own for the length of a test, whose processes have ended by then. Skips where this process may make none."""
    group = _made()
    if group is None:
        pytest.skip("this process may make no control group with a limit of memory")
    try:
        group.limit(bytes_)
        yield group
    finally:
        _remove(group.folder)


def _remove(folder: Path) -> None:
    """The kernel counts a process that has ended for a moment longer."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _made() -> ControlGroup | None:
    for parent, version in _parents():
        folder = parent / f"private-location-test-{os.getpid()}"
        with suppress(OSError):
            if version == 2:
                _hand_down_memory(parent)
            folder.mkdir()
            group = ControlGroup(folder, version)
            if group.limit_file.exists():
                return group
            folder.rmdir()
    return None


def _parents() -> Iterator[tuple[Path, int]]:
    """The places for a group and their version: that of this process, and in version 2 those above it.

    There, a group with processes has no groups with controllers in it, unless it is the highest.
    """
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        relative = Path(path.strip("/"))
        if not controllers:
            yield from ((ROOT / place, 2) for place in (relative, *relative.parents))
        elif "memory" in controllers.split(","):
            yield ROOT / "memory" / relative, 1


def _hand_down_memory(parent: Path) -> None:
    """Let groups in *parent* limit memory: controllers are handed down from one group to those in it. Raises OSError."""
    handed_down = parent / "cgroup.subtree_control"
    if "memory" not in handed_down.read_text().split():
        handed_down.write_text("+memory")
