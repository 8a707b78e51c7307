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


def brotli_of_single_bytes(size: int) -> bytes:
    """About *size* bytes of brotli in which each byte of output has a compressed metablock of its own (RFC 7932 §9.2)."""
    fields = (  # value, bits; the first of a field are its lowest
        (0, 1 + 2 + 16 + 1),  # not the last one, of one byte, compressed
        (0, 1 + 1 + 1 + 2 + 4),  # one block type of each kind, no direct distances
        (0, 2 + 1 + 1),  # one tree of each kind
        (0b01, 2 + 2), (ord("x"), 8),  # literals: a simple code of one symbol
        (0b01, 2 + 2), (8, 10),  # insert one, copy two: the metablock is over before it copies
        (0b01, 2 + 2), (0, 6),  # a distance that is never used
    )  # fmt: skip
    bits = width = 0
    for value, length in fields:
        bits |= value << width
        width += length
    eight = sum(bits << (width * number) for number in range(8)).to_bytes(width, "little")
    repeated = eight * (size // width)
    stream = int.from_bytes(repeated, "little") << 1 | 0b11 << (
        8 * len(repeated) + 1
    )  # a window of 64 KiB, an empty end
    return stream.to_bytes(len(repeated) + 1, "little")


def brotli_of_nothing(size: int) -> bytes:
    """*size* bytes of brotli that hold no output at all: metablocks of metadata, without any."""
    return b"\x0c" + b"\x06" * (size - 2) + b"\x03"


def deflate_of_single_bytes(size: int) -> bytes:
    """About *size* bytes of raw deflate in which each byte of output has a block with its own code tables (RFC 1951 §3.2.7)."""
    lengths = [1 if symbol in (ord("x"), 256) else 0 for symbol in range(257)]
    fields = [
        (0, 1),
        (2, 2),
        (0, 5),
        (0, 5),
        (15, 4),
    ]  # not the last; dynamic; 257 literals, 1 distance, 19 code lengths
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
    fields += [(1 if symbol in (0, 1) else 0, 3) for symbol in order]
    fields += [(length, 1) for length in (*lengths, 0)]  # codes of one bit: 0 is `0`, 1 is `1`
    fields += [(0, 1), (1, 1)]  # x, end of block
    bits = width = 0
    for value, length in fields:
        bits |= value << width
        width += length
    eight = sum(bits << (width * number) for number in range(8)).to_bytes(width, "little")
    return eight * (size // width) + b"\x03\x00"  # an empty last block of fixed codes
