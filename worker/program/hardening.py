"""Protection of this process's memory: no core file holds it, and no other process of the same user reads or traces it.

Both last. A process that is not dumpable hands its /proc entries to root, but still lists its own descriptors. A tracer with
CAP_SYS_PTRACE is not kept out. A program that is executed becomes dumpable again and has to ask anew.
"""

from __future__ import annotations

import ctypes
import resource
import sys
from typing import Final

_PR_GET_DUMPABLE: Final = 3
_PR_SET_DUMPABLE: Final = 4

NO_CORE_FILE: Final = "freedom from core files"
NO_TRACER: Final = "memory that no process of the same user may read"


def protect_memory() -> tuple[str, ...]:
    """Set the hard limit of core files and the dumpable attribute to 0.

    Returns what this system does not give, in words for the log.
    """
    missing = []
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError):
        missing.append(NO_CORE_FILE)
    if not _set_undumpable():
        missing.append(NO_TRACER)
    return tuple(missing)


def _set_undumpable() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    dumpable: int = prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0)
    return dumpable == 0
