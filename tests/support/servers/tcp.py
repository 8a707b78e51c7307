"""Small TCP targets on loopback: one that listens and counts, one that refuses, one that resets, one that never answers."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from tests.support.servers.closing import end

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: closing sends RST."""


class Listener:
    """`async with Listener() as target:` — accepts, counts, and says *greeting*; with *reset* it resets instead.

    Connections stay open until the client closes them, so a client that leaks one shows in `open`. With *tls* it shakes hands
    first; `server_names` are the names that clients sent as SNI.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        greeting: bytes = b"",
        reset: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.accepted = 0
        self.received = b""
        self.server_names: list[str | None] = []
        self._greeting = greeting
        self._reset = reset
        self._tls = tls
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def open(self) -> int:
        """Connections that neither side has closed."""
        return len(self._open)

    async def __aenter__(self) -> Self:
        if self._tls is not None:
            self._tls.sni_callback = lambda _, name, __: self.server_names.append(name)
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await end(self._server, self._open)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._open.add(writer)
        try:
            if self._reset:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                writer.transport.abort()
                return
            writer.write(self._greeting)
            while chunk := await reader.read(4096):
                self.received += chunk
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            self._open.discard(writer)
            writer.transport.abort()


def closed_port(host: str = "127.0.0.1") -> int:
    """A port at which nothing listens: it was free a moment ago."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def blackhole(host: str = "127.0.0.1") -> Iterator[int]:
    """A port whose queue of connections is full: the kernel drops every further SYN, as a firewall would."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind((host, 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
