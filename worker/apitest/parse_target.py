"""`operator` and `target` of an assertion, as plain comparison has them."""

from __future__ import annotations

import math

from worker.apitest.assertion import ORDER_OPERATORS, Operator, Scalar
from worker.apitest.reading import Node, perhaps, quote

_KNOWN_OPERATORS = frozenset(
    {
        "contains",
        "doesNotContain",
        "doesNotExist",
        "doesNotMatch",
        "is",
        "isInLessThan",
        "isInMoreThan",
        "isNot",
        "isUndefined",
        "lessThan",
        "lessThanOrEqual",
        "matches",
        "md5",
        "moreThan",
        "moreThanOrEqual",
        "sha1",
        "sha256",
        "validates",
        "validatesJSONPath",
        "validatesJSONSchema",
        "validatesXPath",
    }
)
"""Everything that the language has anywhere: only what is not in here may belong to a newer version of it."""


def read_operator(
    node: Node, name: str | None, taken: tuple[Operator, ...], others: tuple[str, ...] = ()
) -> Operator | str | None:
    """The operator; its name where only a newer version may know it; None for a mistake."""
    for each in taken:
        if each.value == name:
            return each
    names = ", ".join((*(each.value for each in taken), *others))
    if not name:
        if not node.present or name == "":
            node.mistake(f"is missing, must be one of {names}")
        return None
    if name not in _KNOWN_OPERATORS:
        meant = perhaps(name, (*(each.value for each in taken), *others)) or perhaps(name, _KNOWN_OPERATORS)
        node.requires(f"the operator {quote(name)} is not known{meant}")
        return name
    node.mistake(f"must be one of {names}, not {quote(name)}")
    return None


def read_target(node: Node, operator: Operator) -> Scalar:
    """The target of most types: a number where the *operator* orders numbers."""
    return read_scalar(node, numeric=operator in ORDER_OPERATORS)


def read_scalar(node: Node, *, numeric: bool) -> Scalar:
    """A target: there, text or a number, and a number (or its text, or a template) where *numeric*."""
    if not node.present:
        node.mistake("is missing")
        return ""
    value = node.scalar()
    if value is None:
        return ""
    if numeric and not _is_numeric(node, value):
        node.mistake(f"must be a number, not {quote(str(value))}")
    return value


def _is_numeric(node: Node, value: Scalar) -> bool:
    if not isinstance(value, str):
        return not isinstance(value, bool)
    return node.holds_template(value) or _is_number(value)


def _is_number(value: str) -> bool:
    try:
        return len(value) <= 400 and "_" not in value and math.isfinite(float(value))
    except ValueError:
        return False
