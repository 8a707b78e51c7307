"""Reading of a whole number in a query, for the API and for pages. Anything else than decimal digits is refused."""

from __future__ import annotations

from collections.abc import Mapping

from controlplane.errors import UnusableError

_MOST_DIGITS = 18


def number_of(query: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    """The number called *name*, from 0 to *most*; *default* where the query has none. Raises UnusableError."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS or int(text) > most:
        raise UnusableError(f"{name}: {text[:40]!r} is not a valid number from 0 to {most}")
    return int(text)
