"""One response over HTTP/2 (RFC 9113): what a server sends, frame by frame, and what comes of it."""

from __future__ import annotations

import pytest
from hyperframe.frame import DataFrame, Frame, HeadersFrame, SettingsFrame, WindowUpdateFrame

from tests.support.http2_frames import (
    HTTP_1_1_REQUIRED,
    NO_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    ack,
    block,
    continuation,
    data,
    goaway,
    headers,
    ping,
    raw_headers,
    rst,
    settings,
    unknown,
    window,
)
from tests.unit.net.http.http2.reading import failed, fed, read, reader, received
from worker.net.http.http2.reader import WINDOW
from worker.net.http.response import HTTPLimits
from worker.outcome.failure import FailureCode

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HELLO = ((":status", "200"), ("content-type", "text/plain"), ("content-length", "5"))


def frames(sent: bytes) -> list[Frame]:
    """The frames that a client has sent, read back by hyperframe."""
    found = []
    while sent:
        frame, length = Frame.parse_frame_header(memoryview(sent[:9]))
        frame.parse_body(memoryview(sent[9 : 9 + length]))
        found.append(frame)
        sent = sent[9 + length :]
    return found


def test_a_client_begins_with_its_settings_and_the_request_and_refuses_to_be_pushed() -> None:
    sent = reader().to_send()
    assert sent.startswith(PREFACE)
    own, room, request = frames(sent[len(PREFACE) :])
    assert isinstance(own, SettingsFrame)
    assert own.settings[SettingsFrame.ENABLE_PUSH] == 0
    assert own.settings[SettingsFrame.INITIAL_WINDOW_SIZE] == WINDOW
    assert own.settings[SettingsFrame.MAX_HEADER_LIST_SIZE] == 65_536
    assert isinstance(room, WindowUpdateFrame)
    assert (room.stream_id, room.window_increment) == (0, WINDOW - 65_535)
    assert isinstance(request, HeadersFrame)
    assert {"END_STREAM", "END_HEADERS"} <= set(request.flags)


def test_a_response_is_its_status_its_fields_and_its_body() -> None:
    response = received(read(headers(HELLO), data(b"hel"), data(b"lo", end=True)))
    assert (response.status, response.http_version, response.body) == (200, "2.0", b"hello")
    assert response.headers == (("content-type", "text/plain"), ("content-length", "5"))
    assert response.raw_headers == [(b"content-type", b"text/plain"), (b"content-length", b"5")]


def test_single_bytes_make_the_same_response() -> None:
    whole = settings() + ack() + headers(HELLO) + data(b"hello", end=True)
    response = received(fed(reader(), [bytes((byte,)) for byte in whole]))
    assert (response.status, response.body) == (200, b"hello")


@pytest.mark.parametrize(
    "pieces",
    [
        (headers(end=True),),
        (headers(), data(b"", end=True)),
        (headers(((":status", "103"),)), headers(end=True)),
        (headers(((":status", "100"),)), headers(((":status", "100"),)), headers(end=True)),
        (headers(), headers((("trailer", "ignored"),), end=True)),
        (
            raw_headers(block(((":status", "200"),))[:1], whole=False),
            continuation(b"", whole=True),
            data(b"", end=True),
        ),
        (unknown(0x99, b"grease"), ping(), window(10), headers(end=True)),
        (goaway(NO_ERROR), headers(end=True)),
        (goaway(NO_ERROR, last=2**31 - 1), goaway(NO_ERROR), headers(end=True)),
        (headers(), data(b"", padding=100), data(b"", end=True)),
    ],
    ids=lambda pieces: f"{len(pieces)} frames",
)
def test_an_empty_response_comes_in_many_ways(pieces: tuple[bytes, ...]) -> None:
    response = received(read(*pieces))
    assert (response.status, response.body, response.content_encodings) == (200, b"", ())


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200"), ("GET", "204"), ("GET", "304")], ids=str)
def test_some_responses_have_no_body_whatever_they_say_of_it(method: str, status: str) -> None:
    fields = ((":status", status), ("content-length", "1000000000"), ("content-encoding", "gzip"))
    response = received(read(headers(fields), data(b"xx"), method=method))
    assert (response.status, response.body, response.content_encodings) == (int(status), b"", ())


def test_codings_are_innermost_first() -> None:
    fields = ((":status", "200"), ("content-encoding", "br, identity"), ("content-encoding", "GZIP"))
    assert received(read(headers(fields), data(b"x", end=True))).content_encodings == ("br", "gzip")


