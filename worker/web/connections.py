"""Limits on the connections of clients who may be anybody: the time that one may take to ask, and their number.

aiohttp reads a request's head for an hour, if it takes that long to come, and writes a reply for as long as its reader likes.
Here a connection is *busy* while a handler has its request, which is the handler's to bound, and *waits* otherwise: for a head,
or for its last reply to be read. A connection that waits too long is cut off. Where there are too many, the one that has waited
longest goes first: an honest client asks often; who keeps connections open to use them up does not. All of this begins when a
connection is accepted (`listener`): one that owes its TLS handshake is one that waits.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

from aiohttp import web
from msgspec import Struct

from worker.web.listener import Listener

log = logging.getLogger(__name__)

HEAD_SECONDS = 10.0
"""For the whole head of a request, and for a TLS handshake: as long as a worker gives a whole exchange."""
IDLE_SECONDS = 75.0
"""Between requests, and for a reply to be read: longer than the minute for which load balancers keep a connection."""


HEAD_BYTES = 16 * 1024
"""Of a head that is let in whatever others hold: far more than a browser's, a worker's or an ingress's."""
UNANSWERED_BYTES = 64 * 1024 * 1024
"""Of what all waiting connections sent together, where nobody says less."""


class ClientLimits(Struct, frozen=True, kw_only=True):
    """*connections* at one time, busy ones included. *unanswered_bytes* are held at most of what connections sent that wait."""

    connections: int
    unanswered_bytes: int = UNANSWERED_BYTES
    head_seconds: float = HEAD_SECONDS
    idle_seconds: float = IDLE_SECONDS


@asynccontextmanager
async def serving(
    runner: web.AppRunner,
    listen: socket.socket,
    limits: ClientLimits,
    *,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Sequence[socket.socket]]:
    """Serve the application of *runner*, which was not set up yet, on a listening socket.

    Yields the sockets that are listened on.
    """
    connections = _Connections(runner, limits, tls)
    runner.app.middlewares.insert(0, connections.occupy)
    await runner.setup()
    try:
        listener = Listener((listen,), connections)
        try:
            yield listener.sockets
        finally:
            listener.close()
            await connections.give_up_handshakes()
    finally:
        await runner.cleanup()


