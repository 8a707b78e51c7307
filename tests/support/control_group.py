"""A control group with a limit of memory, below the one of this process, for processes that a test starts."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support import peers

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
        peers.missing("this process may make no control group with a limit of memory")
    try:
        group.limit_file.write_text(str(bytes_))
        yield group
    finally:
        _remove(group.folder)


def _remove(folder: Path) -> None:
    """The kernel counts a process that has ended for a moment longer."""
    deadline = time.monotonic() + 10
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
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            group = ControlGroup(_below(ROOT, path), 2)
        elif "memory" in controllers.split(","):
            group = ControlGroup(_below(ROOT / "memory", path), 1)
        else:
            continue
        with suppress(OSError):
            group.folder.mkdir()
            if group.limit_file.exists():
                return group
            group.folder.rmdir()  # version 2 without the controller of memory
    return None


def _below(mount: Path, path: str) -> Path:
    return mount / path.strip("/") / f"private-location-test-{os.getpid()}"
