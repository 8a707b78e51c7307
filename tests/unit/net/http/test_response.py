"""Bytes to a response: framing by RFC 9112 §6.3 and §7.1, bounds, and the standard library's client as an independent reader."""

from __future__ import annotations

import asyncio
import http.client
import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.net.http.response_reading import CHUNKED, HEAD, SMALL, code, in_single_bytes, read, received
from worker.net.http.response import Response
from worker.outcome.failure import Failure, FailureCode

COMPLETE = {
    "length": (HEAD + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    "no body": (HEAD + b"Content-Length: 0\r\n\r\n", b""),
    "chunked": (CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"),
    "chunk extensions": (CHUNKED + b'5;a;b=c;d="e"\r\nhello\r\n0;last\r\n\r\n', b"hello"),
    "trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", b"hello"),
    "upper-case sizes": (CHUNKED + b"A\r\n0123456789\r\n00\r\n\r\n", b"0123456789"),
    "leading zeros": (CHUNKED + b"0005\r\nhello\r\n0\r\n\r\n", b"hello"),
    "bare LF": (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", b"hello"),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        + HEAD
        + b"Content-Length: 2\r\n\r\nok",
        b"ok",
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "no content but a length": (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", b""),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
    "switching protocols": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"",
    ),
    "HTTP/1.0 chunked": (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"ok"),
}


@pytest.mark.parametrize("name", COMPLETE)
def test_a_complete_response_needs_no_end_of_the_connection(name: str) -> None:
    data, body = COMPLETE[name]
    assert received(read([data])).body == body


@pytest.mark.parametrize("name", COMPLETE)
def test_it_is_the_same_response_byte_by_byte(name: str) -> None:
    data, _ = COMPLETE[name]
    assert read(in_single_bytes(data)) == read([data])
    assert read(in_single_bytes(data[:-1])) is None


@pytest.mark.parametrize("name", COMPLETE)
@pytest.mark.parametrize("extra", [b"x", b"\x00" * 9000, b"HTTP/1.1 500 Injected\r\nContent-Length: 4\r\n\r\nevil"])
def test_bytes_behind_the_end_change_nothing(name: str, extra: bytes) -> None:
    data, _ = COMPLETE[name]
    assert read([data + extra]) == read([data])


@pytest.mark.parametrize("name", COMPLETE)
def test_a_response_that_stops_early_is_a_reset_connection(name: str) -> None:
    data, _ = COMPLETE[name]
    assert code(read([data[:-1]], eof=True)) is FailureCode.CONNRESET


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: identity\r\n\r\n",
    ],
)
def test_without_a_length_the_body_ends_with_the_connection(head: bytes) -> None:
    assert read([head, b"a\r\n\r\n", b"b"]) is None
    assert received(read([head, b"a\r\n\r\n", b"b"], eof=True)).body == b"a\r\n\r\nb"
    assert received(read([head], eof=True)).body == b""


@pytest.mark.parametrize(
    "fields", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"", b"Content-Encoding: br\r\n"]
)
def test_the_answer_to_head_has_no_body_whatever_it_says(fields: bytes) -> None:
    got = received(read([HEAD + fields + b"\r\n"], method="HEAD"))
    assert (got.body, got.content_encodings) == (b"", ())


def test_fields_keep_their_order_and_case_and_any_bytes() -> None:
    fields = b"cONTENT-lENGTH: 0\r\nX-A:  1 \t\r\nx-a: two\r\nX-Utf8: \xc3\xa9\r\nX-Latin: \xe9\r\n"
    fields += b"X-Empty:\r\nX-Fold: a\r\n  b\r\n"
    got = received(read([HEAD + fields + b"\r\n"]))
    assert got.headers == (
        ("cONTENT-lENGTH", "0"),
        ("X-A", "1"),
        ("x-a", "two"),
        ("X-Utf8", "é"),
        ("X-Latin", "é"),
        ("X-Empty", ""),
        ("X-Fold", "a  b"),
    )
    assert all(type(text) is str for pair in got.headers for text in pair)
    assert got.header("x-a") == "1"
    assert got.header("missing") is None


