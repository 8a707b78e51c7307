"""One HTTP/1.1 response from bytes, or the reason why they are none (RFC 9112). No socket, no time: bytes in, outcome out.

aiohttp's parser reads heads and chunks. Kept here is what it leaves open: where a head ends, how long a body is, and when it is
enough. The peer is taken to be hostile: nothing is decompressed, nothing is buffered beyond its bound, and one call does a small,
bounded amount of work. Bytes behind the end of the response are ignored, as a connection serves one exchange only.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import TypeAlias, cast

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpProcessingError, HttpResponseParser, RawResponseMessage
from aiohttp.streams import StreamReader
from msgspec import Struct

from worker.net.http.body import Body
from worker.net.http.error import HTTPError
from worker.net.http.fields import OWS, Fields, first_value
from worker.outcome.failure import Failure, FailureCode

_HEAD_END = re.compile(rb"\n\r?\n")
"""An empty line. A bare LF ends a line too (RFC 9112 §2.2)."""

_BEFORE_HEAD_END = 2
"""Bytes of `_HEAD_END` that an earlier read may have brought already."""

_LENGTH_FIELD = re.compile(rb"^content-length[ \t]*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_CODING_FIELD = re.compile(rb"^transfer-encoding[ \t]*:", re.IGNORECASE | re.MULTILINE)

_NAME = b"HTTP/"
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
_VERSIONS = {(1, 0): "1.0", (1, 1): "1.1"}
_SWITCHING_PROTOCOLS = 101
_FIRST_FINAL = 200
_WITHOUT_BODY = frozenset({_SWITCHING_PROTOCOLS, 204, 304})
_CODINGS = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
"""Transfer codings that may be left over under `chunked` (RFC 9112 §7.2). We ask for none, so others are refused."""

_NEVER_PAUSE = 1 << 30
"""The parser's buffer is emptied after every slice, so that its own flow control never steps in."""

_FRAMING_PER_TURN = 512
"""Bytes of framing, about a hundred chunks, after which a chunked body waits for its next turn: a tenth of a millisecond."""

_LEAST_SLICE = 512
_LARGEST_SLICE = 16_384
"""Chunked bytes parsed at a stretch: as many as should hold one turn's framing, judged by the stretch before."""


class HTTPLimits(Struct, frozen=True, kw_only=True):
    """Bounds of one response, in bytes of the wire, and of what a redirect takes along."""

    max_body_bytes: int
    max_head_bytes: int = 65_536
    """Status line and header fields: four times what the reference system's client takes."""
    max_header_fields: int = 256
    max_framing_bytes: int = 65_536
    """Chunk sizes, extensions and trailers, beyond an eighth of the body: 13,000 chunks of one byte."""
    max_interim: int = 16
    """1xx responses ahead of the real one."""
    headers_to_all_hosts: bool = False
    """A redirect to another host takes the author's header fields along, all but those that are secrets by their name."""


class Response(Struct, frozen=True, kw_only=True):
    """A complete response. *body* is still encoded by *content_encodings* (innermost first).

    *headers* are for reading: octets that are UTF-8 are its characters. What is to be sent again is in *raw_headers*.
    """

    status: int
    http_version: str
    headers: Fields
    body: bytes
    content_encodings: tuple[str, ...]
    raw_headers: Sequence[tuple[bytes, bytes]] = ()

    def header(self, name: str) -> str | None:
        """The first field of that name (in lower case), or None."""
        return first_value(self.headers, name)


Outcome: TypeAlias = Response | Failure


class _NoFlowControl:
    """The part of a protocol that aiohttp's stream calls. `_NEVER_PAUSE` makes it ask for nothing."""

    def pause_reading(self) -> None:
        raise AssertionError("the buffer is emptied after every slice")

    def resume_reading(self, *, resume_parser: bool = True) -> None:
        """Nothing was paused."""


_UNPACED = cast("BaseProtocol", _NoFlowControl())


