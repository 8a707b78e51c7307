"""The bounds on an evaluator: processor time, wall time, memory."""

from __future__ import annotations

from typing import Final

from worker.sandbox.confinement import WALL_FACTOR, CPUGrace

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
"""Address space of one evaluator: 5 MB of XML or of small JSON arrays take 180 MB of it, a bomb must not take the machine's."""
RECYCLE_BYTES: Final = 200 * 1024**2
"""Resident size after a task at which an evaluator is replaced: six times what it starts with."""


def longest_turn(cpu_seconds: float) -> float:
    """Wall time in which the kernel has ended any turn, if its limits hold. *cpu_seconds* is the limit of one assertion.

    A turn may end with two of them: the assertion that began just before its end, and the body's preview.
    """
    return WALL_FACTOR * (TURN_SECONDS + 2 * (cpu_seconds + FOR_ENGINES.hard)) + GUARD_SECONDS
