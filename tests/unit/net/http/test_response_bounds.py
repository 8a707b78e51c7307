"""Bounds of a response: every one is kept at the byte, and work is done in turns."""

from __future__ import annotations

import pytest

from tests.unit.net.http.response_reading import CHUNKED, HEAD, LIMITS, SMALL, code, in_single_bytes, read, received
from worker.net.http.response import HTTPLimits, Response, ResponseReader
from worker.outcome.failure import FailureCode


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"A: " + b"x" * 200,
        b"HTTP/1.1 200 " + b"x" * 200,
        HEAD + b"A: " + b"x" * 200 + b"\r\n\r\n",
        HEAD + b"A: b\r\n" * 5 + b"\r\n",
        HEAD + b"A: b\n" * 5 + b"\n",
        HEAD + b"x" * 200,
    ],
)
def test_a_head_beyond_its_bounds_is_too_large(data: bytes) -> None:
    assert code(read([data], limits=SMALL)) is FailureCode.HEADER_TOO_LARGE
    assert code(read(in_single_bytes(data), limits=SMALL)) is FailureCode.HEADER_TOO_LARGE


def test_a_head_at_its_bounds_is_not() -> None:
    head = HEAD + b"A: b\r\n" * 3 + b"Content-Length: 0\r\n\r\n"
    assert received(read([head], limits=SMALL)).status == 200
    limits = HTTPLimits(max_body_bytes=1, max_head_bytes=len(head), max_header_fields=4)
    assert received(read(in_single_bytes(head), limits=limits)).status == 200


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (HEAD + b"Content-Length: 101\r\n\r\n", b""),
        (HEAD + b"Content-Length: 18446744073709551615\r\n\r\n", b""),
        (HEAD + b"\r\n", b"x" * 101),
        (CHUNKED, b"65\r\n" + b"x" * 101),
        (CHUNKED, b"ffffffffffffffff\r\n" + b"x" * 101),
    ],
)
def test_a_body_beyond_its_bound_is_too_large_before_it_is_read(head: bytes, body: bytes) -> None:
    assert code(read([head, body], limits=SMALL)) is FailureCode.BODY_TOO_LARGE


@pytest.mark.parametrize(
    ("data", "eof"),
    [
        (HEAD + b"Content-Length: 100\r\n\r\n" + b"x" * 100, False),
        (HEAD + b"\r\n" + b"x" * 100, True),
        (CHUNKED + b"64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n", False),
    ],
)
def test_a_body_at_its_bound_is_not(data: bytes, eof: bool) -> None:
    assert len(received(read([data], limits=SMALL, eof=eof)).body) == 100


@pytest.mark.parametrize(
    "framing",
    [
        b"1\r\nx\r\n" * 80,
        b"5;" + b"e" * 400,
        b"1\r\nx\r\n0\r\nT: " + b"t" * 400,
        b"0" * 400,
    ],
)
def test_framing_without_a_body_to_speak_of_is_cut(framing: bytes) -> None:
    assert code(read(in_single_bytes(CHUNKED + framing), limits=SMALL)) is FailureCode.MALFORMED_RESPONSE


def test_a_large_body_may_have_framing_in_proportion() -> None:
    limits = HTTPLimits(max_body_bytes=100_000, max_framing_bytes=300)
    body = b"".join(b"%x\r\n%s\r\n" % (64, b"x" * 64) for _ in range(1000)) + b"0\r\n\r\n"
    assert len(received(read([CHUNKED, body], limits=limits)).body) == 64_000


def test_more_interim_responses_than_anyone_sends_are_malformed() -> None:
    interim = b"HTTP/1.1 102 Processing\r\n\r\n"
    final = HEAD + b"Content-Length: 0\r\n\r\n"
    assert received(read([interim * 3 + final], limits=SMALL)).status == 200
    assert code(read([interim * 4 + final], limits=SMALL)) is FailureCode.MALFORMED_RESPONSE


def test_tiny_chunks_take_turns() -> None:
    reader = ResponseReader("GET", LIMITS)
    assert reader.feed(CHUNKED + b"1\r\nx\r\n" * 5000) is None
    turns = 0
    while reader.backlog:
        assert reader.feed(b"") is None
        turns += 1
    assert turns >= 5
    assert isinstance(reader.feed(b"0\r\n\r\n"), Response)


def test_ordinary_chunks_are_taken_in_one_turn() -> None:
    reader = ResponseReader("GET", LIMITS)
    reader.feed(CHUNKED + b"%x\r\n%s\r\n" % (60_000, b"x" * 60_000))
    assert not reader.backlog
