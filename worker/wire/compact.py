"""Compact JOSE (RFC 7515 section 7.1, RFC 7516 section 7.1) taken apart: canonical base64url, and headers with each name once.

It raises ValueError with a plain reason; what a header must say, and which key counts, is its callers' to decide.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

CONTENT_TYPE = "application/jose"
"""Of a body that is one token (RFC 7515 section 9.2.1)."""
_BASE64URL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def decode(segment: bytes) -> bytes:
    """The bytes of a segment that `is_base64url`."""
    return base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))


def is_base64url(segment: bytes) -> bool:
    """Canonical: this alphabet, no padding, and no stray bits in the last character (RFC 4648 section 3.5)."""
    if segment.translate(None, _BASE64URL) or len(segment) % 4 == 1:
        return False
    tail = segment[len(segment) // 4 * 4 :]
    return encode(decode(tail)) == tail


def read_header(segment: bytes) -> dict[str, Any]:
    """Read a canonical segment as a JSON object with each name once. Raises ValueError."""
    try:
        header = _DECODER.decode(decode(segment).decode())
    except (ValueError, RecursionError) as error:
        raise ValueError("the header is not JSON with each name once") from error
    if not isinstance(header, dict):
        raise ValueError("the header is not an object")  # noqa: TRY004 - the peer's mistake, not the caller's
    return header


def digest(data: bytes) -> str:
    """SHA-256 of *data* as base64url: how claims name bytes that lie beside them."""
    return encode(hashlib.sha256(data).digest()).decode()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)
