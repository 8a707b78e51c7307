"""The time by which results grow old: that in which the control plane served. Arithmetic on epoch milliseconds: no clock, no IO.

A clock that was set ahead makes no result older, and so does no long absence: when a process starts, nobody can tell one from the
other. When all that is older than the leap has gone, ages are counted from the clock again.
"""

from __future__ import annotations

from dataclasses import dataclass

TOLERATED = 100
"""One part in so many of the retention: a leap below it, as a restart makes one, is time that passed."""


@dataclass(frozen=True, slots=True)
class Ageing:
    """The time *at* which ages were counted from *moment*, which is never later. *leapt* is when time leapt last, 0 for never."""

    at: int
    moment: int
    leapt: int


def aged(before: Ageing | None, now: int, *, passed: int, oldest: int | None, retention: int) -> Ageing:
    """The same at *now*, after *passed* milliseconds of serving. *oldest* is when the oldest result was stored, if any."""
    if before is None:
        return Ageing(now, now, 0)
    moment, leapt = before.moment + now - before.at, before.leapt
    if now - before.at - passed > retention // TOLERATED:
        moment, leapt = before.moment + passed, now
    if oldest is None or oldest >= leapt:
        moment = now
    return Ageing(now, min(now, moment), leapt)
