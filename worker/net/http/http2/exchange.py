"""One request and one response over one stream in HTTP/2. The bytes are read by `reader`.

The outcome is always a value. The caller bounds the time and closes the stream.
"""

from __future__ import annotations

from worker.clock import Clock
from worker.net.failure import of_broken_connection
from worker.net.http.fields import Fields
from worker.net.http.http2.message import request_fields
from worker.net.http.http2.reader import HTTP2Reader
from worker.net.http.outgoing import Outgoing
from worker.net.http.response import HTTPLimits, Outcome
from worker.net.recorder import Recorder
from worker.net.stream import Stream


class HTTP2Exchange:
    """Phases as those of HTTP/1.1: `firstByte` begins when the request is written and ends when the kernel had the beginning of a
    response; what a server says of itself before that is part of it.
    """

    def __init__(self, stream: Stream, method: str, limits: HTTPLimits, clock: Clock, recorder: Recorder) -> None:
        self._stream = stream
        self._method = method
        self._limits = limits
        self._clock = clock
        self._recorder = recorder
        self._reader: HTTP2Reader | None = None

    @property
    def stage(self) -> str:
        """The missing part, for a message that begins "waiting for"."""
        reader = self._reader
        unsent = self._stream.unsent + (0 if reader is None else reader.unsent)
        if unsent and (reader is None or not reader.answered):
            return f"the server to take the rest of the request ({unsent} bytes unsent)"
        return "the first byte of a response" if reader is None else reader.stage

    async def answer(self, outgoing: Outgoing, default_headers: Fields, cookie: str | None) -> Outcome:
        """Write the request and read what comes of it."""
        recorder, stream = self._recorder, self._stream
        fields = request_fields(outgoing, default_headers, cookie)
        self._reader = reader = HTTP2Reader(self._method, fields, outgoing.body or b"", self._limits)
        recorder.start("firstByte")
        stream.write(reader.to_send())
        try:
            while data := await stream.receive():
                recorder.excuse(stream.arrived)
                outcome = await self._take(reader, data)
                if outcome is not None:
                    recorder.stop(stream.arrived)
                    return outcome
        except OSError as error:
            recorder.stop()
            return of_broken_connection(error, reader.stage)
        recorder.stop(stream.arrived)
        return reader.feed_eof()

    async def _take(self, reader: HTTP2Reader, data: bytes) -> Outcome | None:
        """Turn after turn until *data* is used up; what h2 has to say to the server goes out after each."""
        while True:
            answered, outcome = reader.answered, reader.feed(data)
            if reader.answered and not answered:
                self._recorder.start("download", self._stream.arrived)
            if replies := reader.to_send():
                self._stream.write(replies)
            if outcome is not None or not reader.backlog:
                return outcome
            await self._clock.sleep(0)  # other tests come first
            data = b""
