"""Forms of JSONPath that its readers in JavaScript take and no standard has, rewritten to what the readers here take.

`===`, `!==`, `%` and `.length` in filters, `[(@.length-1)]`, dotted indices, and dotted names as `.$oid`. What stands in
quotation marks is left alone. It refuses nothing: what it does not know, the readers judge. Where a form has a meaning in RFC
9535 too, that one holds: a member named `length` is that member.
"""

from __future__ import annotations

import math
import re

from worker.checks.values import JSON

LENGTH = "length_or_member"
REMAINDER = "remainder"
"""Functions of a filter that stand for `x.length` and `x % y`; the reader has to know them."""

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|=~\s*/(?:[^/\\]|\\.)*/""", re.DOTALL)
_KEPT = re.compile("\x00([0-9]+)\x00")
_FROM_THE_END = re.compile(r"\[\s*\(\s*@\.length\s*-\s*([1-9][0-9]{0,8})\s*\)\s*\]")
_DOTTED_INDICES = re.compile(r"([^\W\d]\w*|[\]*$])((?:\.(?:0|[1-9][0-9]{0,8}))+)(?![\w-])")
_DOTTED_DOLLAR = re.compile(r"(\.?)\.(\$[\w$]+)")
_STRICT = re.compile(r"(=|!)==(?!=)")
_DOTTED_INDEX = re.compile(r"\.([0-9]+)(?![\w-])")
_PATH = r"@(?:\.[^\W\d]\w*|\[[^\[\]?()]+\])*"
_FILTER_INDICES = re.compile(r"@(?:\.[^\W\d]\w*|\[[^\[\]?()]+\]|\.[0-9]+(?![\w-]))+")
_FILTER_LENGTH = re.compile(rf"({_PATH})\.length(?!\w|-[^\W\d]|\()")
_OPERAND = rf"{LENGTH}\({_PATH}\)|{_PATH}|-?[0-9]+(?:\.[0-9]+)?"
_MODULO = re.compile(rf"({_OPERAND})\s*%\s*({_OPERAND})")


def rewritten(expression: str) -> str:
    """*expression* in forms that the readers take; as it is where it holds none of those above."""
    quoted: list[str] = []

    def keep(found: re.Match[str]) -> str:
        quoted.append(found.group())
        return f"\x00{len(quoted) - 1}\x00"

    if "\x00" in expression:
        return expression
    text = _QUOTED.sub(keep, expression)
    text = _DOTTED_DOLLAR.sub(lambda found: f"{'..' if found.group(1) else ''}['{found.group(2)}']", text)
    text = _FROM_THE_END.sub(r"[-\1]", text)
    text = _STRICT.sub(r"\1=", text)
    text = _FILTER_INDICES.sub(lambda found: _bracketed(found.group()), text)
    text = _FILTER_LENGTH.sub(rf"{LENGTH}(\1)", text)
    text = _MODULO.sub(rf"{REMAINDER}(\1, \2)", text)
    text = _DOTTED_INDICES.sub(lambda found: found.group(1) + _bracketed(found.group(2)), text)
    return _KEPT.sub(lambda found: quoted[int(found.group(1))], text)


def length_or_member(value: JSON, nothing: object) -> object:
    """`value.length` of JavaScript, which counts a text in UTF-16 units; *nothing* where it would be undefined."""
    match value:
        case dict():
            return value.get("length", nothing)
        case str():
            return len(value.encode("utf-16-le", "surrogatepass")) // 2
        case list():
            return len(value)
        case _:
            return nothing


def remainder(dividend: JSON, divisor: JSON, nothing: object) -> object:
    """`dividend % divisor` of JavaScript, which has the dividend's sign; *nothing* where it would be NaN."""
    if isinstance(dividend, bool) or isinstance(divisor, bool):
        return nothing
    if not (isinstance(dividend, int | float) and isinstance(divisor, int | float)):
        return nothing
    try:
        return math.fmod(dividend, divisor)
    except (ValueError, OverflowError):
        return nothing


def _bracketed(steps: str) -> str:
    """`.0` as `[0]`, by which the reader of RFC 9535 also finds an object's member `0`."""
    return _DOTTED_INDEX.sub(r"[\1]", steps)
