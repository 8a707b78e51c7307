"""SteadyClock: wall time that does not step. Where the machine's clock is set it says so and goes on by the monotonic clock.

It follows when the new time has held for `HELD_SECONDS` and whoever keeps times has moved them. It judges no time to be true.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.clock import Clock

log = logging.getLogger(__name__)

STEP_SECONDS = 2.0
"""More than this between two looks is no slew: NTP moves a clock by half a millisecond a second."""
HELD_SECONDS = 300.0
"""For a new time to hold before it is followed: a wrong server, or a person, is mostly corrected within minutes."""


class OffsetClock:
    """The machine's *clock*, moved by *offset*: that of a command beside a process that does not follow a step."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset = timedelta()

    def now(self) -> datetime:
        return self._clock.now() + self.offset

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()

    def age_ns(self, stamp: int) -> int:
        return self._clock.age_ns(stamp)

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The machine's clock differs by *seconds*, since *since_ns* of the monotonic clock."""

    seconds: float
    since_ns: int


class SteadyClock:
    """A Clock over *clock*. A process takes its times of day from here: a step of the machine's clock moves none of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._step: ClockStep | None = None
        self.steps = 0
        """Steps of the machine's clock that were noticed."""
        self._anchor(clock.now())

    def now(self) -> datetime:
        steady = self._wall + timedelta(microseconds=(self._clock.monotonic_ns() - self._since_ns) / 1000)
        found = self._clock.now()
        seconds = (found - steady).total_seconds()
        if abs(seconds) > STEP_SECONDS:
            self._notice(seconds)
            return steady
        if self._step is not None:
            self._step = None
            log.info("the clock is right again", extra={"action": "clock_returned"})
        self._anchor(found)
        return found

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()

    def age_ns(self, stamp: int) -> int:
        return self._clock.age_ns(stamp)

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    @property
    def ignored_seconds(self) -> float:
        """The difference of the machine's clock that is not followed; 0 where there is none."""
        return 0.0 if self._step is None else self._step.seconds

    def held(self) -> timedelta | None:
        """A step in whole seconds that has held for long enough to be followed, None where there is none."""
        self.now()
        if self._step is None or self._clock.monotonic_ns() - self._step.since_ns < HELD_SECONDS * 1e9:
            return None
        return timedelta(seconds=round(self._step.seconds))

    def follow(self, step: timedelta) -> None:
        """Move on by *step*, which was `held`: times that were kept have been moved by as much."""
        self._anchor(self.now() + step)
        self._step = None
        self.now()

    def _anchor(self, wall: datetime) -> None:
        self._wall = wall
        self._since_ns = self._clock.monotonic_ns()

    def _notice(self, seconds: float) -> None:
        if self._step is not None and abs(seconds - self._step.seconds) <= STEP_SECONDS:
            return
        self._step = ClockStep(seconds, self._clock.monotonic_ns())
        self.steps += 1
        log.warning(
            "the clock was set by %+.1f s: going on as before, and following if it stays so for %.0f s",
            seconds,
            HELD_SECONDS,
            extra={"action": "clock_stepped", "seconds": round(seconds, 3)},
        )
