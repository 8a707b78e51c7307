"""One HTTP/1.1 response from bytes, or the reason why they are none (RFC 9112). No socket, no time: bytes in, outcome out.

llhttp, Node's parser, reads heads and chunks. Kept here is what it leaves open: where a head ends, how long a body is, and when
it is enough. The peer is taken to be hostile: nothing is decompressed, nothing is buffered beyond its bound, and one call does a
small, bounded amount of work. Bytes behind the end of the response are ignored, as a connection serves one exchange only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
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

_LENGTH, _TRANSFER, _CONTENT = b"content-length", b"transfer-encoding", b"content-encoding"
_OF_BODY = (_LENGTH, _TRANSFER, _CONTENT)

_NAME = b"HTTP/"
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
_VERSIONS = frozenset({"1.0", "1.1"})
NOTHING_YET = "the first byte of a response"
"""The missing part before anything has come, for a message that begins "waiting for"."""

_SWITCHING_PROTOCOLS = 101
_FIRST_FINAL = 200
_WITHOUT_BODY = frozenset({_SWITCHING_PROTOCOLS, 204, 304})
_CODINGS = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
"""Transfer codings that may be left over under `chunked` (RFC 9112 §7.2). We ask for none, so others are refused."""

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


class _Sink:
    """The parser's listener, for one message after the other. It knows no reader: the two would keep each other alive."""

    __slots__ = ("fields", "has_head", "is_whole", "payload")

    def __init__(self) -> None:
        self.payload: list[bytes] = []
        self.begin()

    def begin(self) -> None:
        """Listen to another message."""
        self.fields: list[tuple[bytes, bytes]] = []
        self.has_head = self.is_whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header field; a trailer is read and forgotten. White space behind a value is no part of it (RFC 9110 §5.5)."""
        if not self.has_head:
            self.fields.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.has_head = True

    def on_body(self, data: bytes) -> None:
        if not self.is_whole:
            self.payload.append(data)

    def on_message_complete(self) -> None:
        self.is_whole = True


class _Head(Struct, frozen=True):
    """A head as the parser had it; *fields* in their order."""

    code: int
    version: str
    fields: Sequence[tuple[bytes, bytes]]

    def of_body(self) -> dict[bytes, list[str]]:
        """The values of the fields that say how the body is read, by their names in lower case."""
        found: dict[bytes, list[str]] = {name: [] for name in _OF_BODY}
        for key, value in self.fields:
            if (name := key.lower()) in found:
                found[name].append(value.decode("utf-8", "surrogateescape"))
        return found


class ResponseReader:
    """One response to one request with *method*. Feed it until it returns an outcome; feed it no more then."""

    def __init__(self, method: str, limits: HTTPLimits) -> None:
        self._limits = limits
        self._without_body = method == "HEAD"
        self._sink = _Sink()
        self._parser = HttpResponseParser(self._sink)
        # As every client must (RFC 9112 §2.2), and as servers make it needed: what a field may hold, line ends, blanks at sizes.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._head = b""
        self._interim = 0
        self._message: _Head | None = None
        self._body = Body()
        self._length: int | None = None
        """Of the body, where the head says it; None for chunked bodies and those that end with the connection."""
        self._chunked = False
        self._pending: bytes | memoryview = b""
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
        return "the rest of the header fields" if self._head or self._interim else NOTHING_YET

    @property
    def backlog(self) -> bool:
        """True while `feed(b"")` has work to do without any more bytes."""
        return bool(self._pending)

    @property
    def ends_with_connection(self) -> bool:
        """True if the body is whole when the peer ends the connection in order (RFC 9112 §6.3, rule 8)."""
        return self._message is not None and self._length is None and not self._chunked

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
            message = self._parse_head(head[: end.end()])
            head = head[end.end() :]
            if message.code >= _FIRST_FINAL or message.code == _SWITCHING_PROTOCOLS:
                self._message = message
                return self._begin_body(message, head)
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

    def _parse_head(self, head: bytes) -> _Head:
        if not head.startswith(_NAME):
            self._refuse_if_hopeless(head)
        if len(head) > self._limits.max_head_bytes or head.count(b"\n") - 2 > self._limits.max_header_fields:
            raise head_too_large(self._limits)
        self._sink.begin()
        try:
            self._parser.feed_data(head)
        except HttpParserUpgrade:
            pass  # 101: what follows is of another protocol
        except HttpParserError as error:
            if not self._sink.is_whole:
                raise _refused_head(head, error) from None
        if not self._sink.has_head:
            raise malformed("the header fields do not end where they should")
        if b"\0" in head and any(b"\0" in value for _, value in self._sink.fields):
            raise malformed("the head of the response is malformed: a field holds a NUL")  # RFC 9110 §5.5
        parsed = _Head(self._parser.get_status_code(), self._parser.get_http_version(), tuple(self._sink.fields))
        if parsed.version not in _VERSIONS:
            raise malformed(f"the server answered in HTTP/{parsed.version} to a request in HTTP/1.1")
        if parsed.code < 100:
            raise malformed(f"{parsed.code:03d} is not a valid status code")
        return parsed

    def _begin_body(self, message: _Head, rest: bytes) -> Outcome | None:
        """Decide how the body ends (RFC 9112 §6.3) and take *rest*, which came with the head."""
        if self._without_body or message.code in _WITHOUT_BODY:
            return self._complete()
        values = message.of_body()
        transfer = codings(values[_TRANSFER])
        self._encodings = (*codings(values[_CONTENT]), *_left_over(transfer))
        if values[_TRANSFER] and _is_chunked(values[_TRANSFER][-1]):
            self._chunked = True
        elif values[_LENGTH]:
            self._length = int(values[_LENGTH][0])
            if self._length > self._limits.max_body_bytes:
                raise body_too_large(f"announces a body of {self._length} bytes", self._limits)
        return self._take_body(rest)

    def _take_body(self, data: bytes) -> Outcome | None:
        if self._chunked:
            return self._take_chunks(data)
        if self._length is not None:
            self._body.add(data[: self._length - self._body.size])
            return self._complete() if self._body.size == self._length else None
        self._body.add(data)
        if self._body.size > self._limits.max_body_bytes:
            raise body_too_large("sent more body than it may", self._limits)
        return None

    def _take_chunks(self, data: bytes) -> Outcome | None:
        """One turn: parse slice by slice until the bytes or the turn's share of framing are used up."""
        pending = memoryview(bytes(self._pending) + data) if self._pending else memoryview(data)
        framing_before = self._framing
        while pending and self._framing - framing_before <= _FRAMING_PER_TURN:
            piece, pending = pending[: self._slice], pending[self._slice :]
            try:
                self._parser.feed_data(piece)
            except HttpParserError as error:
                if not self._sink.is_whole:
                    raise malformed(f"the chunked body is malformed: {_first_words(error)}") from None
            payload = b"".join(self._sink.payload)
            self._sink.payload.clear()
            self._body.add(payload)
            framing = len(piece) - len(payload)
            self._framing += framing
            likely = len(piece) * _FRAMING_PER_TURN // max(1, framing)
            self._slice = min(_LARGEST_SLICE, max(_LEAST_SLICE, likely))
            if self._body.size > self._limits.max_body_bytes:
                raise body_too_large("sent more body than it may", self._limits)
            if self._sink.is_whole:
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
        except HttpParserError as error:
            return _refused_head(self._head, error).failure
        return self._closed_early()

    def _closed_early(self) -> Failure:
        return Failure(FailureCode.CONNRESET, f"the server closed the connection before {self.stage}")

    def _complete(self) -> Response:
        message = self._message
        assert message is not None
        return Response(
            status=message.code,
            http_version=message.version,
            headers=readable(message.fields),
            body=self._body.whole(),
            content_encodings=self._encodings if self._body.size else (),
            raw_headers=message.fields,
        )


