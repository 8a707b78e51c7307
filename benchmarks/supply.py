"""What a feeding control plane hands out, and when: kinds of jobs, by the number of their definition."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

BACKLOG_SECONDS = 2.0
"""Jobs that nobody asked for in time are dropped: a worker that cannot keep up shows in the counts, not in a growing burst."""
PATIENCE = 0.5
"""Seconds for which a pull waits for a job: less than the second between pulls."""


class Steady:
    """*rate* jobs a second come into being once the first pull has been seen, of *kinds* kinds in turn."""

    def __init__(self, kinds: int, rate: float) -> None:
        self._kinds = kinds
        self._rate = rate
        self._started: float | None = None
        self._made = 0
        self.dropped = 0

    async def take(self, free_slots: int) -> tuple[list[int], bool]:
        """The kinds to hand out, and whether more are due."""
        due = self.due()
        first, self._made = self._made, self._made + min(due, free_slots)
        return [number % self._kinds for number in range(first, self._made)], due > free_slots

    def done(self, kind: int) -> None:
        """Time alone decides."""

    def due(self) -> int:
        """Jobs that wait to be handed out."""
        now = asyncio.get_running_loop().time()
        if self._started is None:
            self._started = now
        due = int((now - self._started) * self._rate) - self._made - self.dropped
        beyond = max(0, due - int(self._rate * BACKLOG_SECONDS))
        self.dropped += beyond
        return due - beyond


class Seats:
    """Jobs of kind 0 at a steady rate; of each other kind so many under way at any time, the next one following a result.

    A pull is answered when there is something to hand out, so that nothing waits for the next second.
    """

    def __init__(self, rate: float, seats: Sequence[int]) -> None:
        self._steady = Steady(1, rate)
        self._interval = 1 / rate
        self._seats = list(seats)
        self.taken = [0] * len(seats)
        """By kind, from kind 1."""
        self._changed = asyncio.Event()

    @property
    def dropped(self) -> int:
        return self._steady.dropped

    def set(self, seats: Sequence[int]) -> None:
        """From now on; what is under way beyond it ends in its own time."""
        self._seats = list(seats)
        self._changed.set()

    async def take(self, free_slots: int) -> tuple[list[int], bool]:
        """The kinds to hand out, and that more will be due."""
        waited = 0.0
        while free_slots and not self._empty() and not self._steady.due() and waited < PATIENCE:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self._interval / 4)
            waited += self._interval / 4
        kinds = self._empty()[:free_slots]
        for kind in kinds:
            self.taken[kind - 1] += 1
        steady, _ = await self._steady.take(free_slots - len(kinds))
        return kinds + steady, True

    def done(self, kind: int) -> None:
        if kind:
            self.taken[kind - 1] -= 1
            self._changed.set()

    def _empty(self) -> list[int]:
        """The kind of each empty seat."""
        free = [max(0, seats - taken) for seats, taken in zip(self._seats, self.taken, strict=True)]
        return [kind for kind, seats in enumerate(free, 1) for _ in range(seats)]
