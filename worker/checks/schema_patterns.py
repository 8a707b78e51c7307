"""ECMA-262 patterns in a JSON Schema: where they stand, which of them another engine reads differently, and how that one says the
same.

`pattern` can be left to a JavaScript engine. The names of `patternProperties` cannot, as the validator itself decides by them on
`additionalProperties`: they are translated. What cannot be said is left as it stands, and refused by the validator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_DATA: Final = frozenset({"const", "default", "enum", "examples"})
"""Keywords whose values are no schemas, whatever they look like."""
_MAPS: Final = frozenset(
    {"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"}
)
"""Keywords whose members are named by the author, each with a schema."""

_TOKEN: Final = re.compile(r"\\k<[^>]*>|\\.|\[\^?(?:\\.|[^\]\\])*\]|.", re.DOTALL)
"""An escape, a class, or one other character."""
_CLASS_TOKEN: Final = re.compile(r"\\[pP]\{[^}]*\}|\\.|.", re.DOTALL)
_DIFFERENT: Final = re.compile(r"\.|\\[bBk1-9]")
"""Line ends and words have other bounds there, and groups that took no part match nothing."""

_WORD: Final = "[0-9A-Za-z_]"
_AT_WORD: Final = f"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))"
_NOT_AT_WORD: Final = f"(?:(?<={_WORD})(?={_WORD})|(?<!{_WORD})(?!{_WORD}))"
_OUTSIDE: Final[Mapping[str, str]] = {
    ".": r"[^\n\r\u2028\u2029]",
    r"\b": _AT_WORD,
    r"\B": _NOT_AT_WORD,
    r"\0": r"\x00",
    "[]": "(?!)",
    "[^]": r"[\s\S]",
    "]": r"\]",
}
_INSIDE: Final[Mapping[str, str]] = {r"\b": r"\x08", r"\0": r"\x00", "[": r"\[", "&": r"\&", "~": r"\~"}
_SETS: Final = frozenset({r"\d", r"\D", r"\s", r"\S", r"\w", r"\W"})


def schemas(document: Any) -> Iterator[dict[str, Any]]:
    """Every schema within *document* that is an object, the outermost first; no deeper call for a deeper one."""
    waiting = [(document, False)]
    while waiting:
        node, is_map = waiting.pop()
        if isinstance(node, dict):
            if not is_map:
                yield node
            waiting += [
                (inner, not is_map and name in _MAPS) for name, inner in node.items() if is_map or name not in _DATA
            ]
        elif isinstance(node, list):
            waiting += [(each, False) for each in node]


def differs(source: str) -> bool:
    """True if another engine than JavaScript's may read *source* differently, although it takes it."""
    return any(_DIFFERENT.fullmatch(token[:2]) is not None for token in _TOKEN.findall(source))


def translated(source: str) -> str:
    """*source* as the validator's own engine reads it with JavaScript's meaning, where it can."""
    return "".join(map(_outside, _TOKEN.findall(source)))


def _outside(token: str) -> str:
    if token in _OUTSIDE:
        return _OUTSIDE[token]
    return _class(token) if token.startswith("[") and len(token) > 1 else token


def _class(token: str) -> str:
    """A class; a hyphen beside a set stands for itself, as it begins no range."""
    opening = 2 if token[1] == "^" else 1
    members = _CLASS_TOKEN.findall(token[opening:-1])
    said = []
    for at, member in enumerate(members):
        beside = {*members[max(0, at - 1) : at], *members[at + 1 : at + 2]}
        hyphen = member == "-" and any(each in _SETS or each[:2] in (r"\p", r"\P") for each in beside)
        said.append(r"\-" if hyphen else _INSIDE.get(member, member))
    return f"{token[:opening]}{''.join(said)}]"