class ResponseReader:
    """One response to one request with *method*. Feed it until it returns an outcome; feed it no more then."""

    def __init__(self, method: str, limits: HTTPLimits, loop: asyncio.AbstractEventLoop) -> None:
        self._limits = limits
        self._without_body = method == "HEAD"
        self._parser = HttpResponseParser(
            _UNPACED,
            loop,
            _NEVER_PAUSE,
            max_line_size=limits.max_head_bytes,
            max_field_size=limits.max_head_bytes,
            max_headers=limits.max_header_fields,
            response_with_body=not self._without_body,
            read_until_eof=True,
            auto_decompress=False,
        )
        self._head = b""
        self._interim = 0
        self._message: RawResponseMessage | None = None
        self._body = Body()
        self._length: int | None = None
        """Of the body, where the head says it; None for chunked bodies and those that end with the connection."""
        self._chunks: StreamReader | None = None
        self._pending = memoryview(b"")
        """Chunked bytes that wait for their turn."""
        self._slice = _LEAST_SLICE
        self._framing = 0
        self._encodings: tuple[str, ...] = ()

    @property
    def stage(self) -> str:
        """The missing part, for a message that begins "waiting for"."""
        if self._message is not None:
            of = "" if self._length is None else f" of {self._length}"
            return f"the rest of the body ({self._body.size}{of} bytes received)"
        return "the rest of the header fields" if self._head or self._interim else "the first byte of a response"

    @property
    def backlog(self) -> bool:
        """True while `feed(b"")` has work to do without any more bytes."""
        return bool(self._pending)

    @property
    def ends_with_connection(self) -> bool:
        """True if the body is whole when the peer ends the connection in order (RFC 9112 §6.3, rule 8)."""
        return self._message is not None and self._length is None and self._chunks is None

    def feed(self, data: bytes) -> Outcome | None:
        """Take *data*; None means that more is needed, or, with a backlog, another turn."""
        try:
            if self._message is None:
                return self._take_head(data)
            return self._take_body(data)
        except HTTPError as error:
            return error.failure

    def feed_eof(self) -> Outcome:
        """The peer has ended the connection in order. Call it only without a backlog."""
        if self._message is None:
            return self._cut_head()
        if self.ends_with_connection:
            return self._complete()
        return self._closed_early()

    def _take_head(self, data: bytes) -> Outcome | None:
        searched = max(0, len(self._head) - _BEFORE_HEAD_END)
        head = self._head + data
        while (end := _HEAD_END.search(head, searched)) is not None:
            message, stream = self._parse_head(head[: end.end()])
            head = head[end.end() :]
            if message.code >= _FIRST_FINAL or message.code == _SWITCHING_PROTOCOLS:
                self._message = message
                return self._begin_body(message, stream, head)
            self._interim += 1
            if self._interim > self._limits.max_interim:
                raise malformed(f"the server sent more than {self._limits.max_interim} interim (1xx) responses")
            searched = 0
        self._refuse_if_hopeless(head)
        self._head = head
        return None

    def _refuse_if_hopeless(self, head: bytes) -> None:
        """End at once what cannot become a response any more."""
        if head[: len(_NAME)] != _NAME[: len(head)]:
            if head.startswith(_TLS_RECORDS):
                raise malformed("the server speaks TLS on this port; the URL should begin with https")
            raise malformed(f"the answer does not begin like an HTTP response: {head[:40]!r}")
        if len(head) > self._limits.max_head_bytes:
            raise head_too_large(self._limits)

    def _parse_head(self, head: bytes) -> tuple[RawResponseMessage, StreamReader]:
        if not head.startswith(_NAME):
            self._refuse_if_hopeless(head)
        if len(head) > self._limits.max_head_bytes or head.count(b"\n") - 2 > self._limits.max_header_fields:
            raise head_too_large(self._limits)
        try:
            messages, _, _ = self._parser.feed_data(head)
        except HttpProcessingError as error:
            raise _refused_head(head, error) from None
        if len(messages) != 1:
            raise malformed("the header fields do not end where they should")
        message, stream = messages[0]
        if message.version not in _VERSIONS:
            major, minor = message.version
            raise malformed(f"the server answered in HTTP/{major}.{minor} to a request in HTTP/1.1")
        if message.code < 100:
            raise malformed(f"{message.code:03d} is not a valid status code")
        return message, stream

    def _begin_body(self, message: RawResponseMessage, stream: StreamReader, rest: bytes) -> Outcome | None:
        """Decide how the body ends (RFC 9112 §6.3) and take *rest*, which came with the head."""
        if self._without_body or message.code in _WITHOUT_BODY:
            return self._complete()
        self._encodings = _encodings(message)
        length = message.headers.get("Content-Length")
        if message.chunked:
            self._chunks = stream
        elif length is not None:
            self._length = int(length)
            if self._length > self._limits.max_body_bytes:
                raise body_too_large(f"announces a body of {length} bytes", self._limits)
        return self._take_body(rest)

    def _take_body(self, data: bytes) -> Outcome | None:
        if self._chunks is not None:
            return self._take_chunks(self._chunks, data)
        if self._length is not None:
            self._body.add(data[: self._length - self._body.size])
            return self._complete() if self._body.size == self._length else None
        self._body.add(data)
        if self._body.size > self._limits.max_body_bytes:
            raise body_too_large("sent more body than it may", self._limits)
        return None

    def _take_chunks(self, stream: StreamReader, data: bytes) -> Outcome | None:
        """One turn: parse slice by slice until the bytes or the turn's share of framing are used up."""
        pending = memoryview(bytes(self._pending) + data) if self._pending else memoryview(data)
        framing_before = self._framing
        while pending and self._framing - framing_before <= _FRAMING_PER_TURN:
            piece, pending = bytes(pending[: self._slice]), pending[self._slice :]
            try:
                self._parser.feed_data(piece)
            except HttpProcessingError as error:
                if not stream.is_eof():
                    raise malformed(f"the chunked body is malformed: {_first_words(error)}") from None
            payload = stream.read_nowait()
            self._body.add(payload)
            framing = len(piece) - len(payload)
            self._framing += framing
            likely = len(piece) * _FRAMING_PER_TURN // max(1, framing)
            self._slice = min(_LARGEST_SLICE, max(_LEAST_SLICE, likely))
            if self._body.size > self._limits.max_body_bytes:
                raise body_too_large("sent more body than it may", self._limits)
            if stream.is_eof():
                return self._complete()
            if self._framing > self._limits.max_framing_bytes + self._body.size // 8:
                reason = f"{self._framing} bytes of chunk framing for {self._body.size} bytes of body"
                raise malformed(f"the chunked body is nearly all overhead: {reason}")
        self._pending = pending
        return None

    def _cut_head(self) -> Failure:
        if not self._head and not self._interim:
            return Failure(FailureCode.CONNRESET, "the server closed the connection without answering")
        try:
            if self._head:
                self._parser.feed_data(self._head)
        except HttpProcessingError as error:
            return _refused_head(self._head, error).failure
        return self._closed_early()

    def _closed_early(self) -> Failure:
        return Failure(FailureCode.CONNRESET, f"the server closed the connection before {self.stage}")

    def _complete(self) -> Response:
        message = self._message
        assert message is not None
        return Response(
            status=message.code,
            http_version=_VERSIONS[message.version],
            headers=readable(message.raw_headers),
            body=self._body.whole(),
            content_encodings=self._encodings if self._body.size else (),
            raw_headers=message.raw_headers,
        )


