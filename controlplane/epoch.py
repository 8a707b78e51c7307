"""The unit of time in the database and on its way there: epoch milliseconds, UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from worker.clock import Clock

DAY_MS = 24 * 3600 * 1000
LATEST = 10**14
"""The year 5138: nobody asks for a later moment, and no outcome is of one."""
_FIRST = round(datetime(1, 1, 2, tzinfo=UTC).timestamp() * 1000)
_LAST = round(datetime(9999, 12, 30, tzinfo=UTC).timestamp() * 1000)


def milliseconds(clock: Clock) -> int:
    """Wall time as the database keeps it."""
    return round(clock.now().timestamp() * 1000)


def moment(stored: int) -> datetime:
    """A time of the database as a date, UTC; what lies outside of the years 1 to 9999 as the nearest one in them."""
    return datetime.fromtimestamp(min(max(stored, _FIRST), _LAST) / 1000, UTC)
