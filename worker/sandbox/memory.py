"""Memory of this process and of what it runs in: the limit from outside, the bound from inside, and who goes first.

A control group's limit kills (and takes the whole container with it where `memory.oom.group` is set, as Kubernetes does); a bound
on address space makes an allocation fail instead. So the bound has to be reached first.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from worker.sandbox.kernel_files import lines_of

_UNLIMITED: Final = 1 << 60
"""Bytes from which a limit is none: version 1 writes the largest multiple of a page for it."""
FIRST_TO_GO: Final = 1000
"""The highest `oom_score_adj`: the kernel takes this process before any other of the group."""


def memory_limit(root: Path = Path("/")) -> int | None:
    """Bytes that this process and the others of its control group may take together; None if nothing tells.

    The least of the limits of its group and of the groups above it, in either version of control groups, and of the machine's
    own memory. *root* is where /proc and /sys are.
    """
    limits = [*_group_limits(root), *_machine(root)]
    return min(limits, default=None)


def _group_limits(root: Path) -> Iterator[int]:
    for line in lines_of(root / "proc/self/cgroup"):
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0" and not controllers:
            yield from _limits_upwards(root / "sys/fs/cgroup", path, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _limits_upwards(root / "sys/fs/cgroup/memory", path, "memory.limit_in_bytes")


def _limits_upwards(mount: Path, path: str, name: str) -> Iterator[int]:
    """The limits at *path* and above. In a container the path may be the host's, of which only the top is to be seen."""
    relative = Path(path.strip("/"))
    for folder in (relative, *relative.parents):
        for line in lines_of(mount / folder / name):
            if line.isdecimal() and int(line) < _UNLIMITED:
                yield int(line)


def _machine(root: Path) -> Iterator[int]:
    for line in lines_of(root / "proc/meminfo"):
        name, _, amount = line.partition(":")
        if name == "MemTotal":
            yield int(amount.split()[0]) * 1024


def go_first() -> bool:
    """Be the process that the kernel ends when memory runs out. False where it cannot be asked for. Opens a file.

    A process inherits it, and one that is not dumpable may no longer write it.
    """
    adjustment = Path("/proc/self/oom_score_adj")
    try:
        if adjustment.read_text().strip() != str(FIRST_TO_GO):
            adjustment.write_text(str(FIRST_TO_GO))
    except OSError:
        return False
    return True


def bound_memory(resident_bytes: int) -> None:
    """Set a hard limit of address space that lets this process grow to *resident_bytes* and no further. Opens a file.

    What is mapped and not resident (libraries, for the most part) comes on top. Raises OSError or ValueError.
    """
    mapped, resident = _size()
    bytes_ = mapped + max(0, resident_bytes - resident)
    resource.setrlimit(resource.RLIMIT_AS, (bytes_, bytes_))


def _size() -> tuple[int, int]:
    """Bytes of address space and resident bytes; where /proc does not tell, 0 of each."""
    for line in lines_of(Path("/proc/self/statm")):
        pages, resident, *_ = map(int, line.split())
        return pages * os.sysconf("SC_PAGE_SIZE"), resident * os.sysconf("SC_PAGE_SIZE")
    return 0, 0
