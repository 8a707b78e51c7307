"""Time as an argument: the one place that reads a clock or sleeps. Everything else is handed a Clock."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for stamps, monotonic time for durations, and sleep."""

    def now(self) -> datetime:
        """Wall time, aware, in UTC: for stamps and signatures, never for durations."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds from an arbitrary start, never going back."""
        ...

    def age_ns(self, stamp: int) -> int:
        """The age of *stamp* in nanoseconds of wall time that the kernel wrote down. Wall time may have been set since: take
        it for what can be true.
        """
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def age_ns(self, stamp: int) -> int:
        return time.time_ns() - stamp

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def heard(bell: asyncio.Event, clock: Clock, seconds: float) -> bool:
    """Wait until *bell* rings, *seconds* at most, when it rings by itself; tell if it rang before.

    One task for each that waits: with a thousand idle runners, two of them and the wait for both were a tenth of their pulls.
    """

    def ring(_: object) -> None:
        bell.set()

    sleeping = asyncio.ensure_future(clock.sleep(seconds))
    sleeping.add_done_callback(ring)
    try:
        await bell.wait()
        return not sleeping.done()
    finally:
        sleeping.remove_done_callback(ring)
        sleeping.cancel()
