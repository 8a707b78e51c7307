"""The request that one exchange sends, and the flow of requests by which credentials get one accepted. Sends nothing itself."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from typing import Protocol, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from worker.net.http.fields import Fields
from worker.net.http.response import Response
from worker.net.http.url import Target


class Outgoing(Struct, frozen=True, kw_only=True):
    """The request that one exchange sends. *headers* are the author's; `encode` adds the rest."""

    target: Target
    method: str
    headers: Fields = ()
    body: bytes | None = None
    content_type: str | None = None
    credentials: HTTPCredentials | None = None
    """They get this request accepted, and those of later hops to the same origin."""
    authorization: Fields = ()
    """Fields that credentials have made for this one exchange."""
    purpose: str | None = None
    """The purpose of an exchange beside the test's own, in words ("for an access token"); None for the test's own."""


Flow: TypeAlias = Generator[Outgoing, Response, None]
"""Yields the requests to send, one after another, and is sent the answer of each; the answer of the last one is the target's.

It may raise HTTPError.
"""


class HTTPCredentials(Protocol):
    """Sent to the origin for which they were given, and to no other."""

    def flow(self, outgoing: Outgoing, now: datetime) -> Flow:
        """The exchanges by which *outgoing* is sent under these credentials at the time *now*."""
        ...


def octets(text: str) -> bytes:
    """Text in UTF-8; surrogate escapes are the octets that they stand for."""
    return text.encode(errors="surrogateescape")


def authorized(outgoing: Outgoing, value: str) -> Outgoing:
    """*outgoing* with *value* as its Authorization, in UTF-8."""
    return replace(outgoing, authorization=(("Authorization", octets(value).decode("latin-1")),))
