"""Proof that a form came from a page of ours: a token bound to the visitor's cookie, and the browser's own word on the origin.

Pure. The token is made anew for every page (a random pad, and the truth under it), so that compression tells nothing about it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

FIELD = "csrf"
_BYTES = 32


def token(secret: str) -> str:
    """A token for who holds the cookie *secret*."""
    pad = secrets.token_bytes(_BYTES)
    return base64.urlsafe_b64encode(pad + _under(pad, _truth(secret))).decode()


def is_token(secret: str, shown: str) -> bool:
    """Tell if *shown* was made for who holds the cookie *secret*."""
    try:
        raw = base64.urlsafe_b64decode(shown.encode("ascii"))
    except (binascii.Error, ValueError):
        return False
    if len(raw) != 2 * _BYTES:
        return False
    return hmac.compare_digest(_under(raw[:_BYTES], raw[_BYTES:]), _truth(secret))


def is_foreign(headers: Mapping[str, str], host: str, own_urls: Collection[str]) -> bool:
    """Tell if a browser says that a form came from another site. *own_urls* are those by which this one is known.

    Browsers that say nothing are left to the token.
    """
    site = headers.get("Sec-Fetch-Site")  # Fetch Metadata §2.3: a page of the same site is not one of the same origin
    if site is not None and site not in ("same-origin", "none"):
        return True
    origin = headers.get("Origin")
    if origin is None:
        return False
    authorities = {host.lower(), *(urlsplit(url).netloc.lower() for url in own_urls)}
    return urlsplit(origin).netloc.lower() not in authorities  # "null" has none


def _truth(secret: str) -> bytes:
    return hmac.digest(secret.encode("utf-8", "surrogatepass"), b"a form of this visitor", "sha256")


def _under(pad: bytes, value: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(pad, value, strict=True))
