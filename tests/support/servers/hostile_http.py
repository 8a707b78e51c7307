"""HTTP servers that mean harm: each a conversation that never ends, never fits, or never was HTTP."""

from __future__ import annotations

import asyncio
import gzip
import itertools
from collections.abc import Callable, Iterable, Iterator

import brotli  # type: ignore[import-untyped]
from backports import zstd

from tests.support.servers.http import Conversation, Server, read_request

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSE = HEAD + b"Connection: close\r\n\r\n"
DRIP_SECONDS = 0.01


def sending(pieces: Callable[[], Iterable[bytes]], *, pause: float = 0) -> Conversation:
    """Reads the request, then sends piece after piece until the worker hangs up, then holds the line."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for piece in pieces():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)  # even for no time: a drain that need not wait does not yield
        await reader.read()

    return converse


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts, reads, says nothing."""
    await reader.read(-1)


async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts and reads nothing, so that a large request never gets through."""
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of asyncio.start_server can
    await asyncio.sleep(3600)


async def closing_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts and closes, before it could have read anything."""
    writer.close()


async def resetting_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts and resets."""
    reset(writer)


async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads the request and resets the connection: unread or not, lingering is off."""
    await read_request(reader)
    reset(writer)


def resetting_after(data: bytes) -> Conversation:
    """Sends *data*, waits until it must have been read, and resets the connection."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(0.05)  # what is still in the peer's buffer would be thrown away with the reset
        reset(writer)

    return converse


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SOL_SOCKET, SO_LINGER: on, zero seconds
    writer.transport.abort()


def closing_after(data: bytes) -> Conversation:
    """Sends *data* and closes in order."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(data)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return converse


def endless(piece: bytes, head: bytes = b"") -> Conversation:
    """*head*, then *piece* for ever."""
    return sending(lambda: itertools.chain([head], itertools.repeat(piece)))


def dripping(data: bytes) -> Conversation:
    """One byte at a time, slowly."""
    return sending(lambda: (data[at : at + 1] for at in range(len(data))), pause=DRIP_SECONDS)


def once(data: bytes) -> Conversation:
    """*data*, and then nothing, with the connection held open."""
    return sending(lambda: [data])


def hostile(conversation: Conversation) -> Server:
    return Server(conversation=conversation)


def endless_fields() -> Iterator[bytes]:
    yield HEAD
    yield from (b"X-%d: %s\r\n" % (number, b"v" * 400) for number in itertools.count())


def bomb(coding: str, size: int) -> bytes:
    """*size* zero bytes, compressed: a few thousandths of it on the wire."""
    if coding == "gzip":
        return gzip.compress(bytes(size), 9)
    if coding == "br":
        return bytes(brotli.compress(bytes(size), quality=5))
    return zstd.compress(bytes(size), 19)


def coded(coding: str, body: bytes) -> bytes:
    return HEAD + f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
