"""HTTP/2 frames as a server sends them, well-formed or not, packed by hyperframe and hpack, which know nothing of our reader."""

from __future__ import annotations

from collections.abc import Iterable

from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

Pairs = Iterable[tuple[str | bytes, str | bytes]]

NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, HTTP_1_1_REQUIRED = 0, 1, 7, 13
OK = ((":status", "200"),)


def settings(values: dict[int, int] | None = None) -> bytes:
    return SettingsFrame(0, settings=values or {}).serialize()


def ack() -> bytes:
    return _flagged(SettingsFrame(0), "ACK").serialize()


def block(fields: Pairs) -> bytes:
    """A header block that depends on no other: the tables are empty before it, and what it adds to them is not used."""
    return Encoder().encode(list(fields))


def headers(fields: Pairs = OK, *, end: bool = False, stream: int = 1) -> bytes:
    return raw_headers(block(fields), end=end, stream=stream)


def raw_headers(fragment: bytes, *, end: bool = False, whole: bool = True, stream: int = 1) -> bytes:
    """A HEADERS frame with *fragment*; unless *whole*, CONTINUATION frames are to follow."""
    flags = [*(["END_STREAM"] if end else []), *(["END_HEADERS"] if whole else [])]
    return _flagged(HeadersFrame(stream, data=fragment), *flags).serialize()


def continuation(fragment: bytes, *, whole: bool, stream: int = 1) -> bytes:
    return _flagged(ContinuationFrame(stream, data=fragment), *(["END_HEADERS"] if whole else [])).serialize()


def data(content: bytes, *, end: bool = False, padding: int | None = None, stream: int = 1) -> bytes:
    frame = DataFrame(stream, data=content, pad_length=padding or 0)
    flags = [*(["END_STREAM"] if end else []), *(["PADDED"] if padding is not None else [])]
    return _flagged(frame, *flags).serialize()


def ping() -> bytes:
    return PingFrame(0, opaque_data=b"12345678").serialize()


def window(increment: int, *, stream: int = 0) -> bytes:
    return WindowUpdateFrame(stream, window_increment=increment).serialize()


def goaway(code: int, *, last: int = 1, words: bytes = b"") -> bytes:
    return GoAwayFrame(0, last_stream_id=last, error_code=code, additional_data=words).serialize()


def rst(code: int, *, stream: int = 1) -> bytes:
    return RstStreamFrame(stream, error_code=code).serialize()


def push(*, stream: int = 1, promised: int = 2) -> bytes:
    fields = block(((":method", "GET"), (":scheme", "https"), (":authority", "h"), (":path", "/pushed")))
    return _flagged(PushPromiseFrame(stream, promised_stream_id=promised, data=fields), "END_HEADERS").serialize()


def unknown(kind: int, payload: bytes, *, stream: int = 0) -> bytes:
    """A frame of a *kind* that no document names."""
    return len(payload).to_bytes(3) + bytes((kind, 0)) + stream.to_bytes(4) + payload


def _flagged(frame: Frame, *flags: str) -> Frame:
    for flag in flags:
        frame.flags.add(flag)
    return frame
