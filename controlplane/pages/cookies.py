"""Cookies of the pages: of a session, of a visitor without one, of one at a provider, and a notice. No script can read any."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from controlplane.rest.context import CONTEXT

SESSION = "session"
VISITOR = "visitor"
NOTICE = "notice"
SIGN_ON = "sign-on"
_SECURE_PREFIX = "__Host-"
"""RFC 6265bis §4.1.3.2: no other host and no plain connection can set a cookie of such a name."""
MAX_NOTICE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class PageCookie:
    """*value* None takes the cookie away. *seconds* None keeps it as long as the browser runs."""

    name: str
    value: str | None
    seconds: int | None = None


def read(request: web.Request, name: str) -> str | None:
    """The value of a cookie, by the name that it has on this connection."""
    return request.cookies.get(_name(request, name)) or None


def put(response: web.Response, request: web.Request, cookie: PageCookie) -> None:
    """Set a cookie, or take it away."""
    secure = is_secure(request)
    # Lax: a link in a chat opens a page as who has signed in; forms from elsewhere come without it, besides their token.
    response.set_cookie(
        _name(request, cookie.name),
        cookie.value or "",
        path="/",
        httponly=True,
        secure=secure,
        samesite="Lax",
        max_age=0 if cookie.value is None else cookie.seconds,
    )


def is_secure(request: web.Request) -> bool:
    """Tell if the browser's connection is TLS: ours, or that of what stands before us.

    A header that a visitor forges changes their own cookies alone.
    """
    if request.secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https":
        return True
    return request.host.lower() in _secure_hosts(request)


def _secure_hosts(request: web.Request) -> set[str]:
    context = request.app[CONTEXT]
    parts = (urlsplit(url) for url in context.public_urls)
    return {part.netloc.lower() for part in parts if part.scheme == "https"}


def _name(request: web.Request, name: str) -> str:
    return _SECURE_PREFIX + name if is_secure(request) else name
