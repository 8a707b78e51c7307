"""The worker's own condition while runs go on, so that probe trouble is never reported as target trouble.

It notices an event loop that was late, a wall clock that stepped, and file descriptors that run out, and remembers each for
as long as a run can last. It judges nothing: a run asks `trouble_since` and is marked `unhealthy` with the answer. A loop that
was held may end a run before it comes to look again, so the present is compared with the last look, too.
"""

from __future__ import annotations

import errno
import os
import resource
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from worker.clock import Clock

TICK = 0.1
"""Seconds between looks at the loop: each is a wake-up of a worker that may have nothing else to do."""
LAG = 0.1
"""Seconds by which the loop must be late to be worth a word: phases leave it out, but what a run does next is late by as much."""
STEP = 1.0
"""Seconds by which wall time may part from monotonic time between two ticks before it is a step and not a slew."""
DESCRIPTORS = 0.95
"""The share of the file-descriptor limit beyond which connects fail for our own reasons."""
MEMORY_SHORT = 10.0
"""Seconds without new work after a run that ended for want of memory: what runs may end meanwhile, and give some back."""
REMEMBERED = 1000
"""Troubles kept; at one a tick that is 100 s of uninterrupted trouble."""
DESCRIPTORS_EVERY = 10
"""Ticks between counts of file descriptors: a directory listing, not free."""

Look: TypeAlias = tuple[int, datetime]
"""Both clocks at one moment: monotonic, in nanoseconds, and wall."""


def open_descriptors() -> tuple[int, int]:
    """File descriptors in use, and the soft limit. Where /proc is absent the count is 0: not known."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    try:
        return len(os.listdir("/proc/self/fd")), limit  # noqa: PTH208  # names are enough, Path objects are not free
    except OSError as error:
        return limit if error.errno == errno.EMFILE else 0, limit  # to count them takes one


class Vitals:
    """Watches for as long as `run` runs."""

    def __init__(self, clock: Clock, descriptors: Callable[[], tuple[int, int]] = open_descriptors) -> None:
        self._clock = clock
        self._descriptors = descriptors
        self._troubles: deque[tuple[int, str]] = deque(maxlen=REMEMBERED)
        self._lags: deque[float] = deque([0.0], maxlen=round(10 / TICK))
        self._looked: Look | None = None
        self._few_descriptors = False
        self._memory_short_until_ns = 0

    @property
    def shortage(self) -> str | None:
        """A word for why no more work should be taken on just now, or None."""
        if self._few_descriptors:
            return "file descriptors"
        return "memory" if self._clock.monotonic_ns() < self._memory_short_until_ns else None

    def ran_out_of_memory(self) -> None:
        """Note that a run ended for want of memory: a shortage for `MEMORY_SHORT` seconds."""
        now_ns = self._clock.monotonic_ns()
        self._memory_short_until_ns = now_ns + round(MEMORY_SHORT * 1e9)
        self._note(now_ns, "the worker ran out of memory")

    def look_at_descriptors(self) -> None:
        """Count file descriptors now: a run failed for a reason of this machine."""
        self._count_descriptors(self._clock.monotonic_ns())

    @property
    def worst_lag(self) -> float:
        """Seconds by which the loop was late at worst during the last ten."""
        return max(self._lags)

    def trouble_since(self, monotonic_ns: int) -> str | None:
        """The trouble of this worker since then, in words; the first one if there were several."""
        for when, what in self._troubles:
            if when >= monotonic_ns:
                return what
        return self._trouble_now(monotonic_ns)

    async def run(self) -> None:
        """Watch until cancelled."""
        ticks = 0
        while True:
            before = self._look()
            await self._clock.sleep(TICK)
            after = self._look()
            late = _passed(before, after) - TICK
            self._lags.append(max(0.0, late))
            self._note(after[0], _lateness(late))
            self._note(after[0], _step(before, after))
            ticks += 1
            if ticks % DESCRIPTORS_EVERY == 0:
                self._count_descriptors(after[0])

    def _look(self) -> Look:
        self._looked = self._clock.monotonic_ns(), self._clock.now()
        return self._looked

    def _trouble_now(self, since_ns: int) -> str | None:
        """The trouble that the next tick will find, as far as it concerns a run that began at *since_ns*."""
        if self._looked is None:
            return None
        now = self._clock.monotonic_ns(), self._clock.now()
        late = min(_passed(self._looked, now) - TICK, (now[0] - since_ns) / 1e9)
        return _lateness(late) or _step(self._looked, now)

    def _count_descriptors(self, now_ns: int) -> None:
        used, limit = self._descriptors()
        short = limit > 0 and used > limit * DESCRIPTORS
        self._few_descriptors = short
        if short:
            self._note(now_ns, f"the worker has {used} of {limit} file descriptors in use")

    def _note(self, when_ns: int, trouble: str | None) -> None:
        if trouble is not None:
            self._troubles.append((when_ns, trouble))


def _passed(before: Look, after: Look) -> float:
    return (after[0] - before[0]) / 1e9


def _lateness(seconds: float) -> str | None:
    return f"the worker's event loop was {seconds * 1000:.0f} ms late" if seconds > LAG else None


def _step(before: Look, after: Look) -> str | None:
    seconds = (after[1] - before[1]).total_seconds() - _passed(before, after)
    return f"the worker's clock stepped by {seconds:.1f} s" if abs(seconds) > STEP else None
