"""A few bytes that are exchanged over a connection before it belongs to its caller. Bounded; what comes after them is kept."""

from __future__ import annotations

import asyncio
from typing import cast

from worker.net.dial import adopt

MAX_HEAD = 16_384
"""What may come before the end that is waited for: an answer to CONNECT with generous headers."""


class Dialogue(asyncio.Protocol):
    """Reads replies of known length or known end. Raises ConnectionError when the peer hangs up or says too much."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._more: asyncio.Future[None] | None = None
        self._over: Exception | None = None

    @classmethod
    def over(cls, transport: asyncio.Transport) -> Dialogue:
        dialogue = cls()
        adopt(transport, dialogue)
        return dialogue

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._wake()

    def eof_received(self) -> None:
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._over = self._over or exc or ConnectionResetError("it hung up")
        self._wake()

    def say(self, data: bytes) -> None:
        if self._over is not None:  # uvloop raises RuntimeError for writing to what is closed
            raise self._over
        assert self._transport is not None
        self._transport.write(data)

    async def receive_exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            await self._wait()
        return self._take(size)

    async def receive_until(self, end: bytes) -> bytes:
        """Up to and with *end*."""
        searched = 0
        while (found := self._received.find(end, searched)) < 0:
            searched = max(0, len(self._received) - len(end) + 1)
            if len(self._received) > MAX_HEAD:
                raise ConnectionAbortedError("its answer has no end")
            await self._wait()
        return self._take(found + len(end))

    def leave(self, transport: asyncio.Transport) -> bytes:
        """Pause *transport* for its next owner, to whom what has arrived belongs. Raises what ended it if it is closed."""
        if self._over is not None:
            raise self._over
        transport.pause_reading()
        return self._take(len(self._received))

    def _take(self, size: int) -> bytes:
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    async def _wait(self) -> None:
        if self._over is not None:
            raise self._over
        self._more = asyncio.get_running_loop().create_future()
        await self._more

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)
