"""A control group of a command's own: one write to it kills all its processes at once (`cgroup.kill`, Linux 5.14).

Version 2 alone, below the group of this process, where that may be written; elsewhere there is none, and whoever kills goes by
the tree of processes. It limits nothing.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from worker.sandbox.kernel_files import lines_of

_PREFIX: Final = "command-"
_MOUNT_POINT, _SEPARATOR = 4, "-"
"""The field of mountinfo with the place, and the one before the type (proc_pid_mountinfo(5))."""


class KillGroup:
    """The control group in *folder*, which is there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def enter(self) -> bool:
        """Put this process into the group; False where the kernel does not let it."""
        return _write(self._folder / "cgroup.procs", "0")

    def kill(self) -> None:
        """Kill every process of the group, those that it is just starting too."""
        _write(self._folder / "cgroup.kill", "1")

    def remove(self) -> None:
        """Remove the group once it is empty; one that is not stays for whoever makes the next."""
        with suppress(OSError):
            self._folder.rmdir()


def make_group(root: Path = Path("/")) -> KillGroup | None:
    """A new group below the one of this process, or None where that cannot be had. *root* is where /proc is."""
    home = own_group(root)
    if home is None:
        return None
    for left in home.glob(f"{_PREFIX}*"):  # of a launcher that was killed: an empty one goes
        with suppress(OSError):
            left.rmdir()
    folder = home / f"{_PREFIX}{os.getpid()}"
    try:
        folder.mkdir()
    except OSError:
        return None
    group = KillGroup(folder)
    if (folder / "cgroup.kill").exists():
        return group
    group.remove()
    return None


def own_group(root: Path = Path("/")) -> Path | None:
    """The folder of this process's group of version 2, where a group can be made in it; None elsewhere."""
    mount = next(iter(_mounts(root)), None)
    path = next((line[3:] for line in lines_of(root / "proc/self/cgroup") if line.startswith("0::")), None)
    if mount is None or path is None:
        return None
    folder = mount / path.strip("/")
    return folder if os.access(folder, os.W_OK | os.X_OK) and (folder / "cgroup.procs").exists() else None


def _mounts(root: Path) -> list[Path]:
    found = []
    for line in lines_of(root / "proc/self/mountinfo"):
        fields = line.split(" ")
        with suppress(ValueError, IndexError):
            if fields[fields.index(_SEPARATOR) + 1] == "cgroup2":
                found.append(root / fields[_MOUNT_POINT].lstrip("/"))
    return found


def _write(path: Path, text: str) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
    except OSError:
        return False
    return True
