"""One HTTP/2 connection as its client sees it, without socket and time: bytes in, bytes out, and the response or the reason why
there is none.

The server is taken to be hostile. Frames are counted and handed to h2 one by one, and one call does a small, bounded amount of
work. Once the response is whole nothing more is read: a server that goes on, or wanted more of the request, is not waited for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import DenialOfServiceError, H2Error
from h2.settings import SettingCodes, Settings
from hpack import Decoder, HeaderTuple
from hpack.exceptions import HPACKDecodingError

from worker.net.http.body import Body
from worker.net.http.error import HTTPError
from worker.net.http.http2.frames import (
    CONTINUATION,
    GOAWAY,
    HEADERS,
    PUSH_PROMISE,
    SETTINGS,
    FrameCounter,
    FrameCutter,
    ReceivedFrame,
)
from worker.net.http.response import (
    HTTPLimits,
    Outcome,
    Response,
    body_too_large,
    codings,
    head_too_large,
    malformed,
    readable,
)
from worker.outcome.failure import Failure, FailureCode
from worker.text import printable

WINDOW: Final = 1 << 20
"""Bytes that a server may send ahead of our acknowledgement. They wait in the kernel, whose buffers bound them; a smaller window
would make a download as slow as the way is long, which over HTTP/1.1 it is not.
"""

FRAMES_PER_TURN: Final = 16
"""Frames that one call looks into: a quarter of a MiB of data, or a fraction of a millisecond with what is dear for its size."""

_DEFAULT_WINDOW: Final = 65_535
_REQUEST: Final = 1
"""The stream of the one request (RFC 9113 §5.1.1)."""
_SIZE_UPDATES: Final = 2
"""At the beginning of a header block (RFC 7541 §4.2). Each takes one byte to send and much longer to carry out."""
_WITHOUT_BODY: Final = frozenset({b"204", b"304"})
_SHOWN: Final = 200
"""Characters of h2's reason, which may repeat what the server sent."""
_CONFIG: Final = H2Configuration(
    client_side=True, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
)


