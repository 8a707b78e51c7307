"""The request of the next hop of a redirect chain (RFC 9110 §15.4). Sends nothing itself.

A hop to another origin (scheme, host or port) loses the author's credentials, Authorization, Cookie and Host, and a later
hop back does not regain them: who controls one hop controls all that come after it.
"""

from __future__ import annotations

from dataclasses import replace

from worker.net.http.request import Outgoing
from worker.net.http.url import Target

MAX_REDIRECTS = 10
"""The reference system's bound."""

_FOLLOWED = frozenset({301, 302, 303, 307, 308})
_SECRETS = frozenset({"authorization", "proxy-authorization", "cookie"})
_OF_THE_BODY = frozenset(
    {
        "content-type",
        "content-length",
        "content-encoding",
        "content-language",
        "content-location",
        "transfer-encoding",
        "expect",
    }
)
"""Fields that say something about a body that is no longer sent (RFC 9110 §15.4)."""


def is_redirect(status: int) -> bool:
    return status in _FOLLOWED


def method_after(status: int, method: str) -> str:
    """303 asks for a GET; 301 and 302 turn a POST into one, as every client does; 307 and 308 change nothing."""
    if status == 303:
        return method if method == "HEAD" else "GET"
    if status in {301, 302} and method == "POST":
        return "GET"
    return method


def next_hop(sent: Outgoing, status: int, target: Target) -> Outgoing:
    """The request that goes to *target* after *sent* was answered with *status*."""
    method = method_after(status, sent.method)
    dropped: frozenset[str] = frozenset()
    if sent.target.origin != target.origin:
        dropped |= _SECRETS | {"host"}
        sent = replace(sent, credentials=None)
    if method != sent.method:
        dropped |= _OF_THE_BODY
        sent = replace(sent, body=None, content_type=None)
    headers = tuple((name, value) for name, value in sent.headers if name.lower() not in dropped)
    return replace(sent, target=target, method=method, headers=headers)