def test_octets_of_a_field_that_are_not_utf_8_are_latin_1_as_over_http_1() -> None:
    fields = ((":status", "200"), (b"x-name", b"M\xfcller"), (b"x-other", "Mü".encode()))
    response = received(read(headers(fields, end=True)))
    assert response.headers == (("x-name", "Müller"), ("x-other", "Mü"))


def test_a_download_larger_than_the_window_goes_on_as_it_is_read() -> None:
    reading = reader(limits=HTTPLimits(max_body_bytes=4 * WINDOW))
    assert fed(reading, [settings(), headers()]) is None
    reading.to_send()
    granted = 0
    for _ in range(3 * WINDOW // 16_000):
        assert fed(reading, [data(bytes(16_000), padding=255)]) is None
        granted += sum(
            frame.window_increment
            for frame in frames(reading.to_send())
            if isinstance(frame, WindowUpdateFrame) and frame.stream_id == 1
        )
    assert granted >= 2 * WINDOW
    assert len(received(fed(reading, [data(b"", end=True)])).body) == 3 * WINDOW // 16_000 * 16_000


def test_a_body_goes_out_as_the_server_makes_room() -> None:
    body = bytes(range(256)) * 400
    reading = reader(method="POST", body=body)
    sent = frames(reading.to_send()[len(PREFACE) :])
    assert sum(len(frame.data) for frame in sent if isinstance(frame, DataFrame)) == 65_535
    assert reading.unsent == len(body) - 65_535
    assert fed(reading, [settings(), window(100_000), window(10_000, stream=1)]) is None
    assert reading.unsent == len(body) - 75_535
    assert fed(reading, [settings({SettingsFrame.INITIAL_WINDOW_SIZE: 200_000})]) is None
    sent += frames(reading.to_send())
    assert reading.unsent == 0
    parts = [frame for frame in sent if isinstance(frame, DataFrame)]
    assert b"".join(frame.data for frame in parts) == body
    assert ["END_STREAM" in frame.flags for frame in parts] == [False] * (len(parts) - 1) + [True]
    assert max(len(frame.data) for frame in parts) <= 16_384


def test_a_window_that_is_taken_back_sends_nothing_until_it_is_there_again() -> None:
    reading = reader(method="POST", body=bytes(70_000))
    assert fed(reading, [settings({SettingsFrame.INITIAL_WINDOW_SIZE: 0}), window(100_000)]) is None
    assert reading.unsent == 70_000 - 65_535
    assert fed(reading, [window(65_536, stream=1)]) is None
    assert reading.unsent == 70_000 - 65_536


def test_an_answer_before_the_request_is_all_sent_is_an_answer() -> None:
    reading = reader(method="POST", body=bytes(100_000))
    response = received(fed(reading, [settings(), headers(((":status", "413"),), end=True), rst(NO_ERROR)]))
    assert (response.status, reading.unsent) == (413, 100_000 - 65_535)


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ((rst(REFUSED_STREAM),), "reset the stream (REFUSED_STREAM) before the first byte of a response"),
        ((headers(), data(b"x"), rst(0x99)), "reset the stream (error 153) before the rest of the body (1 bytes"),
        ((rst(HTTP_1_1_REQUIRED),), "(HTTP_1_1_REQUIRED): set httpVersion to http1"),
        ((goaway(PROTOCOL_ERROR, words=b"\x1b[31mno"),), "ended the connection (PROTOCOL_ERROR) before the first byte"),
        ((goaway(NO_ERROR, last=0),), "ended the connection (NO_ERROR) before the first byte of a response"),
    ],
)
def test_a_server_that_breaks_off_is_told_with_its_reason(pieces: tuple[bytes, ...], words: str) -> None:
    failure = failed(read(*pieces))
    assert failure.code is FailureCode.CONNRESET
    assert words in failure.message


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ((), "without answering"),
        ((settings(),), "before the first byte of a response"),
        ((settings(), headers()[:9]), "before the rest of the header fields"),
        ((settings(), headers(HELLO), data(b"hel")), "before the rest of the body (3 of 5 bytes received)"),
        ((settings(), headers(), data(b"hel")), "before the rest of the body (3 bytes received)"),
    ],
)
def test_a_connection_that_ends_says_what_was_missing(pieces: tuple[bytes, ...], words: str) -> None:
    reading = reader()
    assert fed(reading, pieces) is None
    failure = reading.feed_eof()
    assert failure.code is FailureCode.CONNRESET
    assert words in failure.message


def test_the_first_byte_of_a_response_is_that_of_its_first_header_frame() -> None:
    reading = reader()
    assert fed(reading, [settings(), ack(), ping(), window(1)]) is None
    assert not reading.answered
    assert fed(reading, [headers()[:8]]) is None
    assert not reading.answered
    assert fed(reading, [headers()[8:9]]) is None
    assert reading.answered
