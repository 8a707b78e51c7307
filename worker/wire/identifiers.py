"""Identifiers of what is made all the time: UUIDs of version 7 (RFC 9562 section 5.7), which begin with their moment.

Rows that are made together so lie together in every index of theirs: random ones dirty a page each. Nothing reads the moment
back, and a clock that is wrong costs that neighbourhood and nothing else.
"""

from __future__ import annotations

import secrets

_MOST = (1 << 48) - 1
"""The year 10889, in milliseconds."""


def timed_uuid(now: int) -> str:
    """A new UUID of the moment *now*, in epoch milliseconds; 74 of its bits are random."""
    moment, chance = f"{min(max(now, 0), _MOST):012x}", secrets.token_hex(10)
    variant = "89ab"[int(chance[3], 16) & 3]
    return f"{moment[:8]}-{moment[8:]}-7{chance[:3]}-{variant}{chance[4:7]}-{chance[7:19]}"
