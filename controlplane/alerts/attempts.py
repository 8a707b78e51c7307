"""The waits between attempts to deliver one notification, and their end. Nobody waits here."""

from __future__ import annotations

import math
from typing import Final

FIRST_SECONDS: Final = 5.0
"""Until the second attempt: a receiver that restarts is back soon."""
LONGEST_SECONDS: Final = 900.0
"""Between two attempts: a receiver that comes back hears within a quarter of an hour."""
GIVE_UP_MS: Final = 24 * 3600 * 1000
"""Milliseconds from the transition on: what nobody could be told for a day is in the list of alerts, and no news any more."""
LONGEST_PAUSE: Final = 60.0
"""Seconds that a receiver is left alone after failures in a row, whatever waits for it."""


def next_wait(attempts: int, asked: float | None, chance: float) -> float:
    """Seconds until the next attempt after *attempts* of them. *asked* is what the receiver wants, *chance* from 0 to 1."""
    usual = min(math.ldexp(FIRST_SECONDS, min(max(attempts, 1) - 1, 20)), LONGEST_SECONDS)
    spread = usual * (0.5 + 0.5 * chance)
    return spread if asked is None else max(spread, asked)


def pause(failures: int, chance: float) -> float:
    """Seconds for which a receiver that failed *failures* times in a row is left alone."""
    return min(math.ldexp(1.0, min(failures, 10)), LONGEST_PAUSE) * (0.5 + 0.5 * chance) if failures else 0.0


def is_over(created_at: int, due_at: int) -> bool:
    """Tell if a notification of *created_at* is given up rather than tried at *due_at*."""
    return due_at - created_at >= GIVE_UP_MS