def _is_chunked(transfer: str) -> bool:
    """The parser's own word on the last field of that name, which it tells nobody."""
    return transfer.rpartition(",")[2].strip(OWS).lower() == "chunked"


def _left_over(transfer: Iterable[str]) -> tuple[str, ...]:
    """The codings that a server put under `chunked` without being asked, as content codings. Raises HTTPError."""
    below = [coding for coding in transfer if coding != "chunked"]
    if unknown := next((coding for coding in below if coding not in _CODINGS), None):
        raise malformed(f"the server used a transfer coding that nobody asked for: {unknown[:40]!r}")
    return tuple(_CODINGS[coding] for coding in below)


def codings(values: list[str] | tuple[str, ...]) -> list[str]:
    """The codings in the values of one field, in their order. A server may send any bytes: those beyond ASCII become escapes."""
    escaped = (value.encode("ascii", "backslashreplace").decode() for value in values)
    tokens = (token.strip(OWS).lower() for value in escaped for token in value.split(","))
    return [token for token in tokens if token not in {"", "identity"}]


def _refused_head(head: bytes, error: HttpParserError) -> HTTPError:
    """The failure for a head that the parser refused: contradictory lengths have one of their own."""
    lengths = _LENGTH_FIELD.findall(head)
    if len(lengths) > 1 or (lengths and (b"," in lengths[0] or _CODING_FIELD.search(head))):
        reason = "the response has several Content-Length values, or Content-Length beside Transfer-Encoding"
        return HTTPError(FailureCode.HEADERS_INCOMPATIBLE_CONTENT_LENGTH, reason)
    return malformed(f"the head of the response is malformed: {_first_words(error)}")


def _first_words(error: HttpParserError) -> str:
    return str(error).strip()[:200]


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
