"""Listeners that a worker under attack must never reach: TCP and UDP on one port of many addresses, counting every arrival."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from ipaddress import ip_address
from typing import Self, cast

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Listeners:
    """`async with Listeners([...]) as listeners:` — *reached* has the address of each arrival, as the worker dialled it.

    A wildcard address counts what arrives for any address. Who connects gets a small HTTP response, who asks gets REFUSED.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self.port = 0
        self.reached: list[str] = []
        self._servers: list[asyncio.Server] = []
        self._transports: list[asyncio.DatagramTransport] = []
        self._sentinels: dict[tuple[str, int], asyncio.Event] = {}

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._servers, self._transports = [], []
        for address, (stream, datagram) in zip(self._addresses, bound(self._addresses), strict=True):
            self.port = stream.getsockname()[1]
            self._servers.append(await asyncio.start_server(self._accept, sock=stream))
            transport, _ = await loop.create_datagram_endpoint(partial(_Datagrams, self, address), sock=datagram)
            self._transports.append(transport)
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        for transport in self._transports:
            transport.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.arrived(writer.get_extra_info("sockname")[0], ("tcp", writer.get_extra_info("peername")[1]))
        with suppress(ConnectionError):
            await reader.read(1)
            writer.write(_ANSWER)
            await writer.drain()
        writer.transport.abort()

    def arrived(self, address: str, source: tuple[str, int]) -> None:
        """Count an arrival; *source* is its transport and port, by which `settle` knows its own."""
        if source in self._sentinels:
            self._sentinels[source].set()
        else:
            self.reached.append(str(ip_address(address)))

    async def settle(self) -> None:
        """Wait until everything that was sent so far has been counted, by sending one more to each: queues keep order."""
        for address in self._addresses:
            near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
            await self._send_sentinel(near, "tcp")
            await self._send_sentinel(near, "udp")

    async def _send_sentinel(self, address: str, transport: str) -> None:
        kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as sock:
            sock.setblocking(False)
            sock.bind((address, 0))
            arrived = self._sentinels[transport, sock.getsockname()[1]] = asyncio.Event()
            await asyncio.get_running_loop().sock_connect(sock, (address, self.port))
            if transport == "udp":
                sock.send(bytes(12))
            await arrived.wait()
        self._sentinels.clear()


def bound(addresses: Sequence[str]) -> list[tuple[socket.socket, socket.socket]]:
    """A TCP and a UDP socket for each address, all on one port. Another program may have it somewhere: then another one."""
    for _ in range(20):
        port = 0
        with ExitStack() as opened:
            found = []
            try:
                for address in addresses:
                    stream = opened.enter_context(_bound(address, port, socket.SOCK_STREAM))
                    port = stream.getsockname()[1]
                    found.append((stream, opened.enter_context(_bound(address, port, socket.SOCK_DGRAM))))
            except OSError:
                continue
            opened.pop_all()
            return found
    raise OSError(f"no port is free on all of {addresses}")


def _bound(address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    sock.setblocking(False)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, listeners: Listeners, address: str) -> None:
        self._listeners = listeners
        self._address = address

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._listeners.arrived(self._address, ("udp", addr[1]))
        self._transport.sendto(data[:2] + b"\x81\x05" + data[4:], addr)
