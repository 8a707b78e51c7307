"""Feeds bytes to a ResponseReader, for the tests of what comes out."""

from __future__ import annotations

from collections.abc import Sequence

from worker.net.http.response import HTTPLimits, Outcome, Response, ResponseReader
from worker.outcome.failure import Failure, FailureCode

LIMITS = HTTPLimits(max_body_bytes=100_000)
SMALL = HTTPLimits(max_body_bytes=100, max_head_bytes=200, max_header_fields=4, max_framing_bytes=300, max_interim=3)


def read(
    pieces: Sequence[bytes],
    *,
    method: str = "GET",
    limits: HTTPLimits = LIMITS,
    eof: bool = False,
) -> Outcome | None:
    """The outcome of *pieces*; with *eof* the connection ends in order behind them."""
    reader = ResponseReader(method, limits)
    for piece in pieces:
        outcome = reader.feed(piece)
        while outcome is None and reader.backlog:
            outcome = reader.feed(b"")
        if outcome is not None:
            return outcome
    return reader.feed_eof() if eof else None


def received(outcome: Outcome | None) -> Response:
    assert isinstance(outcome, Response), outcome
    return outcome


def code(outcome: Outcome | None) -> FailureCode:
    assert isinstance(outcome, Failure), outcome
    assert outcome.message
    return outcome.code


def in_single_bytes(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
