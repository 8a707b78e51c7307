"""Silences: the tests that one covers, and the times in which it holds, once or again and again. No clock, no IO but time zones.

The rule of one that comes again is an RRULE (RFC 5545, 3.3.10) of a part of that language in which every rule has occurrences: a
search for the next one of a rule that has none goes on to the year 9999, and nothing would bound it. Times of a rule are local
ones; a window that begins in the hour that a clock change leaves out begins when that hour would have.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from controlplane.alerts.monitor import NOT_MUTED, WITHOUT_END

LONGEST_MINUTES: Final = 366 * 24 * 60
"""Of one window."""
MOST_OCCURRENCES: Final = 5000
"""Windows of one rule that are looked through, from its start or from a point near the moment asked for."""
MOST_COUNT: Final = 1000
"""A rule's COUNT: its windows are counted from the first one."""
_PART: Final = re.compile(r"([A-Z]+)=([A-Z0-9,+-]+)", re.ASCII)
_DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_MONTHS: Final = range(1, 13)


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which alerts are not told: of the test with the public id *test*, of those that bear all *tags*, or of all.

    It begins at *starts*, a local time of *zone* (`2026-11-27T09:30:00`), and holds for *minutes*, None until somebody ends it.
    *rule* is empty where it holds once.
    """

    id: str
    name: str
    test: str | None = None
    tags: tuple[str, ...] = ()
    starts: str
    zone: str = "UTC"
    minutes: int | None = None
    rule: str = ""
    created_at: int = 0
    created_by: str = ""


def covers(silence: Silence, test: str, tags: Collection[str]) -> bool:
    """Tell if *silence* is about the test with the public id *test* and these *tags*."""
    return (silence.test is None or silence.test == test) and set(silence.tags) <= set(tags)


def ends_at(silence: Silence, now: int) -> int:
    """The end of the window of *silence* in which *now* lies (epoch milliseconds), `NOT_MUTED` where it lies in none."""
    begins = read_start(silence.starts)
    if not silence.rule:
        return _end(silence, begins, now)
    assert silence.minutes is not None, "a rule is not accepted without a length"
    first = datetime.fromtimestamp(now / 1000, ZoneInfo(silence.zone)).replace(tzinfo=None)
    first -= timedelta(minutes=silence.minutes, days=1)  # and a day for changes of clocks
    ends = [NOT_MUTED]
    for found in islice(_near(silence.rule, begins, first), MOST_OCCURRENCES):
        if _instant(found, silence.zone) > now:
            break
        ends.append(_end(silence, found, now))
    return max(ends)


def _end(silence: Silence, begins: datetime, now: int) -> int:
    start = _instant(begins, silence.zone)
    end = WITHOUT_END if silence.minutes is None else start + silence.minutes * 60_000
    return end if start <= now < end else NOT_MUTED


def _instant(local: datetime, zone: str) -> int:
    return round(local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).timestamp() * 1000)


def read_start(text: str) -> datetime:
    """The local time that *text* names, to the second. Raises ValueError for anything else."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is not None:
        raise ValueError("it names an offset, and the zone stands for itself")
    return found.replace(microsecond=0)


def check_rule(text: str) -> None:
    """Raise ValueError, with what is not taken, unless *text* is a rule of the part of RRULE that is taken here."""
    parts = _parts(text)
    allowed = _ALLOWED.get(parts.get("FREQ", ""))
    if allowed is None:
        raise ValueError("FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY")
    for name in parts:
        if name not in allowed:
            raise ValueError(f"{name} is not taken with FREQ={parts['FREQ']}")
    _check_numbers(parts)
    _check_days(parts)
    _check_occurrences(parts)


_ENDS: Final = frozenset(("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYMONTH"))
_ALLOWED: Final = {
    "DAILY": _ENDS | {"BYDAY"},
    "WEEKLY": _ENDS | {"BYDAY"},
    "MONTHLY": _ENDS | {"BYDAY", "BYMONTHDAY", "BYSETPOS"},
    "YEARLY": _ENDS | {"BYDAY", "BYMONTHDAY"},
}


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.removeprefix("RRULE:").split(";"):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is not a part of the form NAME=VALUE")
        if match[1] in parts:
            raise ValueError(f"{match[1]} stands twice")
        parts[match[1]] = match[2]
    return parts


def _check_numbers(parts: dict[str, str]) -> None:
    _check_range(parts, "INTERVAL", range(1, 367))
    _check_range(parts, "COUNT", range(1, MOST_COUNT + 1))
    _check_range(parts, "BYMONTH", _MONTHS)
    if "UNTIL" in parts and "COUNT" in parts:
        raise ValueError("COUNT and UNTIL are not taken together")
    if "UNTIL" in parts and not re.fullmatch(r"\d{8}(T\d{6})?", parts["UNTIL"], re.ASCII):
        raise ValueError("UNTIL must be a date, or a date and a time of the zone")
    if parts.get("WKST", "MO") not in _DAYS:
        raise ValueError("WKST must be a day of the week")


