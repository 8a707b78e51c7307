"""The unit of time in the database and on its way there: epoch milliseconds, UTC."""

from __future__ import annotations

from worker.clock import Clock


def milliseconds(clock: Clock) -> int:
    """Wall time as the database keeps it."""
    return round(clock.now().timestamp() * 1000)
