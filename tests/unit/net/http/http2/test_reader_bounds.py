"""Servers that mean harm over HTTP/2: every flood ends at a bound, in turns, and nothing but a value comes of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hpack.hpack import encode_integer
from hyperframe.frame import SettingsFrame
from hypothesis import given
from hypothesis import strategies as st

from tests.support import http2_frames as sent
from tests.support.http2_frames import OK, block, continuation, data, headers, raw_headers, settings
from tests.unit.net.http.http2.reading import failed, fed, read, reader, received
from worker.net.http.http2.frames import HEAD, MOST_CONTROL_BYTES, MOST_CONTROL_FRAMES, MOST_PAYLOAD
from worker.net.http.http2.reader import FRAMES_PER_TURN
from worker.net.http.response import HTTPLimits
from worker.outcome.failure import FailureCode

MALFORMED = FailureCode.MALFORMED_RESPONSE
TOO_LARGE = FailureCode.HEADER_TOO_LARGE
SMALL = HTTPLimits(max_body_bytes=1_000, max_head_bytes=2_000, max_header_fields=10, max_framing_bytes=5_000)


def literal(name: bytes, value: bytes, *, huffman: bool = False, index: bool = False) -> bytes:
    """A field that is in no table (RFC 7541 §6.2); with *index* it is put there."""
    length = encode_integer(len(value), 7)
    length[0] |= 0x80 if huffman else 0
    return bytes((0x40 if index else 0, *encode_integer(len(name), 7))) + name + bytes(length) + value


STATUS = b"\x88"
"""`:status: 200` as an index of the static table."""
BOMB = STATUS + literal(b"x", b"x" * 3_900, index=True) + b"\xbe" * 12_000
"""A field of 4 kB that is put into the table, and named once a byte."""

FLOODS = {
    "settings": settings(),
    "settings with values": settings({SettingsFrame.HEADER_TABLE_SIZE: 4096} | dict.fromkeys(range(100, 200), 1)),
    "settings that change the window": settings({SettingsFrame.INITIAL_WINDOW_SIZE: 1}),
    "acknowledgements of settings": sent.ack(),
    "pings": sent.ping(),
    "window updates": sent.window(1),
    "window updates of the stream": sent.window(1, stream=1),
    "priorities": b"\0\0\5\2\0" + b"\0\0\0\1" + b"\0\0\0\0\1",
    "goodbyes": sent.goaway(0),
    "frames that nobody knows": sent.unknown(0x77, b""),
    "empty data": headers() + data(b""),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_after_so_many_frames(name: str) -> None:
    flood = FLOODS[name]
    *before, again = (headers(), data(b"")) if name == "empty data" else (flood,)
    reading = reader()
    assert fed(reading, [settings(), *before]) is None
    fed_frames = 0
    for _ in range(MOST_CONTROL_FRAMES + 1):
        fed_frames += 1
        outcome = reading.feed(again)
        reading.to_send()
        if outcome is not None:
            break
    assert failed(outcome).code is MALFORMED
    most = min(MOST_CONTROL_FRAMES, MOST_CONTROL_BYTES // max(1, len(again) - HEAD))
    assert most - 3 <= fed_frames <= most + 1


def test_a_request_with_a_large_body_gives_its_server_more_frames() -> None:
    reading = reader(method="POST", body=bytes(3_000_000))
    updates = itertools.chain.from_iterable((sent.window(4_096), sent.window(4_096, stream=1)) for _ in range(800))
    assert fed(reading, [settings(), *updates]) is None
    assert reading.unsent == 0


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ((raw_headers(STATUS, whole=False), *[continuation(b"", whole=False)] * 1_100), MALFORMED),
        ((raw_headers(STATUS, whole=False), *[continuation(literal(b"x", b"y" * 16_000), whole=False)] * 5), TOO_LARGE),
        ((raw_headers(BOMB, end=True),), TOO_LARGE),
        ((raw_headers(STATUS + literal(b"x", b"\0" * 16_000, huffman=True), whole=False),), None),
        ((raw_headers(b"\x20" * 16_000, end=True),), MALFORMED),
        ((raw_headers(b"\x3f\x00" * 3 + STATUS, end=True),), MALFORMED),
        ((headers((*OK, *[("a", "b")] * 257), end=True),), TOO_LARGE),
        ((headers(((":status", "103"),)),) * 17, MALFORMED),
        ((headers(((":status", "103"), ("link", "x" * 9_000))),) * 9, TOO_LARGE),
        ((headers(), raw_headers(BOMB[1:], end=True)), TOO_LARGE),
        ((headers((*OK, ("content-length", "100001"))),), FailureCode.BODY_TOO_LARGE),
        ((headers(), *[data(bytes(16_000))] * 7), FailureCode.BODY_TOO_LARGE),
        ((headers(), *[data(b"x")] * 8_300), MALFORMED),
        ((headers(), *[data(b"x", padding=255)] * 300), MALFORMED),
    ],
    ids=[
        *("endless continuations", "a header in pieces", "a bomb", "half a header", "changes of the table"),
        *("changes of the table in two bytes", "many fields", "interim responses", "large interim responses"),
        *("a bomb as trailers", "an announced body", "a body", "single bytes", "padding"),
    ],
)
def test_what_is_too_much_ends_at_its_bound(pieces: tuple[bytes, ...], code: FailureCode | None) -> None:
    outcome = read(*pieces)
    assert (None if outcome is None else failed(outcome).code) is code


MALFORMED_ANSWERS = {
    "HTTP/1": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "answers in HTTP/1"),
    "another protocol": (b"220 mail.example ESMTP\r\n", "does not begin like HTTP/2"),
    "no settings first": (headers(end=True), "does not begin like HTTP/2"),
    "an overlong frame": (settings() + (MOST_PAYLOAD + 1).to_bytes(3) + b"\0" * 6, "frame of 16385 bytes"),
    "a push": (settings() + sent.push(), "was told not to"),
    "a stream of its own": (settings() + headers(stream=2), ""),
    "a stream that nobody asked for": (settings() + headers(stream=3), ""),
    "data ahead of a head": (settings() + data(b"x"), ""),
    "a head after the body": (settings() + headers() + data(b"x") + headers(), ""),
    "a continuation of nothing": (settings() + continuation(STATUS, whole=True), ""),
    "something between the pieces of a head": (settings() + raw_headers(STATUS, whole=False) + sent.ping(), ""),
    "no status": (settings() + headers((("a", "b"),), end=True), ""),
    "two statuses": (settings() + headers((*OK, *OK), end=True), ""),
    "a status of two digits": (settings() + headers(((":status", "20"),), end=True), "not a valid status code"),
    "a status of letters": (settings() + headers(((":status", "abc"),), end=True), "not a valid status code"),
    "a status of other digits": (settings() + headers(((":status", "²00"),), end=True), "not a valid status code"),
    "101": (settings() + headers(((":status", "101"),)), "101 is not"),
    "an upper-case name": (settings() + headers((*OK, ("A", "b")), end=True), ""),
    "a field of a connection": (settings() + headers((*OK, ("connection", "close")), end=True), ""),
    "a transfer coding": (settings() + headers((*OK, ("transfer-encoding", "chunked")), end=True), ""),
    "a line break in a field": (settings() + headers((*OK, ("a", "b\r\nc: d")), end=True), ""),
    "a pseudo-field of a request": (settings() + headers((*OK, (":path", "/")), end=True), ""),
    "a length of letters": (settings() + headers((*OK, ("content-length", "abc"))), ""),
    "a negative length": (settings() + headers((*OK, ("content-length", "-1"))), ""),
    "two lengths": (settings() + headers((*OK, ("content-length", "5"), ("content-length", "6"))), ""),
    "an enormous length": (settings() + headers((*OK, ("content-length", "9" * 5_000))), ""),
    "a body that is too short": (settings() + headers((*OK, ("content-length", "5"))) + data(b"x", end=True), ""),
    "a body that is too long": (settings() + headers((*OK, ("content-length", "1"))) + data(b"xyz"), ""),
    "an index beyond the table": (settings() + raw_headers(b"\xff\x80\x01", end=True), ""),
    "a table that is too large": (settings() + raw_headers(b"\x3f\xff\xff\x7f" + STATUS, end=True), ""),
    "an integer without an end": (settings() + raw_headers(b"\xff" * 20, end=True), ""),
    "a value that is cut off": (settings() + raw_headers(STATUS + b"\0\1x\7y", end=True), ""),
    "wrong Huffman code": (settings() + raw_headers(STATUS + literal(b"x", b"\xff" * 8, huffman=True), end=True), ""),
    "padding longer than the frame": (settings() + headers() + b"\0\0\2\0\x08\0\0\0\1\xffx", ""),
    "a window beyond its bound": (settings() + sent.window(2**31 - 1), ""),
    "a window update of nothing": (settings() + b"\0\0\4\x08\0\0\0\0\0\0\0\0\0", ""),
    "settings of a wrong size": (settings() + b"\0\0\5\4\0\0\0\0\0hello", ""),
    "settings on a stream": (settings() + b"\0\0\0\4\0\0\0\0\1", ""),
    "a frame size that is not valid": (settings({SettingsFrame.MAX_FRAME_SIZE: 1}), ""),
    "a window that is not valid": (b"\0\0\6\4\0\0\0\0\0" + b"\0\4\xff\xff\xff\xff", ""),
    "a ping of a wrong size": (settings() + b"\0\0\1\6\0\0\0\0\0x", ""),
    "a goodbye that is cut off": (settings() + b"\0\0\4\7\0\0\0\0\0\0\0\0\1", ""),
    "a goodbye on a stream": (settings() + b"\0\0\x08\7\0\0\0\0\1" + b"\0" * 8, ""),
    "a reset of a wrong size": (settings() + b"\0\0\1\3\0\0\0\0\1x", ""),
}


@pytest.mark.parametrize("name", MALFORMED_ANSWERS)
def test_a_server_that_breaks_the_protocol_is_malformed_and_no_exception(name: str) -> None:
    answer, words = MALFORMED_ANSWERS[name]
    failure = failed(fed(reader(), [answer]))
    assert failure.code is MALFORMED, failure
    assert words in failure.message
    assert failed(fed(reader(), [bytes((byte,)) for byte in answer])).code is MALFORMED


def test_the_bounds_are_those_that_the_limits_name() -> None:
    fields = (*OK, *[("a", "b")] * 10)
    assert received(read(headers(fields, end=True), limits=SMALL)).status == 200
    assert failed(read(headers((*fields, ("a", "b")), end=True), limits=SMALL)).code is TOO_LARGE
    large = (*OK, ("a", "x" * 1_900))
    assert received(read(headers(large, end=True), limits=SMALL)).status == 200
    assert failed(read(headers((*large, ("b", "y" * 100)), end=True), limits=SMALL)).code is TOO_LARGE
    assert len(received(read(headers(), data(bytes(1_000), end=True), limits=SMALL)).body) == 1_000
    assert failed(read(headers(), data(bytes(1_001), end=True), limits=SMALL)).code is FailureCode.BODY_TOO_LARGE


def test_a_turn_looks_into_few_frames_and_leaves_the_rest_for_the_next() -> None:
    reading = reader()
    assert reading.feed(settings() + sent.ping() * 100) is None
    answered = []
    while reading.backlog:
        answered.append(reading.to_send().count(b"12345678"))
        assert reading.feed(b"") is None
    answered.append(reading.to_send().count(b"12345678"))
    assert sum(answered) == 100
    assert max(answered) <= FRAMES_PER_TURN


def test_a_header_block_ends_its_turn() -> None:
    reading = reader()
    assert reading.feed(settings() + headers(((":status", "103"),)) * 3) is None
    turns = 1
    while reading.backlog:
        turns += 1
        assert reading.feed(b"") is None
    assert turns == 3


@st.composite
def answers(draw: st.DrawFn) -> Iterable[bytes]:
    """Frames that are well-formed for the most part, in any order, some with a byte changed or a piece cut off."""
    frames = st.one_of(
        st.sampled_from([*FLOODS.values(), *(answer for answer, _ in MALFORMED_ANSWERS.values()), headers(end=True)]),
        st.builds(sent.unknown, st.integers(0, 255), st.binary(max_size=40), stream=st.integers(0, 3)),
        st.builds(
            raw_headers, st.binary(max_size=40), end=st.booleans(), whole=st.booleans(), stream=st.integers(1, 3)
        ),
        st.binary(max_size=40),
    )
    pieces = draw(st.lists(frames, max_size=12))
    whole = bytearray(settings() + b"".join(pieces))
    for at, value in draw(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=3)):
        whole[at] = value
    cut = draw(st.integers(1, len(whole)))
    return [bytes(whole[:cut]), bytes(whole[cut:])]


@given(answers(), st.sampled_from(["GET", "HEAD", "POST"]))
def test_whatever_a_server_sends_is_a_response_a_failure_or_not_enough(pieces: Iterable[bytes], method: str) -> None:
    reading = reader(method=method, body=bytes(100_000) if method == "POST" else b"")
    outcome = fed(reading, pieces)
    if outcome is None:
        assert failed(reading.feed_eof()).code is FailureCode.CONNRESET
    reading.to_send()
    assert reading.stage


def test_a_block_of_its_own_needs_no_table() -> None:
    assert block(OK) == STATUS
