"""The frames of the week in which a test runs, on the line of time: local times and time zones → epoch milliseconds.

A frame that begins in the hour that a clock change leaves out begins when that hour would have; in an hour that comes twice, the
first one counts. No clock, no IO but the rules of the time zones, which are kept after they were read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from worker.apitest.scheduling import DAY, Scheduling, TimeFrame

log = logging.getLogger(__name__)

WEEK = 7 * DAY
LONGEST = 8 * 24 * 3600 * 1000
"""Milliseconds of one span: frames that leave a gap leave it once a week."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Spans of time, each from its beginning up to its end, which no longer belongs to it."""

    frames: tuple[TimeFrame, ...]
    timezone: str

    def spans(self, after: int) -> Iterator[tuple[int, int]]:
        """The spans that end later than *after*, in order and without end. Spans that touch are one."""
        current: tuple[int, int] | None = None
        for start, end in self._each(after):
            if end <= start:
                continue
            if current is None:
                current = start, end
            elif start <= current[1] and current[1] - current[0] < LONGEST:
                current = current[0], max(current[1], end)
            else:
                if current[1] > after:
                    yield current
                current = start, end

    def _each(self, after: int) -> Iterator[tuple[int, int]]:
        zone = _zone(self.timezone)
        day = datetime.fromtimestamp(after / 1000, zone).date() - timedelta(
            days=8
        )  # what touches may have begun a week ago
        while True:
            for frame in self.frames:
                if frame.day == day.isoweekday():
                    yield _instant(day, frame.start, zone), _instant(day, frame.end, zone)
            day += timedelta(days=1)


def is_time_zone(name: str) -> bool:
    """Tell if there are rules for a time zone of this name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def written(scheduling: Scheduling | None) -> str | None:
    """The text by which frames are stored; None where they restrict nothing: there are none, or they cover the week."""
    if scheduling is None or _covers_the_week(scheduling.frames):
        return None
    frames = [[frame.day, frame.start, frame.end] for frame in scheduling.frames]
    return json.dumps({"timezone": scheduling.timezone, "frames": frames})


@lru_cache(maxsize=4096)
def read(text: str) -> Frames:
    """The frames that were `written`."""
    stored = json.loads(text)
    return Frames(tuple(TimeFrame(*frame) for frame in stored["frames"]), stored["timezone"])


def _covers_the_week(frames: tuple[TimeFrame, ...]) -> bool:
    begun = [((frame.day - 1) * DAY + frame.start, frame.end - frame.start) for frame in frames]
    covered = 0
    for start, length in sorted([*begun, *((start - WEEK, length) for start, length in begun)]):
        if start > covered:
            return False
        covered = max(covered, start + length)
    return covered >= WEEK


def _instant(day: date, minutes: int, zone: ZoneInfo) -> int:
    day += timedelta(days=minutes // DAY)
    local = datetime(day.year, day.month, day.day, minutes % DAY // 60, minutes % 60, tzinfo=zone)
    return round(local.timestamp() * 1000)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    """The rules of a time zone that was there when the test was stored; UTC, and a word in the log, where they are gone."""
    if is_time_zone(name):
        return ZoneInfo(name)
    log.error("there are no rules for the time zone %s: taking UTC", name, extra={"action": "time_zone_missing"})
    return ZoneInfo("UTC")
