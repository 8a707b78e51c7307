"""Header fields: names and values, in their order. Names are compared without case (RFC 9110 §5.1)."""

from __future__ import annotations

from typing import Final, TypeAlias

Fields: TypeAlias = tuple[tuple[str, str], ...]

OWS: Final = " \t"
"""Optional whitespace around a value (RFC 9110 §5.6.3). `str.strip` alone would take a dozen others away, no-break spaces too."""


def first_value(fields: Fields, name: str) -> str | None:
    """The value of the first field of that name (in lower case), or None."""
    for key, value in fields:
        if key.lower() == name:
            return value
    return None
