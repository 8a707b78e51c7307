"""Header fields: names and values, in their order. Names are compared without case (RFC 9110 §5.1)."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

Fields: TypeAlias = tuple[tuple[str, str], ...]

OWS: Final = " \t"
"""Optional whitespace around a value (RFC 9110 §5.6.3). `str.strip` alone would take a dozen others away, no-break spaces too."""


TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110 §5.6.2: what a field's name and a method are made of."""
BAD_VALUE: Final = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
"""RFC 9110 §5.5: field values hold visible characters, spaces and tabs. Beyond U+00FF there is no byte to send."""


def first_value(fields: Fields, name: str) -> str | None:
    """The value of the first field of that name (in lower case), or None."""
    for key, value in fields:
        if key.lower() == name:
            return value
    return None
