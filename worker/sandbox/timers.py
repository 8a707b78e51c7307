"""Limits of the kernel on the CPU and wall time of one piece of work, set by the process that does it.

They hold when native code never returns and the parent hangs. Python code is interrupted; whatever does not obey ends with the
process.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Final, TypeVar

from msgspec import Struct

T = TypeVar("T")

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
