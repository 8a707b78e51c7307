"""Durations for people, in their largest whole unit, and the moments that they name."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

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


def milliseconds(text: str) -> int:
    """Read `90s`, `30min`, `2h` or `7d`; a bare number is seconds. Raises ValueError."""
    found = re.fullmatch(r"([0-9]{1,9})\s*(s|min|h|d)?", text.strip(), re.ASCII)
    if found is None:
        raise ValueError(text)
    sizes = {unit: size for size, unit in _UNITS} | {"s": 1}
    return int(found[1]) * sizes[found[2] or "s"] * 1000


def moment(text: str, now: datetime) -> datetime:
    """Read `90s`, `30min`, `2h` or `7d` before *now*, or an ISO 8601 date or time, local where it names no zone.

    Raises ValueError.
    """
    found = re.fullmatch(r"([0-9]{1,9})\s*(s|min|h|d)", text.strip(), re.ASCII)
    if found is None:
        return datetime.fromisoformat(text.strip()).astimezone()
    sizes = {unit: size for size, unit in _UNITS} | {"s": 1}
    try:
        return now - timedelta(seconds=int(found[1]) * sizes[found[2]])
    except OverflowError as error:
        raise ValueError(text) from error
