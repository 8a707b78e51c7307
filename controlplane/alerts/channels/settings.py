"""Settings as people write them, a MEMBER and its text each → the JSON value that a channel is read from. Pure.

A member of a member has a dot before it, as in `headers.X-Token`; lists have commas between their items.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from controlplane.errors import UnusableError

_LISTS: Final = frozenset({"to", "domains"})
_NUMBERS: Final = frozenset({"port"})
_JSON: Final = frozenset({"payload"})


def pair(text: str) -> tuple[str, str]:
    """Read `MEMBER=VALUE`. Raises UnusableError."""
    member, equals, value = text.partition("=")
    if not equals or not member.strip():
        raise UnusableError("settings: one is not valid: expected MEMBER=VALUE")  # without its text: it may be a secret
    return member.strip(), value


def structured(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The settings of *pairs*. Raises UnusableError."""
    found: dict[str, Any] = {}
    for member, text in pairs:
        outer, dot, inner = member.partition(".")
        into = found.setdefault(outer, {}) if dot else found
        if not isinstance(into, dict):
            raise UnusableError(f"{member}: {outer} has a value of its own already")
        into[inner if dot else member] = _typed(member, text)
    return found


def _typed(member: str, text: str) -> Any:
    if member in _LISTS:
        return [each.strip() for each in text.split(",") if each.strip()]
    if member in _NUMBERS:
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else text
    if member not in _JSON:
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UnusableError(f"{member}: is not valid JSON: {error}") from error
