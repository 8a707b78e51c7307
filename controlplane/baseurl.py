"""The URL of a control plane: a scheme, a host, perhaps a port and a path; nothing that a path can be put behind otherwise."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from controlplane.errors import UnusableError

_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
"""A host, whose name is ASCII (RFC 5891), and a port: it stands in headers, a page's policy among them."""
_PRINTED = re.compile(r"[!-~]+")


def read(url: str) -> str:
    """Give *url* without a slash at its end. Raises UnusableError."""
    try:
        usable = _is_base(urlsplit(url)) and _PRINTED.fullmatch(url) is not None
    except ValueError:
        usable = False
    if not usable:
        raise UnusableError(
            f"{url[:200]!r} is not a valid URL: expected http(s)://host[:port][/path]", field="intake_url"
        )
    return url.rstrip("/")


def _is_base(parts: SplitResult) -> bool:
    """Raises ValueError for a port that is none."""
    place = parts.scheme in ("http", "https") and _AUTHORITY.fullmatch(parts.netloc) is not None and parts.port != 0
    return place and not parts.query and not parts.fragment
