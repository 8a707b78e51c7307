"""Built-in values of templates: random text, dates and times of the run's start, and the identities of test and run.

The moment and the source of chance are arguments. Formats of dates are moment.js's, in UTC and English; a token of moment.js that
is not here is an error, any other character stands for itself.
"""

from __future__ import annotations

import calendar
import re
import string
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from worker.apitest.template import ExpressionError

MAX_LENGTH: Final = 10_000
"""Characters of one random text: beyond it a test would measure the generator."""
MAX_SHIFT: Final = 1_000_000_000_000
"""Units by which a date or a timestamp may differ from now; no date is left long before that."""

_CALL: Final = re.compile(r"([\w-]+)\((.*)\)", re.DOTALL)
_OFFSET: Final = re.compile(r"([+-]?\d{1,15})\s*([A-Za-z]*)", re.ASCII)
_ALPHABETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "numeric": string.digits,
        "alphabetic": string.ascii_letters,
        "alphanumeric": string.ascii_letters + string.digits,
    }
)
_UNITS: Final[Mapping[str, timedelta]] = MappingProxyType(
    {
        "ms": timedelta(milliseconds=1),
        "s": timedelta(seconds=1),
        "m": timedelta(minutes=1),
        "h": timedelta(hours=1),
        "d": timedelta(days=1),
        "w": timedelta(weeks=1),
    }
)
_MONTHS: Final[Mapping[str, int]] = MappingProxyType({"M": 1, "y": 12})
_SCALES: Final[Mapping[str, int]] = MappingProxyType({"s": 1_000_000, "ms": 1_000})
"""Microseconds of a timestamp's unit."""


class BuiltIns(Struct, frozen=True, kw_only=True):
    """The built-ins of one run, which started *at*. Called with an expression, it is a `template.BuiltIn`."""

    at: datetime
    random: Random
    public_id: str
    result_id: str

    def __call__(self, expression: str) -> str | None:
        """Return the text of *expression*, None where it is no built-in. Raises ExpressionError for wrong arguments."""
        match expression:
            case "uuid":
                return str(uuid.UUID(int=self.random.getrandbits(128), version=4))
            case "public-id":
                return self.public_id
            case "result-id":
                return self.result_id
        call = _CALL.fullmatch(expression)
        if call is None:
            return None
        name, arguments = call.groups()
        if name in _ALPHABETS:
            return _random_text(_ALPHABETS[name], _length(arguments), self.random)
        match name:
            case "date":
                return _date(self.at, arguments)
            case "timestamp":
                return _timestamp(self.at, arguments)
        return None


