"""Globs of a local policy: `*` stays within one part of a text, `**` stands for one or more whole parts.

Matching never goes back further than the last `**`, so a task's text costs at most its length times the pattern's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PartGlob:
    """*separator* divides a text into parts: `.` in names of actions and hosts, `/` in paths and other values."""

    text: str
    separator: str
    parts: tuple[re.Pattern[str] | None, ...]
    """None stands for `**`."""

    def matches(self, text: str) -> bool:
        """Match all of *text*."""
        given = text.split(self.separator)
        at = part = 0
        back: tuple[int, int] | None = None
        while at < len(given):
            if part < len(self.parts) and (pattern := self.parts[part]) is None:
                back = (part, at + 1)
                at, part = at + 1, part + 1
            elif part < len(self.parts) and pattern is not None and pattern.fullmatch(given[at]):
                at, part = at + 1, part + 1
            elif back is not None and back[1] < len(given):
                part, at = back[0] + 1, back[1] + 1
                back = (back[0], back[1] + 1)
            else:
                return False
        return part == len(self.parts)

    def __str__(self) -> str:
        return self.text


def part_glob(text: str, separator: str) -> PartGlob:
    """Raises ValueError for `**` beside other characters of a part."""
    return PartGlob(text, separator, tuple(_part(part) for part in text.split(separator)))


def _part(part: str) -> re.Pattern[str] | None:
    if part == "**":
        return None
    if "**" in part:
        raise ValueError("** stands for whole parts: nothing may stand beside it")
    first, *rest = (re.escape(piece) for piece in part.split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    # Atomic and lazy: each star takes the first fit for what follows it and is never reopened, so no input is slow.
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1])
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)
