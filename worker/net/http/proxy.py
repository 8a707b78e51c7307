"""The proxy of a request's own, from its URL and the fields that its author sends with CONNECT. Opens nothing."""

from __future__ import annotations

from dataclasses import replace

from worker.egress.proxy import Proxy
from worker.net.http.error import HTTPError
from worker.net.http.fields import BAD_VALUE, TOKEN, Fields
from worker.net.http.url import shown
from worker.outcome.failure import FailureCode
from worker.secret import Secret

_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
"""Fields by which two servers could frame or route CONNECT differently."""


def proxy_of(url: Secret[str], headers: Fields, *, verify: bool) -> Proxy:
    """Read `scheme://USER:PASSWORD@HOST:PORT`, scheme http, https or socks5. Raises HTTPError, which repeats no secret."""
    try:
        proxy = Proxy.parse(url)
    except ValueError:
        reason = "the URL of the test's proxy is not of the form http, https or socks5://HOST:PORT"
        raise HTTPError(FailureCode.INVALID_REQUEST, reason) from None
    for name, value in headers:
        if TOKEN.fullmatch(name) is None or BAD_VALUE.search(value):
            reason = f"the header {shown(name)!r} of the test's proxy holds a character that no header can carry"
            raise HTTPError(FailureCode.INVALID_CHAR_IN_HEADER, reason)
        if name.lower() in _OURS:
            raise HTTPError(FailureCode.INVALID_REQUEST, f"the test's proxy must not be sent the header {name}")
    return replace(proxy, headers=tuple((name, Secret(value)) for name, value in headers), verify=verify)