@pytest.mark.parametrize(
    ("fields", "encodings"),
    [
        (b"Content-Encoding: gzip\r\n", ("gzip",)),
        (b"Content-Encoding: GZIP\r\n", ("gzip",)),
        (b"Content-Encoding: deflate, br\r\n", ("deflate", "br")),
        (b"Content-Encoding: gzip\r\nContent-Encoding: zstd\r\n", ("gzip", "zstd")),
        (b"Content-Encoding: identity\r\n", ()),
        (b"Content-Encoding: ,gzip, ,\r\n", ("gzip",)),
        (b"Content-Encoding: made-up\r\n", ("made-up",)),
        (b"Content-Encoding: \xff\r\n", ("\\udcff",)),
    ],
)
def test_content_codings_are_told_and_not_undone(fields: bytes, encodings: tuple[str, ...]) -> None:
    got = received(read([HEAD + fields + b"Content-Length: 2\r\n\r\n\x1f\x8b"]))
    assert (got.content_encodings, got.body) == (encodings, b"\x1f\x8b")


def test_a_transfer_coding_under_chunked_is_the_outermost() -> None:
    head = HEAD + b"Content-Encoding: br\r\nTransfer-Encoding: x-gzip, chunked\r\n\r\n"
    assert received(read([head + b"1\r\nx\r\n0\r\n\r\n"])).content_encodings == ("br", "gzip")


MALFORMED = [
    b"\x00",
    b"hello\r\n\r\n",
    b"<html>HTTP/0.9</html>",
    b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"ICY 200 OK\r\n\r\n",
    b"http/1.1 200 OK\r\n\r\n",
    b"HTTP/0.9 200 OK\r\n\r\n",
    b"HTTP/1.2 200 OK\r\n\r\n",
    b"HTTP/2.0 200 OK\r\n\r\n",
    b"HTTP/3 200 OK\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/1.1 099 OK\r\n\r\n",
    b"HTTP/1.1 abc OK\r\n\r\n",
    b"HTTP/1.1\r\n\r\n",
    HEAD + b"no colon\r\n\r\n",
    HEAD + b": empty name\r\n\r\n",
    HEAD + b"A : b\r\n\r\n",
    HEAD + b"A\x00: b\r\n\r\n",
    HEAD + b"A: b\x00c\r\n\r\n",
    HEAD + b"A: b\rInjected: c\r\n\r\n",
    HEAD + b"Content-Length: -5\r\n\r\n",
    HEAD + b"Content-Length: +5\r\n\r\n",
    HEAD + b"Content-Length: 0x5\r\n\r\n",
    HEAD + b"Content-Length: 5 5\r\n\r\n",
    HEAD + b"Content-Length:\r\n\r\n",
    HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n",
    HEAD + b"Transfer-Encoding: xchunked\r\n\r\nx",
    HEAD + b"Transfer-Encoding: chunked, made-up\r\n\r\nx",
    CHUNKED + b"\r\n",
    CHUNKED + b"-1\r\n",
    CHUNKED + b"0x5\r\nhello\r\n",
    CHUNKED + b"g\r\n",
    CHUNKED + b"5\r\nhelloworld\r\n",
    CHUNKED + b"5 \rhello\r\n",
    CHUNKED + b"ffffffffffffffff1\r\n",
    CHUNKED + b"5\r\nhello0\r\n\r\n",
    CHUNKED + b"5;a\x00b\r\nhello\r\n0\r\n\r\n",
    CHUNKED + b"0\r\nno colon\r\n\r\n",
]


@pytest.mark.parametrize("data", MALFORMED)
def test_what_is_no_http_response_is_malformed_at_once(data: bytes) -> None:
    assert code(read([data])) is FailureCode.MALFORMED_RESPONSE
    assert code(read(in_single_bytes(data))) is FailureCode.MALFORMED_RESPONSE


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 5, 6\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 0\r\n",
    ],
)
def test_lengths_that_contradict_each_other_have_a_code_of_their_own(fields: bytes) -> None:
    outcome = read([HEAD + fields + b"\r\nhello"])
    assert code(outcome) is FailureCode.HEADERS_INCOMPATIBLE_CONTENT_LENGTH


