"""Durations for people, in their largest whole unit."""

from __future__ import annotations

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def ago(milliseconds: int) -> str:
    """An age, rounded down."""
    seconds = max(0, milliseconds) // 1000
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def period(milliseconds: int) -> str:
    """A period, exactly."""
    seconds = milliseconds // 1000
    for size, unit in _UNITS:
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
