"""Bounds that everything signed has, whichever of the protocols it belongs to, and the one spelling of an instance's id.

It reads nothing: who refuses a value because of a bound says so in its own words.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import msgspec

MAX_SKEW = timedelta(minutes=5)
"""The difference of two clocks that is borne; the same as Amazon's. A longer one only lengthens the life of a stolen request."""
MAX_EXACT = 2**53
"""The largest number that every JSON reader holds exactly."""
MAX_SECONDS = 32_503_680_000
"""Of a NumericDate (RFC 7519 section 2): the year 3000. Corrected by the difference of two dates, it stays within `datetime`."""
NumericDate = Annotated[int, msgspec.Meta(ge=0, le=MAX_SECONDS)]
"""Seconds."""
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_instance(text: str) -> bool:
    """Tell if *text* is a UUID in its canonical spelling (RFC 9562 section 4), of whatever version."""
    return _UUID.fullmatch(text) is not None
