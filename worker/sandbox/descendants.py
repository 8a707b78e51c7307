"""The descendants of this process: found, told to end, stopped and killed, however they hid in sessions and groups of their own.

A process that is the reaper of its orphans (PR_SET_CHILD_SUBREAPER) has every descendant below it in the tree of parents.
They are stopped before they are killed, so that one which forks without end cannot outrun the search.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36
ROUNDS: Final = 200
"""Searches until what forks is caught: each stops whatever the one before has missed."""


def adopt_orphans() -> bool:
    """Become the parent of every descendant whose own parent ends. False where the kernel cannot."""
    if not sys.platform.startswith("linux"):
        return False
    done: int = ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return done == 0


def descendants(of: int) -> list[int]:
    """The process ids below *of*, children before grandchildren."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found, waiting = [], [of]
    while waiting:
        below = children.get(waiting.pop(0), [])
        found += below
        waiting += below
    return found


def signal_all(of: int, number: int) -> None:
    """Send a signal to every descendant that is there now."""
    for pid in descendants(of):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def kill_all() -> dict[int, int]:
    """Kill and reap every descendant of this process, and return when there is none: their statuses by process id."""
    statuses: dict[int, int] = {}
    for _ in range(ROUNDS):
        _stop_all()
        signal_all(os.getpid(), signal.SIGKILL)
        _reap(statuses)
        if not descendants(os.getpid()):
            break
    return statuses


def _stop_all() -> None:
    stopped: set[int] = set()
    for _ in range(ROUNDS):
        found = set(descendants(os.getpid()))
        if found <= stopped:
            return
        for pid in found - stopped:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGSTOP)
        stopped |= found


def _reap(statuses: dict[int, int]) -> None:
    """Wait for the children that were killed."""
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, 0)
            statuses[pid] = status


def _parents() -> Iterator[tuple[int, int]]:
    """Every process and its parent."""
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with suppress(OSError, ValueError, IndexError):
                stat = Path(f"/proc/{entry.name}/stat").read_bytes()
                yield int(entry.name), int(stat.rpartition(b")")[2].split()[1])
