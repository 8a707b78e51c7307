"""What the reader relies on in httptools. A red test after an upgrade means: read response.py anew."""

from __future__ import annotations

import gc
import weakref

import pytest

from tests.unit.net.http.response_reading import CHUNKED, HEAD, LIMITS, code, read, received
from worker.net.http.response import ResponseReader
from worker.outcome.failure import FailureCode


def test_a_reader_dies_with_its_exchange_and_waits_for_no_collection() -> None:
    gc.disable()
    try:
        reader = ResponseReader("GET", LIMITS)
        assert reader.feed(CHUNKED + b"1\r\nx\r\n") is None
        gone = weakref.ref(reader)
        del reader
        assert gone() is None
    finally:
        gc.enable()


def test_trailers_are_read_and_are_no_fields() -> None:
    outcome = received(read([CHUNKED, b"1\r\nx\r\n0\r\nX-Late: 1\r\n\r\n"]))
    assert (outcome.body, outcome.header("x-late")) == (b"x", None)


@pytest.mark.parametrize(
    "behind", [b"HTTP/1.1 500 No\r\n\r\n", b"\r\n\r\n", b"\0garbage", CHUNKED + b"1\r\ny\r\n0\r\n\r\n"]
)
def test_bytes_behind_the_last_chunk_change_nothing(behind: bytes) -> None:
    outcome = received(read([CHUNKED + b"1\r\nx\r\n0\r\n\r\n" + behind]))
    assert (outcome.status, outcome.body) == (200, b"x")


@pytest.mark.parametrize("fields", [b"", b"Upgrade: websocket\r\nConnection: upgrade\r\n"])
def test_switching_protocols_ends_the_response(fields: bytes) -> None:
    outcome = received(read([b"HTTP/1.1 101 Switching Protocols\r\n" + fields + b"\r\n\x81\x00"]))
    assert (outcome.status, outcome.body) == (101, b"")


@pytest.mark.parametrize(
    ("coding", "chunked"),
    [("chunked", True), (" Chunked ", True), ("gzip, chunked", True), ("chunked,", False), ("identity", False)],
)
def test_reader_and_parser_agree_on_what_is_chunked(coding: str, *, chunked: bool) -> None:
    """The parser decides, and says so to nobody: what it does not take apart is the body until the connection ends."""
    body = b"1\r\nx\r\n0\r\n\r\n"
    outcome = received(read([HEAD + f"Transfer-Encoding: {coding}\r\n\r\n".encode() + body], eof=True))
    assert outcome.body == (b"x" if chunked else body)


def test_a_field_with_a_nul_is_refused_though_the_parser_is_lenient() -> None:
    assert code(read([HEAD + b"X: a\0b\r\n\r\n"])) is FailureCode.MALFORMED_RESPONSE
