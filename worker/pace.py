"""Runs begin one after another, a little apart. Tests that were pulled together and are answered after the same time would all be
answered at once, and whoever comes last in the line that then forms would be charged the others' processing as its target's time.
"""

from __future__ import annotations

from worker.clock import Clock

GAP = 0.001
"""Seconds: what a run costs in processor time, twice over. A batch of 500 is under way in half a second."""


class Pace:
    """Shared by all runs of a worker."""

    def __init__(self, clock: Clock, gap: float = GAP) -> None:
        self._clock = clock
        self._gap_ns = round(gap * 1e9)
        self._next_ns = 0

    async def turn(self) -> None:
        """Wait until a run may begin; at once if none began just now."""
        now_ns = self._clock.monotonic_ns()
        mine_ns = max(now_ns, self._next_ns)
        self._next_ns = mine_ns + self._gap_ns
        if mine_ns > now_ns:
            await self._clock.sleep((mine_ns - now_ns) / 1e9)
