"""The operators of the language on single values, and the sentence that says why one does not hold.

Numbers are compared as numbers where both sides are numbers, everything else as text. Patterns are searched by an engine that
is handed in, so that this module stays free of it.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import eq
from typing import TypeAlias

from worker.apitest.assertion import Operator, Scalar
from worker.checks.judgement import JudgementError
from worker.checks.values import JSON, comparable, number_of, parsed, same_structure, shown, text_of
from worker.text import cut

Search: TypeAlias = Callable[[str, str], bool]
"""(pattern, text) → whether the pattern is found in the text. Raises JudgementError."""

PATTERNS = (Operator.MATCHES, Operator.DOES_NOT_MATCH)
NEGATIVE = (Operator.IS_NOT, Operator.DOES_NOT_CONTAIN, Operator.DOES_NOT_MATCH)

_POSITIVE_OF = {
    Operator.IS_NOT: Operator.IS,
    Operator.DOES_NOT_CONTAIN: Operator.CONTAINS,
    Operator.DOES_NOT_MATCH: Operator.MATCHES,
}
_COMPLAINTS = {
    Operator.IS: "{subject} is {actual}, not {target}",
    Operator.IS_NOT: "{subject} is {target}, which it must not be",
    Operator.CONTAINS: "{subject} does not contain {target}",
    Operator.DOES_NOT_CONTAIN: "{subject} contains {target}",
    Operator.MATCHES: "{subject} does not match the pattern {target}",
    Operator.DOES_NOT_MATCH: "{subject} matches the pattern {target}",
    Operator.DOES_NOT_EXIST: "{subject} is there",
    Operator.IS_UNDEFINED: "{subject} is there",
    Operator.LESS_THAN: "{subject} is {actual}, not less than {target}",
    Operator.LESS_THAN_OR_EQUAL: "{subject} is {actual}, more than {target}",
    Operator.IS_IN_LESS_THAN: "{subject} is {actual}, not less than {target}",
    Operator.IS_IN_MORE_THAN: "{subject} is {actual}, not more than {target}",
    Operator.MORE_THAN: "{subject} is {actual}, not more than {target}",
    Operator.MORE_THAN_OR_EQUAL: "{subject} is {actual}, less than {target}",
}
_SHOWN = 80
"""Characters of a value within a sentence; the result carries more of it beside the sentence."""


def holds(operator: Operator, actual: JSON, target: Scalar, search: Search) -> bool:
    """True when *actual* satisfies *operator* with *target*. Raises JudgementError where that cannot be told."""
    match operator:
        case Operator.IS:
            return _same(actual, target)
        case Operator.CONTAINS:
            return text_of(target) in text_of(actual)
        case Operator.MATCHES:
            return search(text_of(target), text_of(actual))
        case Operator.IS_NOT | Operator.DOES_NOT_CONTAIN | Operator.DOES_NOT_MATCH:
            return not holds(_POSITIVE_OF[operator], actual, target, search)
        case Operator.DOES_NOT_EXIST | Operator.IS_UNDEFINED:
            return False
        case _:
            return _ordered(operator, actual, target)


def complaint(subject: str, operator: Operator, actual: JSON, target: Scalar) -> str:
    """The sentence that says why it does not hold; *subject*, what was looked at, begins it."""
    return _COMPLAINTS[operator].format(subject=subject, actual=spoken(actual), target=spoken(target))


def spoken(value: JSON) -> str:
    """A value within a sentence: texts in quotation marks, cut, on one line."""
    if isinstance(value, list | dict):
        return str(shown(value, _SHOWN))
    if not isinstance(value, str):
        return text_of(value)
    text = cut(value, _SHOWN)
    return f"'{text}'" if text.isprintable() else repr(text)


def _same(actual: JSON, target: Scalar) -> bool:
    text = text_of(target)
    if text_of(actual) == text:
        return True
    if isinstance(actual, int | float) and not isinstance(actual, bool):
        number = number_of(text)
        return number is not None and eq(*comparable(number, actual))
    if isinstance(actual, list | dict):
        return same_structure(actual, parsed(text))
    return False


def _ordered(operator: Operator, actual: JSON, target: Scalar) -> bool:
    left, right = number_of(actual), number_of(target)
    if left is None or right is None:
        raise JudgementError(f"{spoken(actual if left is None else target)} is not a number")
    left, right = comparable(left, right)
    match operator:
        case Operator.LESS_THAN | Operator.IS_IN_LESS_THAN:
            return left < right
        case Operator.LESS_THAN_OR_EQUAL:
            return left <= right
        case Operator.MORE_THAN | Operator.IS_IN_MORE_THAN:
            return left > right
        case _:
            return left >= right
