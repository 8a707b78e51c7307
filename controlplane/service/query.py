"""The query language of test search: words of a name, `tag:x`, `name:x`, `type:x`, `location:x`, `status:x`; all must hold. Pure.

What is written as `key:value` with another key is a tag of that form, as tags are.
"""

from __future__ import annotations

import re

from controlplane.errors import UnusableError
from controlplane.store.testsearch import SearchTerms

MOST_TERMS = 20
"""Of one query: each is a condition that the database looks at for every test."""
MAX_CHARACTERS = 1000
_TERM = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*")+')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
SUBTYPES = ("http", "ssl", "tcp", "dns", "multi", "icmp", "udp", "websocket", "grpc")
"""Those of the reference system: a definition may be stored before this version can run it."""


def read(text: str) -> SearchTerms:
    """Read a query. An empty one finds everything. Raises UnusableError where it is too long."""
    terms = _TERM.findall(text[: MAX_CHARACTERS + 1])
    if len(text) > MAX_CHARACTERS or len(terms) > MOST_TERMS:
        raise UnusableError(f"text: a query has at most {MAX_CHARACTERS} characters and {MOST_TERMS} terms")
    words, tags, places, subtypes = [], [], [], []
    paused: bool | None = None
    nothing = False
    for key, value in map(_split, terms):
        match key:
            case "" | "name":
                words.append(value)
            case "tag":
                tags.append(value)
            case "location":
                places.append(value)
            case "type" | "subtype" if value in SUBTYPES:
                subtypes.append(value)
            case "type":
                nothing |= value != "api"
            case "status" | "state" if value in ("live", "paused"):
                nothing |= paused is not None and paused is not (value == "paused")
                paused = value == "paused"
            case _:
                tags.append(f"{key}:{value}")
    return SearchTerms(
        words=tuple(words),
        tags=tuple(tags),
        places=tuple(places),
        subtypes=tuple(subtypes),
        paused=paused,
        nothing=nothing,
    )


def _split(term: str) -> tuple[str, str]:
    """The key and the value of a term; a quoted part is taken as it is."""
    key, colon, value = term.partition(":")
    if not colon or '"' in key:
        return "", _plain(term)
    return key, _plain(value)


def _plain(text: str) -> str:
    return _QUOTED.sub(lambda quoted: re.sub(r"\\(.)", r"\1", quoted[1]), text).replace("\x00", "")
