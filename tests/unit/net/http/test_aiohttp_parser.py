"""Properties of aiohttp that the HTTP client relies on and no documentation promises. A red test means: read response.py anew."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from aiohttp import hdrs
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpProcessingError, HttpResponseParser
from aiohttp.streams import StreamReader


class Recording:
    """Stands where a protocol would, and writes down what the stream asks of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def pause_reading(self) -> None:
        self.asked.append("pause")

    def resume_reading(self, *, resume_parser: bool = True) -> None:
        self.asked.append("resume")


def parser(loop: asyncio.AbstractEventLoop, protocol: Any, **options: Any) -> HttpResponseParser:
    settings = {"read_until_eof": True, "auto_decompress": False} | options
    return HttpResponseParser(cast("BaseProtocol", protocol), loop, 1 << 30, **settings)


def test_the_parser_is_the_compiled_one() -> None:
    assert HttpResponseParser.__module__ == "aiohttp._http_parser"


def test_a_head_alone_yields_one_message_with_raw_headers_and_an_empty_stream(loop: asyncio.AbstractEventLoop) -> None:
    head = b"HTTP/1.1 200 OK\r\nx-a: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    ((message, stream),), upgraded, tail = parser(loop, Recording()).feed_data(head)
    assert (message.code, tuple(message.version), message.chunked) == (200, (1, 1), True)
    assert message.raw_headers == ((b"x-a", b"1"), (b"Transfer-Encoding", b"chunked"))
    assert message.headers.get(hdrs.TRANSFER_ENCODING) == "chunked"
    assert isinstance(stream, StreamReader)
    assert not stream.is_eof()
    assert (upgraded, tail) == (False, b"")


def test_chunks_land_in_the_stream_which_is_emptied_without_waiting_and_never_pauses(
    loop: asyncio.AbstractEventLoop,
) -> None:
    protocol = Recording()
    reading = parser(loop, protocol)
    ((_, stream),), _, _ = reading.feed_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    messages, _, tail = reading.feed_data(b"1\r\nx\r\n" * 50_000)
    assert (len(messages), tail) == (0, b"")
    assert stream.read_nowait() == b"x" * 50_000
    assert stream.read_nowait() == b""
    reading.feed_data(b"0\r\n\r\n")
    assert stream.is_eof()
    assert stream.read_nowait() == b""
    assert "pause" not in protocol.asked


def test_a_coded_body_stays_as_it_is(loop: asyncio.AbstractEventLoop) -> None:
    reading = parser(loop, Recording())
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    ((_, stream),), _, _ = reading.feed_data(head)
    reading.feed_data(b"3\r\n\x00\x01\x02\r\n0\r\n\r\n")
    assert stream.read_nowait() == b"\x00\x01\x02"


def test_garbage_behind_the_last_chunk_is_an_error_after_the_stream_has_ended(loop: asyncio.AbstractEventLoop) -> None:
    reading = parser(loop, Recording())
    ((_, stream),), _, _ = reading.feed_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    with pytest.raises(HttpProcessingError):
        reading.feed_data(b"1\r\nx\r\n0\r\n\r\ngarbage")
    assert stream.is_eof()
    assert stream.read_nowait() == b"x"


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 1\r\nContent-Length: 2\r\n",
        b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        b"A: \x00\r\n",
        b" : \r\n",
    ],
)
def test_a_bad_head_is_a_processing_error_with_a_message(loop: asyncio.AbstractEventLoop, fields: bytes) -> None:
    with pytest.raises(HttpProcessingError) as caught:
        parser(loop, Recording()).feed_data(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n")
    assert caught.value.message


def test_one_parser_reads_interim_heads_and_then_the_final_one(loop: asyncio.AbstractEventLoop) -> None:
    reading = parser(loop, Recording())
    for code in (100, 103, 200):
        ((message, _),), upgraded, _ = reading.feed_data(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % code)
        assert (message.code, upgraded) == (code, False)
