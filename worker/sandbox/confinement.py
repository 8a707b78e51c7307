"""Lasting limits of the kernel on a process, set from inside it. They hold when native code never returns and the parent hangs.

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
from typing import Final

from worker.program.hardening import protect_memory
from worker.sandbox.landlock import restrict
from worker.sandbox.memory import bound_memory, go_first
from worker.sandbox.seccomp import install

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38


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
