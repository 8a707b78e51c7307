"""A clock that only a test moves. Its own tests are in tests/unit/support/test_fakes.py."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

_START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_START_NS = round(_START.timestamp()) * 1_000_000_000
_SETTLE = 20
"""Turns of the loop given to woken sleepers, so that what they start (and what that starts) has run before time goes on."""


class FakeClock:
    """Wall and monotonic time advance together by `advance`; sleepers wake in order of their deadlines."""

    def __init__(self) -> None:
        self._elapsed_ns = 0
        self._step = timedelta()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        return _START + timedelta(microseconds=self._elapsed_ns / 1000) + self._step

    def monotonic_ns(self) -> int:
        return self._elapsed_ns

    def stamp(self) -> int:
        """What the kernel would write on what arrives now."""
        return _START_NS + self._elapsed_ns + round(self._step.total_seconds() * 1e9)

    def age_ns(self, stamp: int) -> int:
        return self.stamp() - stamp

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_ns + round(seconds * 1e9), next(self._order), future))
        await future

    def step_wall(self, seconds: float) -> None:
        """Move wall time alone, as a wrong NTP server does."""
        self._step += timedelta(seconds=seconds)

    @property
    def sleeping(self) -> int:
        return sum(1 for _, _, future in self._sleepers if not future.done())

    async def advance(self, seconds: float) -> None:
        """Let *seconds* pass: everything that is due runs, at its own time, before this returns."""
        end = self._elapsed_ns + round(seconds * 1e9)
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            deadline, _, future = heapq.heappop(self._sleepers)
            if future.done():
                continue
            self._elapsed_ns = max(self._elapsed_ns, deadline)
            future.set_result(None)
            await self.settle()
        self._elapsed_ns = end

    async def settle(self) -> None:
        for _ in range(_SETTLE):
            await asyncio.sleep(0)

    def stall(self, seconds: float) -> None:
        """Let *seconds* pass without anyone waking, as a blocked event loop does; who was due wakes late, at the next turn."""
        self._elapsed_ns += round(seconds * 1e9)
