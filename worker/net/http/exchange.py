"""One request and one response over one stream in HTTP/1.1. The bytes are read by `response`.

The outcome is always a value. The caller bounds the time and closes the stream.
"""

from __future__ import annotations

from worker.clock import Clock
from worker.net.failure import of_broken_connection
from worker.net.http.fields import Fields
from worker.net.http.outgoing import Outgoing
from worker.net.http.request import encode
from worker.net.http.response import NOTHING_YET, HTTPLimits, Outcome, ResponseReader
from worker.net.recorder import Recorder
from worker.net.stream import Stream


class Exchange:
    """The phase `firstByte` begins when the request is written, as the time to send belongs to it; `download` with the first byte
    of the answer, and it ends with the last one. Both are moments of arrival, not of reading.
    """

    __slots__ = ("_clock", "_limits", "_method", "_reader", "_recorder", "_stream")

    def __init__(self, stream: Stream, method: str, limits: HTTPLimits, clock: Clock, recorder: Recorder) -> None:
        self._stream = stream
        self._method = method
        self._limits = limits
        self._clock = clock
        self._recorder = recorder
        self._reader: ResponseReader | None = None
        """Made when something is to be read: it is a sixth of what a run takes that waits for its target."""

    @property
    def stage(self) -> str:
        """The missing part, for a message that begins "waiting for"."""
        if self._stream.unsent:
            return f"the server to take the rest of the request ({self._stream.unsent} bytes unsent)"
        return self._missing

    @property
    def _missing(self) -> str:
        return NOTHING_YET if self._reader is None else self._reader.stage

    async def answer(self, outgoing: Outgoing, default_headers: Fields, cookie: str | None) -> Outcome:
        """Write the request and read what comes of it."""
        recorder, stream = self._recorder, self._stream
        recorder.start("firstByte")
        stream.write(encode(outgoing, default_headers, cookie))
        try:
            data = await stream.receive()
            self._reader = reader = ResponseReader(self._method, self._limits)
            if data:
                recorder.start("download", stream.arrived)
            while data:
                outcome = await self._take(reader, data)
                if outcome is not None:
                    recorder.stop(stream.arrived)
                    return outcome
                data = await stream.receive()
                recorder.excuse(stream.arrived)
        except OSError as error:
            recorder.stop()
            return of_broken_connection(error, self._missing)
        recorder.stop(stream.arrived)
        return reader.feed_eof()

    async def _take(self, reader: ResponseReader, data: bytes) -> Outcome | None:
        outcome = reader.feed(data)
        while outcome is None and reader.backlog:
            await self._clock.sleep(0)  # other tests come first
            outcome = reader.feed(b"")
        return outcome
