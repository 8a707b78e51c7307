"""Bounds that the machine and its containers set to this process: memory and file descriptors. Reads files of the kernel."""

from __future__ import annotations

import resource
from pathlib import Path

CGROUP_FILES = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Version 2 and version 1, as a container sees its own (cgroups(7))."""
UNBOUNDED = 1 << 60
"""Bytes; version 1 writes more where there is no limit."""


def memory_bytes(meminfo: Path = Path("/proc/meminfo"), cgroup: tuple[Path, ...] = CGROUP_FILES) -> int | None:
    """The memory that this process may use: the container's limit, or the machine's whole; None where neither is told."""
    found = [size for path in cgroup if (size := _limit(path)) is not None]
    total = _total(meminfo)
    return min([*found, *([] if total is None else [total])], default=None)


def descriptors() -> int:
    """The number of files and sockets that this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _limit(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() and int(text) < UNBOUNDED else None


def _total(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    kibibytes = next((line.split()[1] for line in lines if line.startswith("MemTotal:")), None)
    return None if kibibytes is None else int(kibibytes) * 1024
