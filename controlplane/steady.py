"""SteadyClock: wall time that does not step. Where the machine's clock is set it says so and goes on by the monotonic clock.

It follows when the new time has held for `HELD_SECONDS` and whoever keeps times has moved them. It judges no time to be true.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import RLock

from worker.clock import Clock

log = logging.getLogger(__name__)

STEP_SECONDS = 2.0
"""More than this between two looks is no slew: NTP moves a clock by half a millisecond a second."""
HELD_SECONDS = 300.0
"""For a new time to hold before it is followed: a wrong server, or a person, is mostly corrected within minutes."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Anchor:
    """The time that somebody keeps, for others: it was *zero_ms* (epoch milliseconds) when the clock of *line* showed 0.

    For who is on another line, or on none ("" is none): it is *offset_ms* ahead of the machine's clock.
    """

    line: str
    zero_ms: int
    offset_ms: int

    def holds_on(self, line: str) -> bool:
        """Tell if monotonic time on *line* is that of this anchor."""
        return line != "" and line == self.line

    def is_near(self, other: Anchor, milliseconds: int) -> bool:
        """Tell if *other* says the same, within *milliseconds* of each line's time."""
        same = (self.line, self.offset_ms) == (other.line, other.offset_ms)
        return same and abs(self.zero_ms - other.zero_ms) <= milliseconds

    def moved(self, seconds: float) -> Anchor:
        """The same time, *seconds* later and with the machine's clock."""
        return Anchor(self.line, self.zero_ms + round(seconds * 1000), 0)


class KeptClock:
    """The time that another process keeps, from its *anchor*; the *clock* of the machine where there is none."""

    def __init__(self, clock: Clock, line: str) -> None:
        self._clock = clock
        self._line = line
        self.anchor: Anchor | None = None

    def now(self) -> datetime:
        found, anchor = self._clock.now(), self.anchor
        if anchor is None:
            return found
        if not anchor.holds_on(self._line):
            return found + timedelta(milliseconds=anchor.offset_ms)
        kept = _moment(anchor, self._clock)
        return found if abs((found - kept).total_seconds()) <= STEP_SECONDS else kept

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()

    def age_ns(self, stamp: int) -> int:
        return self._clock.age_ns(stamp)

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


def _moment(anchor: Anchor, clock: Clock) -> datetime:
    return _EPOCH + timedelta(milliseconds=anchor.zero_ms, microseconds=clock.monotonic_ns() // 1000)


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The machine's clock differs by *seconds*, since *since_ns* of the monotonic clock."""

    seconds: float
    since_ns: int


class SteadyClock:
    """A Clock over *clock*. A process takes its times of day from here: a step of the machine's clock moves none of them.

    The loop asks it, and the thread of the database's writer.

    *line* names the line of its monotonic time. One that starts on the line of *before*, the anchor of the last such process,
    goes on by that: the machine's clock may have been set while nobody looked.
    """

    def __init__(self, clock: Clock, line: str = "", before: Anchor | None = None) -> None:
        self._clock = clock
        self._line = line
        self._step: ClockStep | None = None
        self._lock = RLock()
        self.steps = 0
        """Steps of the machine's clock that were noticed."""
        self._anchor(clock.now() if before is None or not before.holds_on(line) else _moment(before, clock))

    def now(self) -> datetime:
        with self._lock:
            return self._now()

    def _now(self) -> datetime:
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
        step = self._step
        return 0.0 if step is None else step.seconds

    def anchor(self) -> Anchor:
        """The time that this clock keeps, for others."""
        now = self.now()
        zero = round(now.timestamp() * 1000) - self._clock.monotonic_ns() // 1_000_000
        return Anchor(self._line, zero, -round(self.ignored_seconds * 1000))

    def held(self) -> timedelta | None:
        """A step in whole seconds that has held for long enough to be followed, None where there is none."""
        self.now()
        step = self._step
        if step is None or self._clock.monotonic_ns() - step.since_ns < HELD_SECONDS * 1e9:
            return None
        return timedelta(seconds=round(step.seconds))

    def follow(self, step: timedelta) -> None:
        """Move on by *step*, which was `held`: times that were kept have been moved by as much."""
        with self._lock:
            self._anchor(self._now() + step)
            self._step = None
            self._now()

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
