"""The URL of a control plane: a scheme, a host, perhaps a port and a path; nothing that a path can be put behind otherwise."""

from __future__ import annotations

from urllib.parse import urlsplit

from controlplane.errors import UnusableError


def read(url: str) -> str:
    """Give *url* without a slash at its end. Raises UnusableError."""
    parts = urlsplit(url)
    try:
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username is not None:
        raise UnusableError(
            f"{url[:200]!r} is not a valid URL: expected http(s)://host[:port][/path]", field="intake_url"
        )
    return url.rstrip("/")
