"""One-time passwords from a shared secret and the time: HOTP (RFC 4226) and TOTP (RFC 6238), with authenticator apps' SHA-1.

cryptography has both for 6 to 8 digits; the language allows 4 to 10, hence our own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from worker.apitest.template import ExpressionError
from worker.secret import Secret

DIGITS: Final = (4, 10)
REFRESH: Final = (1, 999)
"""Seconds for which a password holds."""
DEFAULT_DIGITS: Final = 6
DEFAULT_REFRESH: Final = 30
"""Seconds that an authenticator app takes, and that 0 stands for in the reference system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTimeSecret:
    """The base32 text of a shared secret, the *digits* of its passwords, and the seconds (*refresh*) for which each holds."""

    key: Secret[str]
    digits: int = DEFAULT_DIGITS
    refresh: int = DEFAULT_REFRESH

    def password(self, at: datetime) -> Secret[str]:
        """Return the password of the moment *at*. Raises ExpressionError where the secret is not base32."""
        counter = int(at.timestamp()) // self.refresh
        return Secret(_hotp(_decoded(self.key.reveal()), counter, self.digits))


def _decoded(text: str) -> bytes:
    """The bytes of base32 as people paste it: in any case, in groups, without padding."""
    plain = "".join(text.split()).replace("-", "").rstrip("=").upper()
    try:
        key = base64.b32decode(plain + "=" * (-len(plain) % 8))
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ExpressionError("has a secret that is not valid base32")
    return key


def _hotp(key: bytes, counter: int, digits: int) -> str:
    """RFC 4226 §5.3."""
    digest = hmac.new(key, counter.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)
