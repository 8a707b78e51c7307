"""YAML as JSON in another coat: texts, numbers, true, false, null, lists, objects. A date or a `yes` is a text, as in YAML 1.2.

It makes no objects of tags, and refuses what JSON cannot say: two members of one name, and names that are no texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from controlplane.errors import NotYAMLError

MOST_VALUES = 1_000_000
"""Of one file. An alias counts as what it stands for: nine lines can stand for a thousand million values."""
MOST_LEVELS = 100
_STANDARD = "tag:yaml.org,2002:"
_TAGS = ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "value")
"""Tags that a value is taken for before it is read here; any other was written on purpose."""
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, slots=True)
class YAMLDocument:
    """A value, and the *line* at which it begins."""

    line: int
    value: Any


def read(data: bytes) -> Iterator[YAMLDocument]:
    """Yield the documents of a file. Raises NotYAMLError."""
    import yaml  # noqa: PLC0415 - few files are YAML

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    budget = _Budget()
    try:
        for root in yaml.compose_all(data, Loader=loader):
            if root is not None:
                yield YAMLDocument(_line(root), _value(root, budget, 0))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NotYAMLError(1 if mark is None else mark.line + 1, error.problem or "something is wrong") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise NotYAMLError(1, str(error).splitlines()[0]) from error


@dataclass(slots=True)
class _Budget:
    left: int = MOST_VALUES


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _value(node: Any, budget: _Budget, level: int) -> Any:
    budget.left -= 1
    if budget.left < 0 or level > MOST_LEVELS:
        bound = f"more than {MOST_VALUES} values" if budget.left < 0 else f"more than {MOST_LEVELS} levels"
        raise NotYAMLError(_line(node), bound)
    if node.tag.removeprefix(_STANDARD) not in _TAGS:
        raise NotYAMLError(_line(node), f"the tag {node.tag[:40]!r} means nothing here")
    match node.id:
        case "scalar":
            return _scalar(node)
        case "sequence":
            return [_value(each, budget, level + 1) for each in node.value]
    return _members(node, budget, level)


def _members(node: Any, budget: _Budget, level: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        if key.id != "scalar" or key.tag == f"{_STANDARD}merge":
            raise NotYAMLError(_line(key), "the name of a member is not a text")
        if key.value in found:
            raise NotYAMLError(_line(key), f"the member {key.value[:40]!r} is there twice")
        found[key.value] = _value(value, budget, level + 1)
    return found


def _scalar(node: Any) -> Any:
    text: str = node.value
    if node.style or node.tag == f"{_STANDARD}str":
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) < 300:
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text
