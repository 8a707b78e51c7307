"""The request of the next hop of a redirect chain (RFC 9110 §15.4). Sends nothing itself.

A hop to another origin (scheme, host or port) loses the author's credentials, Authorization, Cookie and Host. A hop to another
host, or from https to http, loses every field that the author set by name: any of them may be a key (X-Api-Key). Only those stay
that say which representation is wanted (RFC 9110 §12.5), as another one would be judged else. A later hop back does not regain
the others: who controls one hop controls all that come after it.
"""

from __future__ import annotations

from msgspec.structs import replace

from worker.net.http.outgoing import Outgoing
from worker.net.http.url import Target

MAX_REDIRECTS = 10
"""The reference system's bound."""

_FOLLOWED = frozenset({301, 302, 303, 307, 308})
_SECRETS = frozenset({"authorization", "proxy-authorization", "cookie", "host"})
_WANTED = frozenset({"accept", "accept-charset", "accept-encoding", "accept-language"})
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


def next_hop(sent: Outgoing, status: int, target: Target, *, headers_to_all_hosts: bool = False) -> Outgoing:
    """The request that goes to *target* after *sent* was answered with *status*."""
    method = method_after(status, sent.method)
    headers = sent.headers
    if not headers_to_all_hosts and _leaves_the_host(sent.target, target):
        headers = tuple(field for field in headers if field[0].lower() in _OF_THE_BODY | _WANTED)
    if sent.target.origin != target.origin:
        headers = tuple(field for field in headers if field[0].lower() not in _SECRETS)
        sent = replace(sent, credentials=None)
    if method != sent.method:
        headers = tuple(field for field in headers if field[0].lower() not in _OF_THE_BODY)
        sent = replace(sent, body=None, content_type=None)
    return replace(sent, target=target, method=method, headers=headers, authorization=())


def _leaves_the_host(before: Target, after: Target) -> bool:
    """Another host, or the same one where everybody on the way can read along."""
    return before.host != after.host or (before.secure and not after.secure)
