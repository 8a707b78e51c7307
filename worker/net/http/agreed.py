"""The exchange for the HTTP version on which client and server agreed in the TLS handshake (ALPN, RFC 9113 §3.2).

HTTP/2 is imported by the first run that offers it, in a thread, before anything of that run is measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeAlias

from worker.clock import Clock
from worker.net import alpn
from worker.net.http.error import HTTPError
from worker.net.http.exchange import Exchange
from worker.net.http.fields import Fields
from worker.net.http.outgoing import Outgoing
from worker.net.http.response import HTTPLimits, Outcome
from worker.net.recorder import Recorder
from worker.net.stream import Stream
from worker.net.tls import SecureStream
from worker.outcome.failure import FailureCode


class AnyExchange(Protocol):
    """One request and one response over one stream, whatever the version."""

    @property
    def stage(self) -> str:
        """The missing part, for a message that begins "waiting for"."""
        ...

    async def answer(self, outgoing: Outgoing, default_headers: Fields, cookie: str | None) -> Outcome:
        """Send the request and read what comes of it."""
        ...


ExchangeKind: TypeAlias = Callable[[Stream, str, HTTPLimits, Clock, Recorder], AnyExchange]

_late: list[ExchangeKind] = []
"""HTTP/2, once it is imported."""


async def prepare_http2() -> None:
    """Import HTTP/2, unless it is there."""
    if not _late:
        await asyncio.to_thread(_import_http2)


def agreed_exchange(stream: Stream, offer: alpn.Offer) -> ExchangeKind:
    """The exchange for what the server of *stream* chose from *offer*; HTTP/1.1 where it chose nothing and may.

    Raises HTTPError where HTTP/1.1 was not offered. `prepare_http2` comes first.
    """
    chosen = stream.application_protocol if isinstance(stream, SecureStream) else None
    if chosen == alpn.NAME_OF_HTTP2:
        return _late[0]
    if offer == alpn.HTTP2:
        reason = "the server does not speak HTTP/2: it agreed to no HTTP version in the TLS handshake (ALPN)"
        raise HTTPError(FailureCode.SSL, reason)
    return Exchange


def _import_http2() -> None:
    from worker.net.http.http2.exchange import HTTP2Exchange  # noqa: PLC0415  # most workers see none of it

    if not _late:
        _late.append(HTTP2Exchange)
