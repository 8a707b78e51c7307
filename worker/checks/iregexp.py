"""I-Regexp (RFC 9485), the patterns of RFC 9535's `match` and `search`, run by the engine of `pattern`.

It refuses nothing that JavaScript takes with the `u` flag, because people write more than I-Regexp has. What neither has is an
error, not an empty match.
"""

from __future__ import annotations

import re
from functools import lru_cache

from worker.checks import pattern
from worker.checks.limits import PATH_PATTERN_SECONDS

_ATOM = re.compile(r"\\.|[\[\].]|[^\\\[\].]+|\\\Z", re.DOTALL)
_OUTSIDE_CLASSES = {".": r"[^\n\r]", r"\-": "-"}


def matches(source: str, text: str) -> bool:
    """True when *source* matches all of *text*. Raises JudgementError where it is not valid, or at a limit."""
    return pattern.test(f"^(?:{as_javascript(source)})$", "u", text, PATH_PATTERN_SECONDS)


def found_in(source: str, text: str) -> bool:
    """True when *source* matches a part of *text*. Raises JudgementError where it is not valid, or at a limit."""
    return pattern.test(as_javascript(source), "u", text, PATH_PATTERN_SECONDS)


@lru_cache(maxsize=128)
def as_javascript(source: str) -> str:
    """Rewrite to ECMA-262 with the `u` flag (RFC 9485 §5.3): a dot is neither line end, and a hyphen needs no escape."""
    written, in_class = [], False
    for atom in _ATOM.findall(source):
        if atom in ("[", "]"):
            in_class = atom == "["
        written.append(atom if in_class else _OUTSIDE_CLASSES.get(atom, atom))
    return "".join(written)
