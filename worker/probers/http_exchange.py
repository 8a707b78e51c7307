"""One request and one response over one connection: asyncio's side of an HTTP hop. What the bytes mean is `http_response`'s.

The outcome is always a value. The caller bounds the time and ends the connection.
"""

from __future__ import annotations

import asyncio
from typing import cast

from worker.net.failure import of_broken_connection
from worker.net.recorder import Recorder
from worker.probers.http_response import HTTPLimits, Outcome, ResponseReader

_GUSH = 65_536
"""A read of so many bytes leaves more behind, and libuv would go on reading up to 8 MB before anyone else has a turn."""

_LAST_WORDS = 0.1
"""Seconds within which a connection that is closing says why; one that was lost before it was ours never will."""


class Exchange(asyncio.Protocol):
    """The recorder's phase `download` begins with the first byte of the answer and ends with the last one."""

    def __init__(self, method: str, limits: HTTPLimits, recorder: Recorder) -> None:
        self._loop = asyncio.get_running_loop()
        self._recorder = recorder
        self._reader = ResponseReader(method, limits, self._loop)
        self._transport: asyncio.Transport | None = None
        self._outcome: asyncio.Future[Outcome] = self._loop.create_future()
        self._asked = False
        self._begun = False
        self._unsent = 0
        self._error: Exception | None = None

    @property
    def stage(self) -> str:
        """What is missing, for a message that begins "waiting for"."""
        if self._unsent:
            return f"the server to take the rest of the request ({self._unsent} bytes unsent)"
        return self._reader.stage

    async def answer(self, request: bytes) -> Outcome:
        """Write the request and wait for what comes of it. `firstByte` begins here: the time to send belongs to it."""
        self._asked = True
        self._recorder.start("firstByte")
        if self._outcome.done():
            self._recorder.stop()
        elif self._transport is not None:
            if self._begun:
                self._recorder.start("download")
            if self._transport.is_closing():
                self._loop.call_later(_LAST_WORDS, self._end_of_input, None)
            self._transport.write(request)
        try:
            return await self._outcome
        except asyncio.CancelledError:
            self._unsent = 0 if self._transport is None else self._transport.get_write_buffer_size()
            raise

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._outcome.done():
            return
        if not self._begun:
            self._begun = True
            if self._asked:
                self._recorder.start("download")
        outcome = self._reader.feed(data)
        if outcome is not None:
            self._finish(outcome)
        if len(data) >= _GUSH or self._reader.backlog:
            self._let_others_run()

    def eof_received(self) -> None:
        if self._reader.ends_with_connection:
            self._end_of_input(None)
        else:
            # An end in the wrong place. If TLS failed, it is reported in this odd way first by asyncio, and then by its error.
            self._loop.call_later(_LAST_WORDS, self._end_of_input, None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end_of_input(exc)

    def _let_others_run(self) -> None:
        """Read on, or take the backlog up, in the next turn of the loop: other tests come first."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
        self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        if self._outcome.done():
            return
        outcome = self._reader.feed(b"") if self._reader.backlog else None
        if outcome is not None:
            self._finish(outcome)
        elif self._reader.backlog:
            self._loop.call_soon(self._take_turn)
        elif self._transport is None:
            self._end_of_input(self._error)
        elif not self._transport.is_closing():
            self._transport.resume_reading()

    def _end_of_input(self, error: Exception | None) -> None:
        """The peer's side is over, by order or by accident; what it sent before comes first."""
        if self._outcome.done():
            return
        if self._reader.backlog:
            self._error = error
            self._transport = None
        elif error is None:
            self._finish(self._reader.feed_eof())
        else:
            self._finish(of_broken_connection(error, self._reader.stage))

    def _finish(self, outcome: Outcome) -> None:
        self._recorder.stop()
        self._outcome.set_result(outcome)
