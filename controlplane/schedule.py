"""The schedule: the runs of a test at a location, due and missed. Arithmetic on epoch milliseconds: no clock, no IO.

A test runs once in each of its periods (`tick_every`). Periods begin at the test's phase: an offset that is stable for a test and
a location and spreads many tests over the period. A new or edited test is due at once, and then at the first phase that is at
least half a period away.

Exactly one run is next at any time: due at `due_at`, to be started before `until`. What has not started by then is missed, and
is counted; the run after it starts where it ended, so that nothing is caught up on and nothing is left out. After a long
absence many runs are missed as one record with their number, and one is due. A run that is still going keeps the next one
waiting, within that one's period: a test that takes longer than its period misses runs, and never runs beside itself.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timetable:
    """*period* and *offset* in milliseconds; a period begins whenever (time - offset) is a multiple of the period."""

    period: int
    offset: int

    @classmethod
    def of(cls, test: str, location: str, period: int) -> Timetable:
        """The offset is a hash, the same on every machine and for ever."""
        digest = hashlib.sha256(f"{test}\n{location}".encode()).digest()
        return cls(period, int.from_bytes(digest[:8], "big") % period)

    def start_at_or_after(self, moment: int) -> int:
        return moment + (self.offset - moment) % self.period


@dataclass(frozen=True, slots=True)
class Run:
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
    """The first run of a new, edited or resumed test, or one that somebody asked for."""
    return Run(now, timetable.start_at_or_after(now + (timetable.period + 1) // 2))


def in_phase(now: int, timetable: Timetable) -> Run:
    """The first run after *now* in the test's phase: for what was switched off and must not all start together."""
    start = timetable.start_at_or_after(now + 1)
    return Run(start, start + timetable.period)


def following(run: Run, timetable: Timetable) -> Run:
    """The run after *run*, which has been started."""
    return Run(run.until, run.until + timetable.period)


def start_before(run: Run, timetable: Timetable) -> int:
    """Until when *run*, once given out, may start: a whole period, also where the next run is due sooner.

    So that a test's first run, too, can be taken over by another worker when the first one dies.
    """
    return max(run.until, run.due_at + timetable.period)


def settle(run: Run, timetable: Timetable, now: int) -> tuple[Run, Missed | None]:
    """The next run at *now*, given that *run* has not been started; and the runs that have been missed.

    Where *run* lies further ahead than the test's own timetable can put it, the clock was set back: start from its phase again.
    """
    if run.due_at > now + 2 * timetable.period:
        return in_phase(now, timetable), None
    if now < run.until:
        return run, None
    late = (now - run.until) // timetable.period
    due_at = run.until + late * timetable.period
    return Run(due_at, due_at + timetable.period), Missed(late + 1, run.due_at, _last(run, timetable, late))


def _last(run: Run, timetable: Timetable, late: int) -> int:
    return run.due_at if late == 0 else run.until + (late - 1) * timetable.period
