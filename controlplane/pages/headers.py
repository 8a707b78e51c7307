"""Security headers of every page: no inline script or style, no foreign source, no frame, nothing kept by a cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""Content Security Policy Level 3. Scripts and styles come from files of ours alone: `default-src` covers both."""


def connecting(origins: Sequence[str]) -> str:
    """The policy of a page whose script may ask *origins* besides our own."""
    return f"{CONTENT_SECURITY_POLICY}; connect-src 'self' {' '.join(origins)}"


SECURITY: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        # With `no-referrer`, browsers send `Origin: null` with our own forms (Fetch Standard, "append a request Origin header").
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)

PAGE: Mapping[str, str] = MappingProxyType({**SECURITY, "Cache-Control": "no-store", "Vary": "Cookie, Accept"})
"""Of what is made for one person."""

ASSET: Mapping[str, str] = MappingProxyType({**SECURITY, "Cache-Control": "public, max-age=31536000, immutable"})
"""Of a file whose name changes with its content."""