def _random_text(alphabet: str, length: int, random: Random) -> str:
    """Characters of *alphabet*, each as likely as any other: bytes beyond its last whole multiple are thrown away."""
    fair = 256 - 256 % len(alphabet)
    table = (alphabet * -(-256 // len(alphabet)))[:256].encode()
    text = b""
    while len(text) < length:
        text += random.randbytes(length).translate(table, bytes(range(fair, 256)))
    return text[:length].decode()


def _length(text: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 6 and 1 <= int(digits) <= MAX_LENGTH):
        raise ExpressionError(f"needs a whole number from 1 to {MAX_LENGTH}")
    return int(digits)


def _date(at: datetime, arguments: str) -> str:
    offset, comma, form = arguments.partition(",")
    found = _OFFSET.fullmatch(offset.strip())
    if found is None or not comma or not form.strip():
        raise ExpressionError("needs an offset with its unit and a format, as in date(-1d, YYYY-MM-DD)")
    try:
        return _formatted(_shifted(at, int(found[1]), found[2] or "d"), form.strip())
    except OverflowError:
        raise ExpressionError("leads out of the years 1 to 9999") from None


def _shifted(at: datetime, count: int, unit: str) -> datetime:
    if unit in _UNITS:
        return at + count * _UNITS[unit]
    if unit in _MONTHS:
        return _months_later(at, count * _MONTHS[unit])
    raise ExpressionError(f"has a unit that is not one of {', '.join((*_UNITS, *_MONTHS))}")


def _months_later(at: datetime, months: int) -> datetime:
    """The same day of another month, or its last one where that is shorter."""
    years, month = divmod(at.month - 1 + months, 12)
    year = at.year + years
    if not 1 <= year <= 9999:
        raise OverflowError
    return at.replace(year=year, month=month + 1, day=min(at.day, calendar.monthrange(year, month + 1)[1]))


def _timestamp(at: datetime, arguments: str) -> str:
    offset, comma, unit = (part.strip() for part in arguments.partition(","))
    found = _OFFSET.fullmatch(offset)
    scale = _SCALES.get(unit)
    if found is None or found[2] or not comma or scale is None or abs(int(found[1])) > MAX_SHIFT:
        raise ExpressionError("needs a whole number and a unit, s or ms, as in timestamp(-60, s)")
    since_epoch = round(at.timestamp() * 1_000_000)
    return str(since_epoch // scale + int(found[1]))


def _formatted(at: datetime, form: str) -> str:
    return _TOKEN.sub(lambda found: _token(found, at), form)


def _token(found: re.Match[str], at: datetime) -> str:
    token = found.group()
    if token.startswith("["):
        return token[1:-1]
    write = _TOKENS.get(token)
    if write is None:
        raise ExpressionError(f"has a format with {token}, which is not there yet")
    return write(at)


def _ordinal(number: int) -> str:
    suffix = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _week_of_sunday(at: datetime) -> tuple[int, int]:
    """Year and week as English calendars count them: weeks begin on Sunday, and the first holds 1 January."""
    saturday = at + timedelta(days=6 - at.isoweekday() % 7)
    return saturday.year, (saturday.timetuple().tm_yday - 1) // 7 + 1


_DAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTH_NAMES: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_TOKENS: Final[Mapping[str, Callable[[datetime], str]]] = MappingProxyType(
    {
        "YYYY": lambda at: f"{at.year:04}",
        "YY": lambda at: f"{at.year % 100:02}",
        "Y": lambda at: str(at.year),
        **dict.fromkeys(("y", "yy", "yyy", "yyyy"), lambda at: str(at.year)),
        "Q": lambda at: str((at.month + 2) // 3),
        "Qo": lambda at: _ordinal((at.month + 2) // 3),
        "MMMM": lambda at: _MONTH_NAMES[at.month - 1],
        "MMM": lambda at: _MONTH_NAMES[at.month - 1][:3],
        "MM": lambda at: f"{at.month:02}",
        "Mo": lambda at: _ordinal(at.month),
        "M": lambda at: str(at.month),
        "DDDD": lambda at: f"{at.timetuple().tm_yday:03}",
        "DDDo": lambda at: _ordinal(at.timetuple().tm_yday),
        "DDD": lambda at: str(at.timetuple().tm_yday),
        "DD": lambda at: f"{at.day:02}",
        "Do": lambda at: _ordinal(at.day),
        "D": lambda at: str(at.day),
        "dddd": lambda at: _DAYS[at.isoweekday() % 7],
        "ddd": lambda at: _DAYS[at.isoweekday() % 7][:3],
        "dd": lambda at: _DAYS[at.isoweekday() % 7][:2],
        "do": lambda at: _ordinal(at.isoweekday() % 7),
        "d": lambda at: str(at.isoweekday() % 7),
        "e": lambda at: str(at.isoweekday() % 7),
        "E": lambda at: str(at.isoweekday()),
        "gggg": lambda at: f"{_week_of_sunday(at)[0]:04}",
        "gg": lambda at: f"{_week_of_sunday(at)[0] % 100:02}",
        "ww": lambda at: f"{_week_of_sunday(at)[1]:02}",
        "wo": lambda at: _ordinal(_week_of_sunday(at)[1]),
        "w": lambda at: str(_week_of_sunday(at)[1]),
        "GGGG": lambda at: f"{at.isocalendar().year:04}",
        "GG": lambda at: f"{at.isocalendar().year % 100:02}",
        "WW": lambda at: f"{at.isocalendar().week:02}",
        "Wo": lambda at: _ordinal(at.isocalendar().week),
        "W": lambda at: str(at.isocalendar().week),
        "A": lambda at: "AM" if at.hour < 12 else "PM",
        "a": lambda at: "am" if at.hour < 12 else "pm",
        "HH": lambda at: f"{at.hour:02}",
        "H": lambda at: str(at.hour),
        "hh": lambda at: f"{(at.hour + 11) % 12 + 1:02}",
        "h": lambda at: str((at.hour + 11) % 12 + 1),
        "kk": lambda at: f"{at.hour or 24:02}",
        "k": lambda at: str(at.hour or 24),
        "mm": lambda at: f"{at.minute:02}",
        "m": lambda at: str(at.minute),
        "ss": lambda at: f"{at.second:02}",
        "s": lambda at: str(at.second),
        "SSS": lambda at: f"{at.microsecond // 1_000:03}",
        "SS": lambda at: f"{at.microsecond // 10_000:02}",
        "S": lambda at: str(at.microsecond // 100_000),
        "ZZ": lambda _: "+0000",
        "Z": lambda _: "+00:00",
        "z": lambda _: "UTC",
        "zz": lambda _: "Coordinated Universal Time",
        "X": lambda at: str(int(at.timestamp() // 1)),
        "x": lambda at: str(round(at.timestamp() * 1_000_000) // 1_000),
    }
)
_TOKEN: Final = re.compile(
    # moment.js's own order: in it, the first that fits is taken.
    r"\[[^\[]*\]|Mo|MM?M?M?|Do|DDDo|DD?D?D?|ddd?d?|do?|w[o|w]?|W[o|W]?|Qo?|N{1,5}|YYYYYY|YYYYY|YYYY|YY|y{2,4}|yo?"
    r"|gg(?:ggg?)?|GG(?:GGG?)?|e|E|a|A|hh?|HH?|kk?|mm?|ss?|S{1,9}|x|X|zz?|ZZ?|LTS|LT|LL?L?L?|l{1,4}|Y"
)
