"""The end of a run's time, by what its peers take: what the worker was late is given back, up to as much again.

A limit that is over ends nothing at once. The loop runs timers before it asks the kernel, so one that was held finds the end of
the time first, and then the answer that came within it. Therefore a few turns come first, in each of which the loop asks the
kernel without waiting; as long as they bring something that came in time, more follow.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final

from worker.clock import Clock

NANOSECONDS: Final = 1_000_000_000

TURNS: Final = 5
"""Turns of the loop from a limit's end to its word: one to ask the kernel, the others until who waits for that has run."""


class Deadline:
    """The end of one run, over all its hops, *seconds* from now. Every part of the way tells it how late it read."""

    __slots__ = ("_clock", "_counted_ns", "_end_ns", "_most_late_ns", "late_ns", "served")

    def __init__(self, clock: Clock, seconds: float) -> None:
        now, length = clock.monotonic_ns(), round(seconds * NANOSECONDS)
        self._clock = clock
        self._end_ns = now + length
        self._most_late_ns = length
        self._counted_ns = now
        self.late_ns = 0
        """Nanoseconds by which the worker was late in all; the end has moved by as much."""
        self.served = 0
        """Readings of what came before the end."""

    def remaining(self) -> float:
        """Seconds until the end; negative afterwards."""
        return (self._end_ns + self.late_ns - self._clock.monotonic_ns()) / NANOSECONDS

    def excuse_ns(self, nanoseconds: int) -> None:
        """Take note that something was read now that the kernel had *nanoseconds* ago. No moment counts twice."""
        now = self._clock.monotonic_ns()
        self.served += now - nanoseconds <= self._end_ns + self.late_ns
        self.late_ns = min(self._most_late_ns, self.late_ns + max(0, min(nanoseconds, now - self._counted_ns)))
        self._counted_ns = now

    @property
    def trouble(self) -> str | None:
        """The worker's own trouble where it was later than is given back, in words."""
        if self.late_ns < self._most_late_ns:
            return None
        return f"the worker itself was {self.late_ns / 1e6:.0f} ms late in all during the run"

    def limit(self, seconds: float | None = None) -> TimeLimit:
        """Bound what is done inside `async with` to *seconds*, by default to what remains. It raises TimeoutError."""
        return TimeLimit(self, self.remaining() if seconds is None else seconds)


class TimeLimit:
    """Made by `Deadline.limit`."""

    __slots__ = ("_deadline", "_end", "_late_ns", "_loop", "_seconds", "_served", "_timeout", "_timer")

    def __init__(self, deadline: Deadline, seconds: float) -> None:
        self._deadline = deadline
        self._seconds = seconds
        self._timeout = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        self._late_ns = self._deadline.late_ns
        self._served = -1
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.time() + self._seconds
        self._timer: asyncio.Handle = self._loop.call_at(self._end, self._over)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._timeout.__aexit__(kind, error, trace)

    def _over(self) -> None:
        late_ns, served = self._deadline.late_ns, self._deadline.served
        self._end += (late_ns - self._late_ns) / NANOSECONDS
        self._late_ns = late_ns
        if self._end > self._loop.time():
            self._timer = self._loop.call_at(self._end, self._over)
        elif served != self._served:
            self._served = served
            self._turn(TURNS)
        else:
            self._timeout.reschedule(self._loop.time())

    def _turn(self, left: int) -> None:
        self._timer = self._loop.call_soon(self._turn, left - 1) if left else self._loop.call_soon(self._over)
