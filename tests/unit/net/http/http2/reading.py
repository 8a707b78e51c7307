"""Feeds frames to an HTTP2Reader, for the tests of what comes out."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.http2_frames import settings
from worker.net.http.http2.reader import HTTP2Reader
from worker.net.http.response import HTTPLimits, Outcome, Response
from worker.outcome.failure import Failure

LIMITS = HTTPLimits(max_body_bytes=100_000)
FIELDS = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"h"), (b":path", b"/")]


def reader(*, method: str = "GET", body: bytes = b"", limits: HTTPLimits = LIMITS) -> HTTP2Reader:
    fields = [(b":method", method.encode()), *FIELDS[1:]]
    return HTTP2Reader(method, fields, body, limits)


def fed(reading: HTTP2Reader, pieces: Iterable[bytes]) -> Outcome | None:
    """The outcome of *pieces*, as soon as there is one."""
    for piece in pieces:
        outcome = reading.feed(piece)
        while outcome is None and reading.backlog:
            outcome = reading.feed(b"")
        if outcome is not None:
            return outcome
    return None


def read(*pieces: bytes, method: str = "GET", limits: HTTPLimits = LIMITS) -> Outcome | None:
    """The outcome of *pieces* behind the settings with which a server begins."""
    return fed(reader(method=method, limits=limits), (settings(), *pieces))


def received(outcome: Outcome | None) -> Response:
    assert isinstance(outcome, Response), outcome
    return outcome


def failed(outcome: Outcome | None) -> Failure:
    assert isinstance(outcome, Failure), outcome
    assert outcome.message.isprintable()
    return outcome
