"""Limits on the connections of clients who may be anybody: the time that one may take to ask, and their number.

aiohttp reads a request's head for an hour, if it takes that long to come, and writes a reply for as long as its reader likes.
Here a connection is *busy* while a handler has its request, which is the handler's to bound, and *waits* otherwise: for a head,
or for its last reply to be read. A connection that waits too long is cut off. Where there are too many, the one that has waited
longest goes first: an honest client asks often; who keeps connections open to use them up does not.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from aiohttp import web

log = logging.getLogger(__name__)

HEAD_SECONDS = 10.0
"""For the whole head of a request, and for a TLS handshake: as long as a worker gives a whole exchange."""
IDLE_SECONDS = 75.0
"""Between requests, and for a reply to be read: longer than the minute for which load balancers keep a connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """*connections* at one time, busy ones included."""

    connections: int
    head_seconds: float = HEAD_SECONDS
    idle_seconds: float = IDLE_SECONDS


@asynccontextmanager
async def serving(
    runner: web.AppRunner,
    listen: socket.socket | tuple[str, int],
    limits: ClientLimits,
    *,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Sequence[socket.socket]]:
    """Serve the application of *runner*, which was not set up yet, on a socket or at every address of (host, port).

    Yields the sockets that are listened on. Raises OSError where nothing can listen there.
    """
    connections = _Connections(limits)
    runner.app.middlewares.insert(0, connections.occupy)
    await runner.setup()
    assert runner.server is not None
    serve = runner.server
    try:
        server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(serve(), connections),
            **({"sock": listen} if isinstance(listen, socket.socket) else {"host": listen[0], "port": listen[1]}),
            ssl=tls,
            ssl_handshake_timeout=limits.head_seconds if tls else None,
        )
        try:
            yield server.sockets
        finally:
            server.close()
    finally:
        await runner.cleanup()


class _Connections:
    """All open connections, the waiting ones in the order in which they began to wait."""

    def __init__(self, limits: ClientLimits) -> None:
        self.limits = limits
        self._connected: dict[asyncio.BaseTransport, _Connection] = {}
        self._waiting: dict[_Connection, None] = {}
        self._told = False

    def join(self, transport: asyncio.BaseTransport, connection: _Connection) -> bool:
        """Add a connection; False where there is no room and none can be made."""
        full = len(self._connected) >= self.limits.connections
        if full:
            self._tell()
            if not self._waiting:
                return False
            next(iter(self._waiting)).cut_off()
        self._connected[transport] = connection
        return True

    def leave(self, transport: asyncio.BaseTransport, connection: _Connection) -> None:
        self._connected.pop(transport, None)
        self._waiting.pop(connection, None)
        if len(self._connected) < self.limits.connections // 2:
            self._told = False

    def wait(self, connection: _Connection) -> None:
        self._waiting[connection] = None

    def work(self, connection: _Connection) -> None:
        self._waiting.pop(connection, None)

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
            connection.wait()


class _Connection(asyncio.Protocol):
    """A protocol between a transport and aiohttp's, which hands everything on and keeps the time limits."""

    def __init__(self, served: asyncio.Protocol, connections: _Connections) -> None:
        self._served = served
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._idle = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._served.connection_made(transport)
        if self._connections.join(transport, self):
            self._connections.wait(self)
            self._limit(self._connections.limits.head_seconds)
        else:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._idle:
            self._idle = False
            self._limit(self._connections.limits.head_seconds)
        self._served.data_received(data)

    def eof_received(self) -> bool | None:
        return self._served.eof_received()

    def pause_writing(self) -> None:
        self._served.pause_writing()

    def resume_writing(self) -> None:
        self._served.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._served.connection_lost(exc)

    def work(self) -> None:
        """Stop the limits: a handler has the request, and bounds its own work."""
        self._idle = False
        self._stop_the_clock()
        self._connections.work(self)

    def wait(self) -> None:
        """Begin to wait: the handler has answered."""
        if self._transport is not None:
            self._idle = True
            self._connections.wait(self)
            self._limit(self._connections.limits.idle_seconds)

    def cut_off(self) -> None:
        """Close at once: a reply that the client has not read by now is given up."""
        assert self._transport is not None
        log.debug(
            "closed a connection that asked for nothing",
            extra={"action": "connection_cut_off", "remote": self._transport.get_extra_info("peername")},
        )
        self._transport.abort()
        self._leave()

    def _limit(self, seconds: float) -> None:
        self._stop_the_clock()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.cut_off)

    def _stop_the_clock(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave(self) -> None:
        self._stop_the_clock()
        if self._transport is not None:
            self._connections.leave(self._transport, self)
            self._transport = None
