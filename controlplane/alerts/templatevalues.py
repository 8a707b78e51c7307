"""Values that a message's template names: paths through a result, how a value reads as text, and comparisons.

Nothing is raised: a path that leads nowhere has no value. What a target sent is data here and never read as a template.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

MOST_SEGMENTS: Final = 20
"""Of one path; a result's deepest member has nine."""
MAX_VALUE: Final = 4096
"""Characters of one value: a body that a target sent must leave room for what its author wrote."""
_SEGMENT: Final = re.compile(r"\[([^\[\]]*)\]|([^.\[\]]+)")
_INDEX: Final = re.compile(r"-?[0-9]{1,6}", re.ASCII)


class AbsentValue:
    """The value of a path that leads nowhere."""


ABSENT: Final = AbsentValue()


def segments(path: str) -> tuple[str, ...]:
    """The parts of *path*: `steps.0.name`, `steps[My step].name`, `headers.[content-type]`."""
    found = [match[1] if match[1] is not None else match[2].strip() for match in _SEGMENT.finditer(path)]
    return tuple(found[:MOST_SEGMENTS])


def find(path: Sequence[str], scopes: Sequence[Any]) -> Any:
    """The value at *path* in the innermost of *scopes* that knows its first part; ABSENT where none does.

    A known first part with an unknown one behind it is None, as in the reference system, where it reads as empty.
    """
    if not path:
        return ABSENT
    for scope in reversed(scopes):
        found = _member(scope, path[0])
        if not isinstance(found, AbsentValue):
            return _below(found, path[1:])
    return ABSENT


def _below(value: Any, path: Sequence[str]) -> Any:
    for segment in path:
        value = _member(value, segment)
        if isinstance(value, AbsentValue):
            return None
    return value


def _member(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name, ABSENT)
    if isinstance(value, list):
        return _item(value, name)
    if name == "name" and isinstance(value, str):  # `env.name` is the value of the tag `env`
        return value
    return ABSENT


def _item(items: list[Any], name: str) -> Any:
    """An item by its place, from the end where that is negative, or by its id or its name."""
    if _INDEX.fullmatch(name):
        place = int(name)
        return items[place] if -len(items) <= place < len(items) else ABSENT
    for item in items:
        if isinstance(item, Mapping) and (str(item.get("id")).lower() == name.lower() or item.get("name") == name):
            return item
    return ABSENT


def text_of(value: Any) -> str:
    """*value* as a message shows it."""
    match value:
        case None | AbsentValue():
            text = ""
        case bool():
            text = "true" if value else "false"
        case str():
            text = value
        case float() if value.is_integer() and abs(value) < 1e15:
            text = str(int(value))
        case int() | float():
            text = str(value)
        case _:
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def is_true(value: Any) -> bool:
    """Tell if `{{#if}}` takes *value* for true: Handlebars' own table, in which an empty list is false."""
    return not isinstance(value, AbsentValue) and bool(value)


def contains(value: Any, wanted: Sequence[str]) -> bool:
    """`is_match`: one of *wanted* is in the text of *value*. An empty one asks if there is any text."""
    text = text_of(value)
    return any(each in text if each else bool(text) for each in wanted)


def equals(value: Any, wanted: Sequence[str]) -> bool:
    """`is_exact_match`: *value* is one of *wanted*, numbers by what they are worth."""
    text = text_of(value)
    return any(each == text or _same_number(each, text) for each in wanted)


def _same_number(first: str, second: str) -> bool:
    try:
        return float(first) == float(second)
    except ValueError:
        return False
