"""The schedule: the runs of a test at a location, due and missed. Arithmetic on epoch milliseconds: no clock, no IO.

A test runs once in each of its periods (`tick_every`). Periods begin at the test's phase: an offset that is stable for a test and
a location and spreads many tests over the period. A new or edited test is due at once, and then at the first phase that is at
least half a period away.

Exactly one run is next at any time: due at `due_at`, to be started before `until`. What has not started by then is missed, and
is counted; the run after it starts where it ended, so that nothing is caught up on and nothing is left out. After a long
absence many runs are missed as one record with their number, and one is due. A run that is still going keeps the next one
waiting, within that one's period: a test that takes longer than its period misses runs, and never runs beside itself.

Frames restrict all this to parts of the week: what they leave out is not missed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

FARTHEST = 15 * 24 * 3600 * 1000
"""Milliseconds by which frames can put a run off beyond its period: each comes once a week, and some clock changes."""

PATIENCE = 10_000
"""Milliseconds for which a run may start at least, also beyond the end of its frame: the last one in it is no worse off."""


class Spans(Protocol):
    """The time in which a test may run."""

    def spans(self, after: int) -> Iterator[tuple[int, int]]:
        """The spans [start, end) that end later than *after*, in order and without end."""
        ...


class Timetable(Struct, frozen=True):
    """*period* and *offset* in milliseconds; a period begins whenever (time - offset) is a multiple of the period.

    Outside of *frames* nothing is due; without them, always something.
    """

    period: int
    offset: int
    frames: Spans | None = None

    @classmethod
    def of(cls, test: str, location: str, period: int, frames: Spans | None = None) -> Timetable:
        """The offset is a hash, the same on every machine and for ever."""
        digest = hashlib.sha256(f"{test}\n{location}".encode()).digest()
        return cls(period, int.from_bytes(digest[:8], "big") % period, frames)

    def start_at_or_after(self, moment: int) -> int:
        return moment + (self.offset - moment) % self.period


class Run(Struct, frozen=True):
    """The next run: due at *due_at*, and missed when it has not started before *until*."""

    due_at: int
    until: int


@dataclass(frozen=True, slots=True)
class Missed:
    """*runs* in a row that did not start: the first was due at *first*, the last at *last*."""

    runs: int
    first: int
    last: int


def at_once(now: int, timetable: Timetable) -> Run:
    """The first run of a new, edited or resumed test: as soon as it may run."""
    run = Run(now, timetable.start_at_or_after(now + (timetable.period + 1) // 2))
    if timetable.frames is None:
        return run
    start, end = next(timetable.frames.spans(now))
    return Run(now, _cut(now, run.until, end)) if start <= now else in_phase(now, timetable)


def in_phase(now: int, timetable: Timetable) -> Run:
    """The first run after *now* in the test's phase: for what was switched off and must not all start together."""
    return _from(now + 1, timetable)


def following(run: Run, timetable: Timetable) -> Run:
    """The run after *run*, which has been started."""
    if timetable.frames is not None:
        return _from(run.until, timetable)
    return Run(run.until, run.until + timetable.period)


def _from(moment: int, timetable: Timetable) -> Run:
    """The run of the first period that begins at *moment* or later.

    One that begins outside of the frames is put off to the next frame: to the first period that begins in it, or, in a frame
    without any, to the test's own place in the frame, so that not all begin with it. Runs that are put off together are one.
    """
    due_at = timetable.start_at_or_after(moment)
    if timetable.frames is None:
        return Run(due_at, due_at + timetable.period)
    start, end = next(timetable.frames.spans(due_at))
    if due_at < start:
        due_at = timetable.start_at_or_after(start)
        if due_at >= end:
            due_at = start + timetable.offset % (end - start)
    return Run(due_at, _cut(due_at, due_at + timetable.period, end))


def _cut(due_at: int, until: int, end: int) -> int:
    """The last moment at which a run may start whose frame has an *end*."""
    return max(min(until, end), due_at + PATIENCE)


def start_before(run: Run, timetable: Timetable) -> int:
    """The last moment for *run*, once given out, to start: a whole period after it is due, and within its frame.

    That is so also where the next run is due sooner: so a test's first run, too, can be taken over by another worker when the
    first one dies.
    """
    latest = max(run.until, run.due_at + timetable.period)
    if timetable.frames is None:
        return latest
    start, end = next(timetable.frames.spans(run.due_at))
    return _cut(run.due_at, latest, end) if start <= run.due_at else latest


def settle(run: Run, timetable: Timetable, now: int) -> tuple[Run, Missed | None]:
    """The next run at *now*, given that *run* has not been started; and the runs that have been missed.

    Where *run* lies further ahead than the test's own timetable can put it, the clock was set back: start from its phase again.
    """
    if run.due_at > now + 2 * timetable.period + (FARTHEST if timetable.frames is not None else 0):
        return in_phase(now, timetable), None
    if now < run.until:
        return run, None
    if timetable.frames is not None:
        return _settled_in_frames(run, timetable, now)
    late = (now - run.until) // timetable.period
    due_at = run.until + late * timetable.period
    return Run(due_at, due_at + timetable.period), Missed(late + 1, run.due_at, _last(run, timetable, late))


def _settled_in_frames(run: Run, timetable: Timetable, now: int) -> tuple[Run, Missed]:
    """Do as `settle` does, a whole frame at a time."""
    assert timetable.frames is not None
    missed, last = 1, run.due_at
    after = following(run, timetable)
    while after.until <= now:
        _, end = next(timetable.frames.spans(after.due_at))
        more = max(1, (min(end, now) - after.due_at) // timetable.period)
        missed, last = missed + more, after.due_at + (more - 1) * timetable.period
        after = _from(last + 1, timetable)
    return after, Missed(missed, run.due_at, last)


def _last(run: Run, timetable: Timetable, late: int) -> int:
    return run.due_at if late == 0 else run.until + (late - 1) * timetable.period