def _encodings(message: RawResponseMessage) -> tuple[str, ...]:
    """Content codings, then what a server put under `chunked` without being asked; innermost first. Raises HTTPError."""
    headers = message.headers
    if "Content-Encoding" not in headers and "Transfer-Encoding" not in headers:
        return ()
    content = codings(headers.getall("Content-Encoding", ()))
    transfer = [coding for coding in codings(headers.getall("Transfer-Encoding", ())) if coding != "chunked"]
    if unknown := next((coding for coding in transfer if coding not in _CODINGS), None):
        raise malformed(f"the server used a transfer coding that nobody asked for: {unknown[:40]!r}")
    return (*content, *(_CODINGS[coding] for coding in transfer))


def codings(values: list[str] | tuple[str, ...]) -> list[str]:
    """The codings in the values of one field, in their order. A server may send any bytes: those beyond ASCII become escapes."""
    escaped = (value.encode("ascii", "backslashreplace").decode() for value in values)
    tokens = (token.strip(OWS).lower() for value in escaped for token in value.split(","))
    return [token for token in tokens if token not in {"", "identity"}]


def _refused_head(head: bytes, error: HttpProcessingError) -> HTTPError:
    """The failure for a head that the parser refused: contradictory lengths have one of their own."""
    lengths = _LENGTH_FIELD.findall(head)
    if len(lengths) > 1 or (lengths and (b"," in lengths[0] or _CODING_FIELD.search(head))):
        reason = "the response has several Content-Length values, or Content-Length beside Transfer-Encoding"
        return HTTPError(FailureCode.HEADERS_INCOMPATIBLE_CONTENT_LENGTH, reason)
    return malformed(f"the head of the response is malformed: {_first_words(error)}")


def _first_words(error: HttpProcessingError) -> str:
    """The parser's reason without its drawing of the place."""
    lines = (line.strip(" :") for line in error.message.splitlines())
    return ": ".join(line for line in lines if line and not line.startswith(("b'", 'b"', "^")))[:200]


def head_too_large(limits: HTTPLimits) -> HTTPError:
    """The failure of a server that sent more header than it may."""
    reason = f"the header fields exceed {limits.max_head_bytes} bytes or {limits.max_header_fields} fields"
    return HTTPError(FailureCode.HEADER_TOO_LARGE, reason)


def body_too_large(why: str, limits: HTTPLimits) -> HTTPError:
    """The failure of a server that *why*."""
    reason = f"the server {why}; maxBodySize allows {limits.max_body_bytes} bytes"
    return HTTPError(FailureCode.BODY_TOO_LARGE, reason)


def malformed(reason: str) -> HTTPError:
    """The failure of a server that breaks HTTP, for *reason*."""
    return HTTPError(FailureCode.MALFORMED_RESPONSE, reason)


def readable(raw: Sequence[tuple[bytes, bytes]]) -> Fields:
    """Field names and values are opaque bytes (RFC 9110 §5.5): UTF-8 where they are, else one character a byte."""
    try:
        return tuple([(name.decode(), value.decode()) for name, value in raw])
    except UnicodeDecodeError:
        return tuple([(_text(name), _text(value)) for name, value in raw])


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
