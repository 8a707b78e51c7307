"""The differences of two JSON values, member by member, with their paths. Secrets are told apart and never told. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from controlplane.service.audit import redacted
from worker.text import cut

MOST_CHARACTERS = 200
"""Of a value that is shown; the rest is cut."""
MOST_DIFFERENCES = 200
"""Of one document; a reader has seen enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """*before* and *after* are JSON texts; None where there is nothing."""

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class _Side:
    """A value, and the same one as it may be shown."""

    value: Any
    shown: Any

    def member(self, name: Any) -> _Side | None:
        if isinstance(self.value, dict) and name not in self.value:
            return None
        if isinstance(self.value, list) and name >= len(self.value):
            return None
        return _Side(self.value[name], self.shown[name] if isinstance(self.shown, (dict, list)) else self.shown)


def _text(side: _Side | None) -> str | None:
    return None if side is None else cut(json.dumps(side.shown, ensure_ascii=False), MOST_CHARACTERS)


def differences(before: Any, after: Any) -> tuple[Difference, ...]:
    """The first differences of two JSON values, in the order of *after*."""
    found = _compared("", _Side(before, redacted(before)), _Side(after, redacted(after)))
    return tuple(one for one, _ in zip(found, range(MOST_DIFFERENCES), strict=False))


def _compared(path: str, before: _Side | None, after: _Side | None) -> Iterator[Difference]:
    if before is None or after is None:
        yield Difference(path=path, before=_text(before), after=_text(after))
        return
    one, other = before.value, after.value
    if isinstance(one, dict) and isinstance(other, dict):
        for name in [*other, *(name for name in one if name not in other)]:
            yield from _compared(f"{path}.{name}" if path else name, before.member(name), after.member(name))
    elif isinstance(one, list) and isinstance(other, list):
        for index in range(max(len(one), len(other))):
            yield from _compared(f"{path}[{index}]", before.member(index), after.member(index))
    elif not _equal(one, other):
        yield Difference(path=path, before=_text(before), after=_text(after))


def _equal(one: Any, other: Any) -> bool:
    """JSON's equality: 60 is 60.0, and no number is true or false."""
    return bool(one == other) and isinstance(one, bool) is isinstance(other, bool)
