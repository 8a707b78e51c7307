"""JSONPaths that only name members and indices (`$.a.b[0]['c d']`), walked directly: what they cost is bounded by their length.

They mean here what jsonpath-ng makes of them. Everything else — wildcards, filters, slices, negative indices, reserved words —
is not a member path and goes to `jsonpath`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

from worker.checks.values import JSON

MemberPath: TypeAlias = tuple[str | int, ...]

_STEP = re.compile(r"""\.?([A-Za-z_][A-Za-z0-9_]*)|\[(0|[1-9][0-9]{0,8})\]|\['([^'"\\*`]+)'\]|\["([^'"\\*`]+)"\]""")
_RESERVED = frozenset(("parent", "where", "wherenot", "true", "false", "length"))
"""Words that a parser may take for something else, and `length`, which arrays have in JavaScript."""
_LONGEST = 500


@lru_cache(maxsize=1024)
def member_path(expression: str) -> MemberPath | None:
    """The steps of *expression*, or None where it is not a member path."""
    if len(expression) > _LONGEST:
        return None
    text = expression.strip()
    position = 1 if text.startswith("$") else 0
    if text[position:].startswith(".") and position == 0:
        return None
    steps: list[str | int] = []
    while position < len(text):
        found = _STEP.match(text, position)
        if found is None or (found.group(1) and not _separated(text, position)):
            return None
        name, index, single, double = found.groups()
        if name in _RESERVED:
            return None
        steps.append(int(index) if index is not None else name or single or double)
        position = found.end()
    return tuple(steps) if text else None


def walk(path: MemberPath, document: JSON) -> list[JSON]:
    """The value that *path* leads to, in a list; an empty list where it leads nowhere."""
    value = document
    for step in path:
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return []
            value = value[step]
        else:
            if not isinstance(value, list) or step >= len(value):
                return []
            value = value[step]
    return [value]


def _separated(text: str, position: int) -> bool:
    """A bare name stands at the beginning or after a dot."""
    return position == 0 or text[position] == "."