def _check_range(parts: dict[str, str], name: str, allowed: range) -> None:
    for value in parts.get(name, str(allowed[0])).split(","):
        if not re.fullmatch(r"[+-]?\d{1,4}", value, re.ASCII) or int(value) not in allowed:
            raise ValueError(f"{name} must be from {allowed[0]} to {allowed[-1]}")


def _check_days(parts: dict[str, str]) -> None:
    ordinals = parts["FREQ"] in ("MONTHLY", "YEARLY")
    for day in parts.get("BYDAY", "MO").split(","):
        match = re.fullmatch(r"([+-]?[1-4])?([A-Z]{2})", day, re.ASCII)
        if match is None or match[2] not in _DAYS or (match[1] and not ordinals):
            raise ValueError(
                f"BYDAY={day} is not taken: days of the week, from 1 to 4 or -1 to -4 before them in a month"
            )
    for day in parts.get("BYMONTHDAY", "1").split(","):
        if not re.fullmatch(r"[+-]?\d{1,2}", day, re.ASCII) or not 1 <= abs(int(day)) <= 28:
            raise ValueError("BYMONTHDAY must be from 1 to 28 or from -1 to -28: other days are not in every month")
    for position in parts.get("BYSETPOS", "1").split(","):
        if not re.fullmatch(r"[+-]?[1-4]", position, re.ASCII):
            raise ValueError("BYSETPOS must be from 1 to 4 or from -1 to -4")


def _check_occurrences(parts: dict[str, str]) -> None:
    """Refuse what can be combined into a rule that never comes."""
    numbered = [bool(re.search(r"\d", day)) for day in parts.get("BYDAY", "").split(",")]
    if any(numbered) and not all(numbered):  # python-dateutil takes both kinds for conditions on one day
        raise ValueError("BYDAY takes days with numbers or days without, not both")
    if "BYDAY" in parts and "BYMONTHDAY" in parts:
        raise ValueError("BYDAY and BYMONTHDAY are not taken together")
    if "BYSETPOS" in parts and ("BYDAY" not in parts or re.search(r"\d", parts["BYDAY"])):
        raise ValueError("BYSETPOS is taken with days of the week without numbers only")
    frequency, interval = parts["FREQ"], int(parts.get("INTERVAL", "1"))
    if interval > 1 and frequency != "YEARLY" and "BYMONTH" in parts:
        raise ValueError("BYMONTH is taken with INTERVAL=1 only")
    if interval > 1 and frequency == "DAILY" and "BYDAY" in parts:
        raise ValueError("BYDAY is taken with INTERVAL=1 only where FREQ is DAILY")
    if frequency == "YEARLY" and ("BYDAY" in parts or "BYMONTHDAY" in parts) and "BYMONTH" not in parts:
        raise ValueError("BYMONTH is needed with the days of a FREQ=YEARLY")
    if frequency in ("MONTHLY", "YEARLY") and "BYMONTH" in parts and not {"BYDAY", "BYMONTHDAY"} & parts.keys():
        raise ValueError(
            "BYMONTH is taken with days, BYDAY or BYMONTHDAY: that of the start may not be in these months"
        )


def _near(text: str, begins: datetime, wanted: datetime) -> Any:
    """The occurrences of a rule that begins at *begins*, in order, from some time before *wanted* on."""
    from dateutil.rrule import rrulestr  # noqa: PLC0415 - for a silence that comes again alone

    parts = _parts(text)
    if "COUNT" not in parts:
        begins = _skipped(begins, wanted, parts)
    until = parts.pop("UNTIL", None)
    rest = ";".join(f"{name}={value}" for name, value in parts.items())
    occurrences = rrulestr(rest, dtstart=begins)
    return occurrences if until is None else (found for found in _until(occurrences, until))


def _skipped(begins: datetime, wanted: datetime, parts: dict[str, str]) -> datetime:
    """A later start of the same occurrences, but for those well before *wanted*."""
    interval = int(parts.get("INTERVAL", "1"))
    if parts["FREQ"] in ("DAILY", "WEEKLY"):
        step = interval * (1 if parts["FREQ"] == "DAILY" else 7)
        return begins + timedelta(days=step * max(0, (wanted - begins).days // step - 1))
    if "BYDAY" not in parts and "BYMONTHDAY" not in parts:
        return begins  # its day is the rule's, and it comes twelve times a year at most
    step = interval * (1 if parts["FREQ"] == "MONTHLY" else 12)
    months = (wanted.year - begins.year) * 12 + wanted.month - begins.month
    later = step * max(0, months // step - 1)
    if not later:
        return begins
    years, month = divmod(begins.month - 1 + later, 12)
    return begins.replace(year=begins.year + years, month=month + 1, day=1)


def _until(occurrences: Any, until: str) -> Any:
    """Those up to *until*, which is a local time here: the day it names, or the moment."""
    last = datetime.fromisoformat(until if "T" in until else f"{until}T235959")
    for found in occurrences:
        if found > last:
            return
        yield found
