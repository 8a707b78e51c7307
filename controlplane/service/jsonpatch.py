"""JSON Patch (RFC 6902): a list of operations on a JSON document → the changed one. Pure; what is given stays as it is."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

from controlplane.errors import UnusableError

MOST_OPERATIONS = 200
MAX_CHARACTERS = 8 * 1024 * 1024
"""Of the document at any time: a `copy` of the whole into itself doubles it."""
_WITH_VALUE = frozenset({"add", "replace", "test"})
_WITH_FROM = frozenset({"move", "copy"})


def apply(document: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """Raises UnusableError naming the operation that cannot be done; then nothing is."""
    if len(operations) > MOST_OPERATIONS:
        raise UnusableError(f"data: {len(operations)} operations, and at most {MOST_OPERATIONS} are taken")
    holder = {"": copy.deepcopy(document)}
    for index, operation in enumerate(operations):
        try:
            _step(holder, operation)
        except (UnusableError, RecursionError) as error:
            raise UnusableError(f"data[{index}]: {error}") from error
    return holder[""]


def _step(holder: dict[str, Any], operation: Mapping[str, Any]) -> None:
    name, path = operation.get("op"), _pointer(operation.get("path"), "path")
    if name in _WITH_VALUE and "value" not in operation:
        raise UnusableError(f"{name} needs a value")
    match name:
        case "add":
            _add(holder, path, copy.deepcopy(operation["value"]))
        case "replace":
            _get(holder, path)
            _put(holder, path, copy.deepcopy(operation["value"]))
        case "remove":
            _remove(holder, path)
        case "test":
            if not _equal(_get(holder, path), operation["value"]):
                raise UnusableError("the value at the path is another one")
        case "move" | "copy":
            _carry(holder, _pointer(operation.get("from"), "from"), path, moved=name == "move")
        case _:
            raise UnusableError(f"op {str(name)[:40]!r} is not a valid operation")


def _carry(holder: dict[str, Any], source: list[str], path: list[str], *, moved: bool) -> None:
    value = _get(holder, source)
    if moved and path[: len(source)] == source and path != source:
        raise UnusableError("nothing can be moved into itself")
    if moved:
        _remove(holder, source)
    else:
        value = copy.deepcopy(value)
    _add(holder, path, value)
    if not moved and len(json.dumps(holder[""])) > MAX_CHARACTERS:
        raise UnusableError(f"makes the document larger than {MAX_CHARACTERS} characters")


def _pointer(text: Any, member: str) -> list[str]:
    """RFC 6901 §4. The document is the member "" of its holder, so that each pointer has a parent."""
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise UnusableError(f"{member} is not a valid JSON pointer")
    return ["", *(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])]


def _get(holder: Any, path: Sequence[str]) -> Any:
    found = holder
    for part in path:
        if isinstance(found, list):
            found = found[_index(found, part)]
        elif isinstance(found, dict) and part in found:
            found = found[part]
        else:
            raise UnusableError(f"there is nothing at {_shown(path)}")
    return found


def _add(holder: Any, path: Sequence[str], value: Any) -> None:
    parent, last = _get(holder, path[:-1]), path[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(parent, last, end=1), value)
    else:
        _put(holder, path, value)


def _put(holder: Any, path: Sequence[str], value: Any) -> None:
    parent, last = _get(holder, path[:-1]), path[-1]
    if isinstance(parent, list):
        parent[_index(parent, last)] = value
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise UnusableError(f"{_shown(path[:-1])} has no members")


def _remove(holder: Any, path: Sequence[str]) -> None:
    _get(holder, path)
    parent, last = _get(holder, path[:-1]), path[-1]
    if len(path) == 1:
        raise UnusableError("the whole document cannot be removed")
    del parent[_index(parent, last) if isinstance(parent, list) else last]


def _index(items: Sequence[Any], part: str, *, end: int = 0) -> int:
    digits = part.isascii() and part.isdecimal() and (part == "0" or not part.startswith("0")) and len(part) < 10
    if not digits or int(part) >= len(items) + end:
        raise UnusableError(f"{part[:20]!r} is not a valid index of a list of {len(items)}")
    return int(part)


def _equal(one: Any, other: Any) -> bool:
    """RFC 6902 §4.6: true is no number, which Python's own equality says it is."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True) or (
        _is_number(one) and _is_number(other) and one == other
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(path: Sequence[str]) -> str:
    return "/".join(path)[:80] or "the root"
