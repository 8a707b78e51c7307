"""The response that an HTTP probe saw."""

from __future__ import annotations

from worker.apitest.observation import ProbeResponse
from worker.outcome.handshake import Handshake
from worker.outcome.hop import Hop


class HTTPResponse(ProbeResponse, frozen=True, kw_only=True):
    """The last response. *body* is as it came from the wire, still encoded by *content_encodings* (innermost first)."""

    url: str
    status: int
    http_version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    content_encodings: tuple[str, ...] = ()
    hops: tuple[Hop, ...] = ()
    handshake: Handshake | None = None
    """None without TLS."""
