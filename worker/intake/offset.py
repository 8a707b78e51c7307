"""The correction of our clock by the date of a signed reply. A duration is returned; no clock is read here."""

from __future__ import annotations

from datetime import timedelta

CLOCK_TOLERANCE = timedelta(seconds=2)
"""Signed dates are in whole seconds, and a reply may be a second under way."""


def offset_of(difference: timedelta) -> timedelta:
    """The correction of our clock: nothing as long as the difference may come from a date in whole seconds and its way here."""
    return timedelta() if abs(difference) <= CLOCK_TOLERANCE else difference
