"""Kernel limits on a process, set from inside it. They hold when native code never returns and the parent hangs.

Nothing here trusts the code that is confined, and nothing is promised that was not tried: `confine` tests each lasting limit
after setting it and names the ones that do not hold on this system, so that the worker can say so. The limits are against cost,
and against what foreign machine code, run by way of a bug, would want next: files, the network, the parent's memory.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final, TypeVar

from msgspec import Struct

from worker.program.hardening import protect_memory
from worker.sandbox.landlock import restrict
from worker.sandbox.memory import bound_memory, go_first
from worker.sandbox.seccomp import install

T = TypeVar("T")

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38

WALL_FACTOR: Final = 4
"""Wall time as a multiple of all CPU that is allowed. Confined work blocks on nothing: only a starved machine comes this far."""


class CPUGrace(Struct, frozen=True, kw_only=True):
    """Seconds of CPU beyond the limit until an exception interrupts, and until the kernel kills."""

    soft: float
    hard: float


class Interrupted(BaseException):
    """The CPU limit of one piece of work, raised between two bytecodes. Not an Exception: the code under it catches those."""


class IntervalTimers:
    """The three interval timers of the process, armed for one piece of work at a time.

    `ITIMER_VIRTUAL` (user time) at the limit raises Interrupted: Python code obeys, and the process survives. `ITIMER_PROF`
    (user and system time, for an engine that churns through memory spends half of its time in the kernel) a little later and
    `ITIMER_REAL` much later have no handler: they end the process.
    """

    def __init__(self, cpu_seconds: float) -> None:
        self._cpu_seconds = cpu_seconds
        self._armed = False
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGVTALRM, self._expire)

    def run(self, work: Callable[[], T], grace: CPUGrace) -> T:
        """Do *work* within the limits. Raises Interrupted, or does not return at all. `stop` before waiting for anything."""
        hard = self._cpu_seconds + grace.hard
        self._arm(self._cpu_seconds + grace.soft, hard, hard * WALL_FACTOR)
        self._armed = True
        try:
            return work()
        finally:
            # A signal that came before this line still raises, inside the caller's try; one that comes after it does nothing.
            self._armed = False

    def stop(self) -> None:
        """Stop the timers. Between pieces of work they may go on: the next `run` arms them anew."""
        self._arm(0, 0, 0)

    def _expire(self, _signal: int, _frame: FrameType | None) -> None:
        if self._armed:
            self._armed = False
            raise Interrupted

    @staticmethod
    def _arm(soft: float, hard: float, wall: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, wall)
        signal.setitimer(signal.ITIMER_PROF, hard)
        signal.setitimer(signal.ITIMER_VIRTUAL, soft)


def ignore_signals() -> None:
    """Ignore what a terminal or a service manager sends to the whole group: the parent decides when this process ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)


def die_with(parent: int) -> bool:
    """Have the kernel kill this process when *parent* dies. False where it cannot; exits if the parent is gone already."""
    bound = _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it died before the line above took effect
        sys.exit(0)
    return bound


def forbid_privileges() -> bool:
    """No program that is executed from here on gains rights by its file's. False where the kernel cannot."""
    return _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def confine(memory_bytes: int) -> tuple[str, ...]:
    """Give up files, sockets, other processes, and memory beyond *memory_bytes* resident, for good; most system calls, too.

    Call it after everything lazy has been imported. Returns what does not hold here, in words for the log.
    """
    held = {
        "no new privileges": forbid_privileges(),
        "an end before the worker's when memory runs out": go_first(),
        "no way to files by name (Landlock)": restrict() and _refused(lambda: next(Path("/").iterdir())),
    }
    missing = [words for words, holds in held.items() if not holds]
    missing += protect_memory()
    _attempt(lambda: bound_memory(memory_bytes))
    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
        _attempt(partial(resource.setrlimit, limit, (0, 0)))
    if not _refused(lambda: os.close(os.dup(0))):
        missing.append("no files, no network")
    if not _refused(lambda: mmap.mmap(-1, memory_bytes).close()):
        missing.append("bounded memory")
    if not (install() and _refused(Path("/").stat)):
        missing.append("a filter of system calls (seccomp)")
    return tuple(missing)


def _attempt(work: Callable[[], object]) -> None:
    with suppress(OSError, ValueError):  # the tests at the end of `confine` find out what that means
        work()


def _refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (OSError, MemoryError):
        return True
    return False


def _prctl(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    done: int = ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
    return done == 0
