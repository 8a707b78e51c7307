"""A few bytes that are exchanged over a stream before it belongs to its caller. Bounded; what comes after them is kept."""

from __future__ import annotations

from worker.net.recorder import Recorder
from worker.net.stream import Stream

MAX_HEAD = 16_384
"""Bytes that may come before the end that is waited for: an answer to CONNECT with generous headers."""


class Dialogue:
    """Reads replies of known length or known end. Raises OSError when the peer hangs up or says too much."""

    def __init__(self, stream: Stream, recorder: Recorder) -> None:
        self._stream = stream
        self._recorder = recorder
        self._received = bytearray()

    def send(self, data: bytes) -> None:
        self._stream.write(data)

    async def receive_exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            await self._more()
        return self._take(size)

    async def receive_until(self, end: bytes) -> bytes:
        """Up to and with *end*."""
        searched = 0
        while (found := self._received.find(end, searched)) < 0:
            searched = max(0, len(self._received) - len(end) + 1)
            if len(self._received) > MAX_HEAD:
                raise ConnectionAbortedError("its answer has no end")
            await self._more()
        return self._take(found + len(end))

    def release(self) -> Stream:
        """The stream, for its next owner, to whom what has arrived belongs."""
        self._stream.put_back(self._take(len(self._received)))
        return self._stream

    def _take(self, size: int) -> bytes:
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    async def _more(self) -> None:
        data = await self._stream.receive()
        if not data:
            raise ConnectionResetError("it hung up")
        self._recorder.exclude(self._stream.arrived)
        self._received += data
