"""HTTP/2 frames cut from bytes and counted before anything looks into them (RFC 9113 §4).

Cheap frames make a client work for nothing: settings, pings, window updates, empty data, header blocks in pieces. All of them are
in three bounds, kept here for a whole exchange. Nothing is known here of what a frame means.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from worker.net.http.response import HTTPLimits, head_too_large, malformed

HEAD: Final = 9
"""Bytes of a frame ahead of its payload."""

MOST_PAYLOAD: Final = 16_384
"""Bytes of one frame: SETTINGS_MAX_FRAME_SIZE as every connection begins, and as ours stays."""

MOST_CONTROL_FRAMES: Final = 1_000
"""Frames of one exchange that bring nothing of the response. An honest server sends a dozen; each costs some 20 µs."""

MOST_CONTROL_BYTES: Final = 65_536
"""Bytes of their payloads, but for header blocks: some 10,000 settings, at 6 µs each."""

SENT_BYTES_PER_CONTROL_FRAME: Final = 512
"""A request's body earns its server more of them: some servers send two window updates for every few KiB."""

DATA: Final = 0
HEADERS: Final = 1
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
GOAWAY: Final = 7
CONTINUATION: Final = 9


class ReceivedFrame(NamedTuple):
    """*whole* is the frame as it came, its head included."""

    kind: int
    stream: int
    whole: bytes

    @property
    def payload(self) -> bytes:
        return self.whole[HEAD:]


class FrameCutter:
    """Bytes in, whole frames out. It holds back what one frame may have at most, and what one read brings."""

    __slots__ = ("_at", "_bytes")

    def __init__(self) -> None:
        self._bytes = b""
        self._at = 0

    def add(self, data: bytes) -> None:
        self._bytes = self._bytes[self._at :] + data
        self._at = 0

    @property
    def waiting(self) -> bytes:
        """All that is not cut yet."""
        return self._bytes[self._at :]

    @property
    def kind(self) -> int | None:
        """The kind of the next frame, as soon as its head is there."""
        return self._bytes[self._at + 3] if len(self._bytes) - self._at >= HEAD else None

    @property
    def has_frame(self) -> bool:
        """True if `cut` has a frame to return, or to refuse."""
        there = len(self._bytes) - self._at - HEAD
        return there >= 0 and (there >= (length := self._length()) or length > MOST_PAYLOAD)

    def _length(self) -> int:
        return int.from_bytes(self._bytes[self._at : self._at + 3])

    def cut(self) -> ReceivedFrame | None:
        """The next frame, or None where it has not come yet. Raises HTTPError for one that is too long."""
        if len(self._bytes) - self._at < HEAD:
            return None
        length = self._length()
        if length > MOST_PAYLOAD:
            raise malformed(f"the server sent an HTTP/2 frame of {length} bytes; it may have {MOST_PAYLOAD}")
        end = self._at + HEAD + length
        if len(self._bytes) < end:
            return None
        whole, self._at = self._bytes[self._at : end], end
        return ReceivedFrame(whole[3], int.from_bytes(whole[5:HEAD]) & 0x7FFF_FFFF, whole)


class FrameCounter:
    """The bounds of one exchange. *sent* is the size of the request's body. Raises HTTPError at each."""

    __slots__ = ("_control", "_control_bytes", "_header_bytes", "_limits", "_overhead", "_sent")

    def __init__(self, limits: HTTPLimits, sent: int) -> None:
        self._limits = limits
        self._sent = sent
        self._control = 0
        self._control_bytes = 0
        self._header_bytes = 0
        self._overhead = 0

    def count(self, frame: ReceivedFrame) -> None:
        """Take note of *frame*, which has just come."""
        payload = len(frame.whole) - HEAD
        if frame.kind == DATA and payload:
            return
        if frame.kind in (HEADERS, CONTINUATION):
            # Of interim responses and trailers, too. What they unpack to is bounded where that is done.
            self._header_bytes += payload
            if self._header_bytes > self._limits.max_head_bytes:
                raise head_too_large(self._limits)
        else:
            self._control_bytes += payload
        self._control += 1
        earned = self._sent // SENT_BYTES_PER_CONTROL_FRAME
        if self._control > MOST_CONTROL_FRAMES + earned or self._control_bytes > MOST_CONTROL_BYTES + 8 * earned:
            reason = f"{self._control} frames with {self._control_bytes} bytes"
            raise malformed(f"the server keeps HTTP/2 busy with itself: {reason} that bring nothing of a response")

    def count_data(self, framing: int, body: int) -> None:
        """Take note of *framing* bytes around some data, after which there are *body* bytes in all."""
        self._overhead += framing
        if self._overhead > self._limits.max_framing_bytes + body // 8:
            reason = f"{self._overhead} bytes of HTTP/2 framing for {body} bytes of body"
            raise malformed(f"the response is nearly all overhead: {reason}")
