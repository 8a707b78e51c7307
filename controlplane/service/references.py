"""Secrets in documents that are kept as files: left where they are stored, and named by a mark. JSON values in and out: no IO.

`{"$stored": true}` stands for the text that the control plane has in that place. It is what `export` writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controlplane.service.audit import is_secret

STORED = {"$stored": True}
_NAMED = ("id", "name")
"""Members by which an object of a list is the same one before and after."""


def is_stored(value: Any) -> bool:
    return isinstance(value, dict) and list(value) == ["$stored"] and value["$stored"] is True


def without_secrets(value: Any) -> Any:
    """*value* with the mark in place of each secret text; a text that is filled in from a variable is none."""
    if isinstance(value, list):
        return [without_secrets(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: dict(STORED) if is_secret(name, each) and "{{" not in each else without_secrets(each)
        for name, each in value.items()
    }


def with_stored(value: Any, known: Any) -> Any:
    """*value* with what is stored in place of each mark; a mark stays where nothing is."""
    if is_stored(value):
        return known if isinstance(known, str) else value
    if isinstance(value, list):
        others = known if isinstance(known, list) else []
        return [with_stored(each, _counterpart(index, each, others)) for index, each in enumerate(value)]
    if not isinstance(value, dict):
        return value
    members = known if isinstance(known, dict) else {}
    return {name: with_stored(each, members.get(name)) for name, each in value.items()}


def _counterpart(index: int, value: Any, known: list[Any]) -> Any:
    for name in _NAMED:
        if isinstance(value, dict) and name in value:
            return next((one for one in known if isinstance(one, dict) and one.get(name) == value[name]), None)
    return known[index] if index < len(known) else None


def marks(value: Any, path: str = "") -> Iterator[str]:
    """The paths of the marks in *value*."""
    if is_stored(value):
        yield path
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from marks(each, f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from marks(each, f"{path}.{name}" if path else name)