class _Connections:
    """All accepted connections, the waiting ones in the order in which they began to wait."""

    def __init__(self, runner: web.AppRunner, limits: ClientLimits, tls: ssl.SSLContext | None) -> None:
        self.limits = limits
        self._runner = runner
        self._tls = tls
        self._accepted: dict[_Connection, asyncio.Task[None]] = {}
        self._connected: dict[asyncio.BaseTransport, _Connection] = {}
        self._waiting: dict[_Connection, None] = {}
        self._told = False
        self._short_at = 0
        self._unanswered = 0

    def enter(self, accepted: socket.socket) -> None:
        """Count an accepted connection and begin with it, or close it where there is no room and none can be made."""
        if len(self._accepted) >= self.limits.connections:
            self._tell()
            if not self._waiting:
                accepted.close()
                return
            next(iter(self._waiting)).cut_off()
        assert self._runner.server is not None
        connection = _Connection(self._runner.server(), self)
        beginning = asyncio.get_running_loop().create_task(self._begin(connection, accepted))
        # A callback and not a `finally`: a task that is cancelled before its first step never enters its coroutine.
        beginning.add_done_callback(partial(self._begun, connection, accepted))
        self._accepted[connection] = beginning
        connection.wait_for_head()

    async def _begin(self, connection: _Connection, accepted: socket.socket) -> None:
        """Make the transport, by a handshake where there is TLS. A failure is the client's, and ends with its connection."""
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=self.limits.head_seconds if self._tls else None,
            )
        except OSError as error:  # ssl.SSLError and TimeoutError are
            log.debug("a connection failed as it began: %s", error, extra={"action": "connection_failed"})

    def _begun(self, connection: _Connection, accepted: socket.socket, _: asyncio.Task[None]) -> None:
        if not connection.is_open:
            accepted.close()
            connection.leave()

    def join(self, transport: asyncio.BaseTransport, connection: _Connection) -> None:
        self._connected[transport] = connection

    def leave(self, transport: asyncio.BaseTransport | None, connection: _Connection) -> None:
        """Forget a connection. One that is not made yet is given up."""
        beginning = self._accepted.pop(connection, None)
        if transport is None and beginning is not None:
            beginning.cancel()
        elif transport is not None:
            self._connected.pop(transport, None)
        self.work(connection)
        if len(self._accepted) < self.limits.connections // 2:
            self._told = False

    def wait(self, connection: _Connection) -> None:
        self._waiting[connection] = None
        self._unanswered += connection.unanswered

    def work(self, connection: _Connection) -> None:
        """Forget that a connection waits, if it does."""
        if connection in self._waiting:
            del self._waiting[connection]
            self._unanswered -= connection.unanswered

    def is_waiting(self, connection: _Connection) -> bool:
        return connection in self._waiting

    def take(self, connection: _Connection, size: int) -> bool:
        """Count *size* bytes that a waiting connection sent; False where they are too many: the parser would keep them all."""
        if connection.unanswered + size > HEAD_BYTES and self._unanswered + size > self.limits.unanswered_bytes:
            return False
        self._unanswered += size
        return True

    def make_room(self) -> None:
        """Close half of what waits, the longest first: there are no files left."""
        self._short_at = len(self._accepted)
        for connection in list(self._waiting)[: (len(self._waiting) + 1) // 2]:
            connection.cut_off()

    @property
    def has_room_again(self) -> bool:
        """Tell if half of what was open when there were no files left has gone since."""
        return len(self._accepted) < self._short_at // 2

    async def give_up_handshakes(self) -> None:
        """End what has not become a connection yet."""
        beginning = [task for connection, task in self._accepted.items() if not connection.is_open]
        for task in beginning:
            task.cancel()
        await asyncio.gather(*beginning, return_exceptions=True)

    def _tell(self) -> None:
        """Warn once, until there is room again: a flood of connections must not flood the log."""
        if not self._told:
            self._told = True
            log.warning(
                "%d connections, and no more are kept: those that ask for nothing are closed",
                self.limits.connections,
                extra={"action": "connections_full"},
            )

    @web.middleware
    async def occupy(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Mark the connection as busy around every handler."""
        connection = None if request.transport is None else self._connected.get(request.transport)
        if connection is None:  # gone, or about to be
            return await handler(request)
        connection.work()
        try:
            return await handler(request)
        finally:
            connection.wait(request)


class _Connection(asyncio.Protocol):
    """A protocol between a transport and aiohttp's, which hands everything on and keeps the time limits."""

    def __init__(self, served: asyncio.Protocol, connections: _Connections) -> None:
        self._served = served
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._idle = False
        self.unanswered = 0
        """Bytes that it sent beside those of requests which were answered."""

    @property
    def is_open(self) -> bool:
        """Tell if it has a transport; before, it is a socket whose handshake is not over."""
        return self._transport is not None

    def wait_for_head(self) -> None:
        """Begin to wait for the client: for its handshake, if there is one, and then anew for its first request."""
        self._connections.wait(self)
        self._limit(self._connections.limits.head_seconds)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.join(transport, self)
        self._limit(self._connections.limits.head_seconds)
        self._served.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._idle:
            self._idle = False
            self._limit(self._connections.limits.head_seconds)
        if self._connections.is_waiting(self) and not self._connections.take(self, len(data)):
            self.cut_off()
            return
        self.unanswered += len(data)
        self._served.data_received(data)

    def eof_received(self) -> bool | None:
        return self._served.eof_received()

    def pause_writing(self) -> None:
        self._served.pause_writing()

    def resume_writing(self) -> None:
        self._served.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.leave()
        self._served.connection_lost(exc)

    def work(self) -> None:
        """Stop the limits: a handler has the request, and bounds its own work."""
        self._idle = False
        self._stop_the_clock()
        self._connections.work(self)

    def wait(self, answered: web.Request) -> None:
        """Begin to wait: the handler has *answered*. What came behind that request is of another one."""
        if self._transport is not None:
            self.unanswered = max(0, self.unanswered - _size(answered))
            self._idle = True
            self._connections.wait(self)
            self._limit(self._connections.limits.idle_seconds)

    def cut_off(self) -> None:
        """Close at once: a handshake that is not over, or a reply that the client has not read by now, is given up."""
        transport = self._transport
        log.debug(
            "closed a connection that asked for nothing",
            extra={
                "action": "connection_cut_off",
                "remote": None if transport is None else transport.get_extra_info("peername"),
            },
        )
        if transport is not None:
            transport.abort()
        self.leave()

    def leave(self) -> None:
        """Be forgotten; what has no transport yet gets none."""
        self._stop_the_clock()
        self._connections.leave(self._transport, self)
        self._transport = None

    def _limit(self, seconds: float) -> None:
        self._stop_the_clock()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.cut_off)

    def _stop_the_clock(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _size(request: web.Request) -> int:
    """The bytes of a request, as every usual client writes it; of one that did not announce its body's size, any number."""
    if request.body_exists and request.content_length is None:
        return sys.maxsize
    line = len(f"{request.method} {request.raw_path} HTTP/1.1\r\n")
    fields = sum(len(name) + len(": ") + len(value) + len("\r\n") for name, value in request.raw_headers)
    return line + fields + len("\r\n") + (request.content_length or 0)
