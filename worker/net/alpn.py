"""The HTTP versions that a client can offer in a TLS handshake, under their names in ALPN (RFC 7301), best first.

What a server made of an offer is judged by whoever made it.
"""

from __future__ import annotations

from typing import Final, TypeAlias

Offer: TypeAlias = tuple[str, ...]

NAME_OF_HTTP2: Final = "h2"
HTTP1: Final[Offer] = ("http/1.1",)
HTTP2: Final[Offer] = (NAME_OF_HTTP2,)
EITHER: Final[Offer] = (*HTTP2, *HTTP1)
