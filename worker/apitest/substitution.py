"""`startUrlSubstitutionRegex` → what it finds in the URL of an HTTP test, and what comes in its place. It runs no pattern.

Two forms: `regex|replacement`, and that of sed, `s/regex/replacement/modifiers`, with `/` or another mark between its parts. The
mark is a part of the regex where it stands in a group, in a class or behind a backslash, as in the reference system's own example
`s/(https://www.)(.*)/$1extra-$2/`. A text that could be cut in more than one way is a mistake: a guess would ask another URL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from worker.apitest.reading import Node, quote

MEMBER: Final = "startUrlSubstitutionRegex"
"""The override's name, and the member of `config.request` in which it travels."""
MAX_SUBSTITUTION: Final = 10_000
"""Characters of the whole: as many as a pattern of an assertion may have."""
_MODIFIERS: Final = frozenset("gimsuy")
_NO_MARKS: Final = frozenset("\\()[]{}.^$*+?")
"""Signs of patterns, which cannot stand between the parts."""
_FORMS: Final = "must have the form regex|replacement or s/regex/replacement/modifiers"


@dataclass(frozen=True, slots=True, kw_only=True)
class URLSubstitution:
    """JavaScript's `url.replace(new RegExp(pattern, modifiers), replacement)`."""

    pattern: str = field(repr=False)
    replacement: str = field(repr=False)
    modifiers: str = ""


def read_substitution(node: Node) -> URLSubstitution | None:
    """Read the text at *node*; None where it is empty, a mistake, or holds templates that a run replaces first."""
    text = node.text()
    if not text or node.holds_template(text):
        return None
    if len(text) > MAX_SUBSTITUTION:
        node.mistake(f"has {len(text)} characters, more than {MAX_SUBSTITUTION}")
        return None
    found = _of_sed(text) or (None if text.startswith("s/") else _of_pipe(text))
    if found is None:
        mark = "/" if text.startswith("s/") else "|"
        node.mistake(f"{_FORMS}, with \\{mark} for each other {mark} outside of ( ) and [ ], not {quote(text)}")
    elif not found.pattern:
        node.mistake("has an empty regex")
    elif unknown := sorted(set(found.modifiers) - _MODIFIERS):
        node.mistake(f"the modifier {unknown[0]} is not one of {', '.join(sorted(_MODIFIERS))}")
    else:
        return found
    return None


def _of_sed(text: str) -> URLSubstitution | None:
    """The parts behind `s` and its mark, where there are exactly three and the last is made of letters."""
    if len(text) < 2 or text[0] != "s" or text[1].isalnum() or text[1].isspace() or text[1] in _NO_MARKS:
        return None
    mark = text[1]
    parts = _parts(text[2:], mark)
    if len(parts) != 3 or not (parts[2] == "" or (parts[2].isascii() and parts[2].isalpha())):
        return None
    # \/ and \| mean the same to a pattern; another sign may have a meaning of its own behind a backslash.
    pattern = parts[0] if mark in "/|" else parts[0].replace(f"\\{mark}", mark)
    return URLSubstitution(pattern=pattern, replacement=parts[1].replace(f"\\{mark}", mark), modifiers=parts[2])


def _of_pipe(text: str) -> URLSubstitution | None:
    parts = _parts(text, "|")
    return URLSubstitution(pattern=parts[0], replacement=parts[1].replace("\\|", "|")) if len(parts) == 2 else None


def _parts(text: str, mark: str) -> list[str]:
    """*text* cut at each *mark* that is not behind a backslash, nor, in the first part, inside of a group or a class."""
    parts, start, depth, in_class, index = [], 0, 0, False, 0
    while index < len(text):
        sign = text[index]
        if sign == "\\":
            index += 1
        elif sign == mark and depth == 0 and not in_class:
            parts.append(text[start:index])
            start = index + 1
        elif not parts:
            depth, in_class = _inside(sign, depth, in_class=in_class)
        index += 1
    return [*parts, text[start:]]


def _inside(sign: str, depth: int, *, in_class: bool) -> tuple[int, bool]:
    """Count the groups that are open behind *sign* of a pattern, and say whether a class is."""
    if in_class:
        return depth, sign != "]"
    if sign in "()":
        return max(0, depth + (1 if sign == "(" else -1)), False
    return depth, sign == "["