def test_a_partial_head_that_was_no_head_is_malformed_when_the_connection_ends() -> None:
    assert code(read([HEAD + b"no colon\r\n"], eof=True)) is FailureCode.MALFORMED_RESPONSE
    assert code(read([HEAD + b"A: b\r\n"], eof=True)) is FailureCode.CONNRESET


def test_silence_then_the_end_is_a_reset_connection() -> None:
    assert code(read([], eof=True)) is FailureCode.CONNRESET
    assert code(read([b"HTTP/1.1 100 Continue\r\n\r\n"], eof=True)) is FailureCode.CONNRESET


def test_tls_on_a_plain_port_is_called_so() -> None:
    outcome = read([b"\x15\x03\x01\x00\x02\x02\x46"])
    assert isinstance(outcome, Failure)
    assert "https" in outcome.message


token = st.text("abcdefghijklmnopqrstuvwxyzXYZ-_0123456789", min_size=1, max_size=10)
text = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
reserved = {"content-length", "transfer-encoding", "content-encoding", "connection", "upgrade", "sec-websocket-key1"}


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """A well-formed response, framed one way or another."""
    fields = draw(st.lists(st.tuples(token.filter(lambda name: name.lower() not in reserved), text), max_size=5))
    lines = [b"HTTP/1.1 %d %s" % (draw(st.sampled_from([200, 201, 404, 503])), draw(text).encode())]
    lines += [f"{name}: {value}".encode() for name, value in fields]
    pieces = draw(st.lists(st.binary(min_size=1, max_size=60), max_size=5))
    if draw(st.booleans()):
        lines.append(b"Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    else:
        body = b"".join(pieces)
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join((*lines, b"", b"")) + body


class _Canned:
    """The part of a socket that http.client uses."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


@given(data=responses(), cuts=st.lists(st.integers(0, 600), max_size=6))
def test_any_response_is_what_the_standard_library_reads_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    got = received(read([data[a:b] for a, b in pairwise(edges)]))
    reference = http.client.HTTPResponse(_Canned(data))  # type: ignore[arg-type]
    reference.begin()
    assert (got.status, got.body) == (reference.status, reference.read())
    assert [(n.lower(), v.strip()) for n, v in got.headers] == [
        (n.lower(), v.strip()) for n, v in reference.getheaders()
    ]


@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=200).map(lambda tail: b"HTTP/1.1 200 OK\r\n" + tail),
        st.binary(max_size=200).map(lambda tail: CHUNKED + tail),
        st.tuples(responses(), st.integers(0, 300), st.binary(max_size=3)).map(
            lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
        ),
    ),
    method=st.sampled_from(["GET", "HEAD"]),
)
def test_any_bytes_come_to_an_outcome_and_the_same_byte_by_byte(data: bytes, method: str) -> None:
    whole = read([data], method=method, limits=SMALL, eof=True)
    assert whole is not None
    single = read(in_single_bytes(data), method=method, limits=SMALL, eof=True)
    if isinstance(whole, Response):
        assert single == whole
        told = [*whole.content_encodings, *(text for pair in whole.headers for text in pair)]
    else:
        assert isinstance(single, Failure)
        told = [whole.message, single.message]
    "".join(told).encode()  # raises for a lone surrogate, which no JSON could carry


@pytest.mark.parametrize("blank", [b"\xc2\xa0", b"\xa0", b"\xc2\x85", b"\x85", b"\x0b", b"\x0c", b"\x1c"])
@pytest.mark.parametrize(
    "field",
    [b"Transfer-Encoding: %schunked", b"Transfer-Encoding: chunked%s", b"Content-Length: %s5", b"Content-Length: 5%s"],
)
def test_only_spaces_and_tabs_surround_what_frames_a_response(
    field: bytes, blank: bytes, loop: asyncio.AbstractEventLoop
) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + field % blank + b"\r\n\r\n"
    outcome = read([head + b"5\r\nhello\r\n0\r\n\r\n"])
    assert code(outcome) is FailureCode.MALFORMED_RESPONSE
