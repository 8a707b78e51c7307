"""A recorder on the machine's clock, and a count of what was left open, for tests of the way to a target."""

from __future__ import annotations

from pathlib import Path

from worker.clock import SystemClock
from worker.net.recorder import Recorder
from worker.net.stamps import keep_stamping

keep_stamping()  # the one socket that stays open, before anyone counts

CLOCK = SystemClock()


def recorder(seconds: float = 5.0) -> Recorder:
    return Recorder(CLOCK, CLOCK.monotonic_ns() + round(seconds * 1e9))


def open_descriptors() -> int:
    """The number of this process's file descriptors; equal before and after means that nothing leaked.

    /dev/null does not count: libuv keeps one open in each loop, from the first connection on, for the day when none are left.
    """
    return sum(not _leads_to_null(link) for link in Path("/proc/self/fd").iterdir())


def _leads_to_null(link: Path) -> bool:
    try:
        return str(link.readlink()) == "/dev/null"
    except FileNotFoundError:  # the folder's own
        return True
