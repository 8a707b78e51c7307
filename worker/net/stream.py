"""A byte stream to one peer, read by whoever owns it at the moment. Nothing is read before it is asked for, so a peer cannot fill
memory, and a stream is handed from one owner to the next without a byte being lost.

Not asyncio's transports: these read when they like, as much as they like, and drop the kernel's stamps, by which an answer's
arrival is told from the moment at which a busy loop got round to it.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

from worker.net.stamps import receive_stamped

READ = 65_536
"""Bytes of one read at most: what one peer may bring in one turn of the loop."""


class Stream(Protocol):
    """One owner, one reader at a time."""

    @property
    def arrived(self) -> int | None:
        """The moment at which the kernel had what `receive` returned last, in nanoseconds of wall time; None if not known."""
        ...

    @property
    def unsent(self) -> int:
        """Bytes written that the kernel has not taken yet, or never took."""
        ...

    async def receive(self, at_most: int = READ) -> bytes:
        """Return what has come, as soon as something has; empty at the peer's end of it. Raises OSError."""
        ...

    def write(self, data: bytes) -> None:
        """Send *data*, now or as the peer takes it. A connection that broke is told by `receive`, after what came before."""
        ...

    def put_back(self, data: bytes) -> None:
        """Have *data*, which came last, received again by the next owner."""
        ...

    def close(self) -> None:
        """End it at once, whatever is unsent or unread. May be repeated."""
        ...


class Connection:
    """A connected, non-blocking TCP socket, which it owns."""

    __slots__ = ("_broken", "_closed", "_loop", "_put_back", "_sock", "_unsent", "_waiter", "_watched", "arrived")

    def __init__(self, sock: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._waiter: asyncio.Future[None] | None = None
        self._watched = False
        self._closed = False
        self._unsent = bytearray()
        self._broken: OSError | None = None
        self._put_back = b""
        self.arrived: int | None = None

    @property
    def unsent(self) -> int:
        return len(self._unsent)

    async def receive(self, at_most: int = READ) -> bytes:
        if self._put_back:
            data, self._put_back = self._put_back[:at_most], self._put_back[at_most:]
            return data
        while True:
            self._waiter = self._watched_for()
            try:
                await self._waiter  # for a turn of the loop at least: others get theirs
            finally:
                self._waiter = None
            try:
                data, self.arrived = receive_stamped(self._sock, at_most)
            except BlockingIOError:  # woken for nothing, as epoll(7) allows
                continue
            if not data and self._broken is not None:
                raise self._broken
            return data

    def _watched_for(self) -> asyncio.Future[None]:
        """A future that is done when there is something to read."""
        if not self._watched:
            self._watched = True
            self._loop.add_reader(self._sock.fileno(), self._wake)
        return self._loop.create_future()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is None:
            # Nobody asks for more at the moment; readiness is told in each turn for as long as it is watched for.
            self._watched = False
            self._loop.remove_reader(self._sock.fileno())
        elif not waiter.done():
            waiter.set_result(None)

    def write(self, data: bytes) -> None:
        if self._unsent or self._broken is not None:
            self._unsent += data
            return
        taken = self._send(data)
        if taken < len(data):
            self._unsent += memoryview(data)[taken:]
            if self._broken is None:
                self._loop.add_writer(self._sock.fileno(), self._send_more)

    def _send_more(self) -> None:
        del self._unsent[: self._send(self._unsent)]
        if not self._unsent or self._broken is not None:
            self._loop.remove_writer(self._sock.fileno())

    def _send(self, data: bytes | bytearray) -> int:
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._broken = error
            return 0

    def put_back(self, data: bytes) -> None:
        self._put_back = data + self._put_back

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._watched:
            self._loop.remove_reader(self._sock.fileno())
        if self._unsent:
            self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