class HTTP2Reader:
    """One response to one request with *method*, whose *fields* and *body* go out as the server takes them.

    Feed it until it returns an outcome; feed it no more then. After each call there may be something to send.
    """

    def __init__(self, method: str, fields: list[tuple[bytes, bytes]], body: bytes, limits: HTTPLimits) -> None:
        self._limits = limits
        self._without_body = method == "HEAD"
        self._cutter = FrameCutter()
        self._counter = FrameCounter(limits, len(body))
        self._connection = _connection(limits)
        self._begun = False
        self._interim = 0
        self._head: tuple[bytes, Sequence[tuple[bytes, bytes]]] | None = None
        """Status and fields."""
        self._length: int | None = None
        self._body = Body()
        self._rest = memoryview(body)
        """The part of the request's body for which there was no window yet."""
        self.answered = False
        """True once a part of a response has come, its head or an interim one's."""
        self._connection.initiate_connection()
        self._connection.increment_flow_control_window(WINDOW - _DEFAULT_WINDOW)
        self._connection.send_headers(_REQUEST, fields, end_stream=not body)
        self._send_body()

    def to_send(self) -> bytes:
        """The bytes that are to go to the server now."""
        return self._connection.data_to_send()

    @property
    def unsent(self) -> int:
        """Bytes of the request's body that the server has not made room for."""
        return len(self._rest)

    @property
    def stage(self) -> str:
        """The missing part, for a message that begins "waiting for"."""
        if self._head is not None:
            of = "" if self._length is None else f" of {self._length}"
            return f"the rest of the body ({self._body.size}{of} bytes received)"
        return "the rest of the header fields" if self.answered else "the first byte of a response"

    @property
    def backlog(self) -> bool:
        """True while `feed(b"")` has work to do without any more bytes."""
        return self._cutter.has_frame

    def feed(self, data: bytes) -> Outcome | None:
        """Take *data*; None means that more is needed, or, with a backlog, another turn."""
        self._cutter.add(data)
        try:
            return self._turn()
        except HTTPError as error:
            return error.failure
        except DenialOfServiceError:
            return head_too_large(self._limits).failure
        except H2Error as error:
            return malformed(f"the server breaks HTTP/2: {printable(str(error), _SHOWN)}").failure

    def feed_eof(self) -> Failure:
        """The peer has ended the connection in order. Call it only without a backlog."""
        if not self._begun and not self._cutter.waiting:
            return Failure(FailureCode.CONNRESET, "the server closed the connection without answering")
        return Failure(FailureCode.CONNRESET, f"the server closed the connection before {self.stage}")

    def _turn(self) -> Outcome | None:
        if not self._begun:
            self._refuse_if_hopeless()
        for _ in range(FRAMES_PER_TURN):
            self.answered = self.answered or self._cutter.kind == HEADERS
            frame = self._cutter.cut()
            if frame is None:
                return None
            outcome = self._take(frame)
            if outcome is not None:
                return outcome
            if frame.kind in (HEADERS, CONTINUATION):
                return None  # one header block a turn: unpacking may take some ms
        return None

    def _refuse_if_hopeless(self) -> None:
        """A server begins with its settings (RFC 9113 §3.4)."""
        if self._cutter.waiting.startswith(b"HTTP/1"):
            raise malformed("the server agreed to HTTP/2 and answers in HTTP/1")
        kind = self._cutter.kind
        if kind is not None and kind != SETTINGS:
            raise malformed(f"the answer does not begin like HTTP/2: {self._cutter.waiting[:40]!r}")
        self._begun = kind is not None

    def _take(self, frame: ReceivedFrame) -> Outcome | None:
        self._counter.count(frame)
        if frame.kind == PUSH_PROMISE:
            raise malformed("the server pushes a response, although it was told not to")
        if frame.kind == GOAWAY and frame.stream == 0 and len(frame.payload) >= 8:
            return self._take_goodbye(frame.payload)
        for event in self._connection.receive_data(frame.whole):
            outcome = self._take_event(event, frame)
            if outcome is not None:
                return outcome
        self._send_body()
        return None

    def _take_event(self, event: Event, frame: ReceivedFrame) -> Outcome | None:
        match event:
            case DataReceived():
                self._take_data(event, len(frame.whole))
            case ResponseReceived():
                return self._take_head(event.headers)
            case InformationalResponseReceived():
                self._take_interim(event.headers)
            case StreamEnded():
                return self._complete()
            case StreamReset():
                return self._reset(event.error_code)
            case _:
                pass  # settings, pings, windows and trailers ask nothing of us that h2 does not do
        return None

    def _take_interim(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self._interim += 1
        if self._interim > self._limits.max_interim:
            raise malformed(f"the server sent more than {self._limits.max_interim} interim (1xx) responses")
        if _status(headers) == b"101":
            raise malformed("101 is not a valid status code in HTTP/2")

    def _take_head(self, headers: Sequence[tuple[bytes, bytes]]) -> Response | None:
        status, fields = _status(headers), [(name, value) for name, value in headers if not name.startswith(b":")]
        if len(status) != 3 or not status.isdigit():
            raise malformed(f"{printable(status.decode('latin-1'), 40)!r} is not a valid status code")
        if len(fields) > self._limits.max_header_fields:
            raise head_too_large(self._limits)
        self._head = (status, fields)
        if self._without_body or status in _WITHOUT_BODY:
            return self._complete()
        self._length = _content_length(fields)
        if self._length is not None and self._length > self._limits.max_body_bytes:
            raise body_too_large(f"announces a body of {self._length} bytes", self._limits)
        return None

    def _take_data(self, event: DataReceived, framed: int) -> None:
        self._body.add(event.data)
        if self._body.size > self._limits.max_body_bytes:
            raise body_too_large("sent more body than it may", self._limits)
        self._counter.count_data(framed - len(event.data), self._body.size)
        self._connection.acknowledge_received_data(event.flow_controlled_length, _REQUEST)

    def _take_goodbye(self, payload: bytes) -> Failure | None:
        """A server that only wants no further requests still answers this one (RFC 9113 §6.8); h2 would not let it."""
        last, code = int.from_bytes(payload[:4]) & 0x7FFF_FFFF, int.from_bytes(payload[4:8])
        if code == ErrorCodes.NO_ERROR and last >= _REQUEST:
            return None
        return Failure(FailureCode.CONNRESET, f"the server ended the connection ({_name(code)}) before {self.stage}")

    def _reset(self, code: int) -> Failure:
        if code == ErrorCodes.HTTP_1_1_REQUIRED:
            reason = f"the server wants this request in HTTP/1.1 ({_name(code)}): set httpVersion to http1"
            return Failure(FailureCode.CONNRESET, reason)
        return Failure(FailureCode.CONNRESET, f"the server reset the stream ({_name(code)}) before {self.stage}")

    def _send_body(self) -> None:
        """Send of the request's body what the server has room for (RFC 9113 §5.2)."""
        connection = self._connection
        while self._rest:
            room = min(connection.local_flow_control_window(_REQUEST), connection.max_outbound_frame_size)
            if room <= 0:
                return
            piece, self._rest = self._rest[:room], self._rest[room:]
            connection.send_data(_REQUEST, bytes(piece), end_stream=not self._rest)

    def _complete(self) -> Response:
        assert self._head is not None
        status, fields = self._head
        encodings = codings([value.decode("latin-1") for name, value in fields if name == b"content-encoding"])
        return Response(
            status=int(status),
            http_version="2.0",
            headers=readable(fields),
            body=self._body.whole(),
            content_encodings=tuple(encodings) if self._body.size else (),
            raw_headers=fields,
        )


class _CarefulDecoder(Decoder):
    """Refuses a block that is nothing but changes of the table's size: hpack would carry out 60,000 of them."""

    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:  # noqa: FBT001, FBT002  # hpack's signature
        if _size_updates(data) > _SIZE_UPDATES:
            raise HPACKDecodingError("too many changes of the table's size")
        return super().decode(data, raw)


def _size_updates(block: bytes) -> int:
    """The changes of the table's size with which *block* begins (RFC 7541 §6.3); counted no further than they may go."""
    at = found = 0
    while found <= _SIZE_UPDATES and at < len(block) and block[at] >> 5 == 1:
        found += 1
        if block[at] & 0x1F == 0x1F:  # an integer of several bytes
            at += 1
            while at < len(block) and block[at] & 0x80:
                at += 1
        at += 1
    return found


def _connection(limits: HTTPLimits) -> H2Connection:
    connection = H2Connection(_CONFIG)
    settings = {
        SettingCodes.ENABLE_PUSH: 0,
        SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
        SettingCodes.MAX_HEADER_LIST_SIZE: limits.max_head_bytes,
    }
    connection.local_settings = Settings(client=True, initial_values=settings)
    connection.decoder = _CarefulDecoder(limits.max_head_bytes)
    return connection


def _content_length(fields: Sequence[tuple[bytes, bytes]]) -> int | None:
    """h2 lets no other value pass than a number, and not two that differ."""
    return next((int(value) for name, value in fields if name == b"content-length"), None)


def _status(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """h2 lets no response pass that has none."""
    return next(value for name, value in headers if name == b":status")


def _name(code: int) -> str:
    """An error's name (RFC 9113 §7), or its number."""
    try:
        return ErrorCodes(code).name
    except ValueError:
        return f"error {code}"
