"""JSON values as text and as numbers, the way JavaScript writes them: what an assertion compares with its target."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TypeAlias

import orjson

from worker.checks.judgement import JudgementError
from worker.checks.limits import SHOWN
from worker.text import cut

JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"

_NUMBER = re.compile(r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)
_LONGEST_NUMBER = 400
"""Characters that a number is read from: the largest finite one has 309 digits."""


def text_of(value: JSON) -> str:
    """A text as it is, everything else as JSON without spaces, and numbers as JavaScript prints them (1.0 is `1`)."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return _float_text(value)
    return _json(value)


def number_of(value: JSON) -> float | None:
    """A number, or the number that a text spells; None for everything else. A whole number stays exact."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER and _NUMBER.fullmatch(value):
        return int(value) if value.strip().lstrip("+-").isdigit() else float(value)
    return None


def comparable(left: float, right: float) -> tuple[float, float]:
    """Both as doubles where either is one, as JavaScript compares them; two whole numbers stay exact."""
    if isinstance(left, float) == isinstance(right, float):
        return left, right
    try:
        return float(left), float(right)
    except OverflowError:  # a whole number beyond all doubles is compared as it is
        return left, right


def same_structure(left: JSON, right: JSON) -> bool:
    """Equality of JSON values in which true is not 1 and the order of members does not matter."""
    return _json(left, orjson.OPT_SORT_KEYS) == _json(right, orjson.OPT_SORT_KEYS)


def parsed(text: str) -> JSON:
    """The JSON value that *text* spells, or the text itself."""
    try:
        value: JSON = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value


def shown(value: JSON, limit: int = SHOWN) -> str | int | float | bool | None:
    """A value for a result: its type kept where it is a simple one, cut where it is long."""
    if isinstance(value, float) and not math.isfinite(value):
        return _float_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    try:
        return cut(text_of(value), limit)
    except JudgementError:
        return "…"


def _json(value: JSON, option: int = 0) -> str:
    """Raises JudgementError for a value that is nested more deeply than the writer goes (254 levels)."""
    try:
        return orjson.dumps(value, option=option).decode()
    except orjson.JSONEncodeError as error:
        raise JudgementError("the value is nested too deeply to be written as text") from error


def _float_text(number: float) -> str:
    """ECMA-262 Number::toString, for radix 10: decimal notation from 1e-6 to 1e21, the shortest digits that read back."""
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else f"{'-' if number < 0 else ''}Infinity"
    if number == 0 or 1e-6 <= abs(number) < 1e21:
        text = format(Decimal(repr(number)), "f")
        return (text.rstrip("0").rstrip(".") if "." in text else text) if number else "0"
    mantissa, _, exponent = repr(number).partition("e")
    return f"{mantissa.removesuffix('.0')}e{exponent[0]}{exponent[1:].lstrip('0')}" if exponent else mantissa
