"""The bounds on an evaluator: processor time, wall time, memory."""

from __future__ import annotations

from typing import Final

from worker.sandbox.timers import WALL_FACTOR, CPUGrace

FOR_PATTERNS: Final = CPUGrace(soft=0.05, hard=0.1)
"""Their engine keeps the limit by itself, within 0.07 s, unless it is still compiling."""
FOR_ENGINES: Final = CPUGrace(soft=0.0, hard=0.3)
"""The soft limit is on user time, the hard one on all of it: where much memory is used, a third is the kernel's."""

TURN_SECONDS: Final = 0.25
"""CPU after which a task makes room for other tests. Its body is parsed again on return, so a turn is well above that cost."""
GUARD_SECONDS: Final = 0.5
"""Wall time that a turn may take beyond all its limits in the kernel before the worker ends the evaluator itself."""
NICENESS: Final = 10
"""Judging can wait, timing cannot: where processors are short, the worker's event loop comes first, nine to one."""

MEMORY_BYTES: Final = 1024**3
"""Resident size of one evaluator where nothing limits all of them: a bomb must not take the machine's memory."""
MIN_MEMORY_BYTES: Final = 64 * 1024**2
"""The least that is any use: an evaluator starts with 21 MiB, most of them shared with all others."""
WORKER_BYTES: Final = 96 * 1024**2
"""Resident size of the worker without bodies, with the process that evaluators are forked from: half more than at their start."""
RECYCLE_BYTES: Final = 200 * 1024**2
"""Resident size after a task at which an evaluator is replaced: nine times what it starts with."""


def share_of_memory(limit_bytes: int | None, evaluators: int, body_bytes: int) -> int:
    """Bytes for each of so many *evaluators* where all processes together have *limit_bytes*, and bodies take *body_bytes*.

    Whatever they judge, all of them and the worker stay below the limit, unless it leaves each less than MIN_MEMORY_BYTES. Half
    is for bodies at most: beyond that the operator has counted on their not being all that large at once.
    """
    if limit_bytes is None:
        return MEMORY_BYTES
    left = limit_bytes - WORKER_BYTES
    share = (left - min(body_bytes, left // 2)) // evaluators
    return max(MIN_MEMORY_BYTES, min(MEMORY_BYTES, share))


def recycle_size(memory_bytes: int) -> int:
    """Resident size at which an evaluator that may take *memory_bytes* is replaced: half of it has to be free for a task."""
    return min(RECYCLE_BYTES, memory_bytes // 2)


def longest_turn(cpu_seconds: float) -> float:
    """Wall time in which the kernel has ended any turn, if its limits hold. *cpu_seconds* is the limit of one assertion.

    A turn may end with two of them: the assertion that began just before its end, and the body's preview.
    """
    return WALL_FACTOR * (TURN_SECONDS + 2 * (cpu_seconds + FOR_ENGINES.hard)) + GUARD_SECONDS
