"""Real proxies on loopback, small: HTTP CONNECT (over TLS if wanted) and SOCKS5, with credentials, and with lies on request."""

from __future__ import annotations

import asyncio
import ssl
import struct
from base64 import b64encode
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Self, TypeAlias

from tests.support.servers.closing import end

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Relay:
    """Accepts clients, lets `_open` agree on a target with each, and then copies both ways."""

    def __init__(
        self,
        *,
        credentials: tuple[str, str] | None = None,
        names: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        instead: bytes | None = None,
        silent: bool = False,
    ) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.asked: list[tuple[str, int]] = []
        """The hosts and ports that clients wanted, as they wrote them."""
        self.accepted = 0
        self._credentials = credentials
        self._names = names or {}
        self._tls = tls
        self._instead = instead
        """Said in place of everything else, as soon as the client has said something."""
        self._silent = silent
        self._open_writers: set[asyncio.StreamWriter] = set()

    @property
    def open(self) -> int:
        """Connections to clients and targets that are still there."""
        return len(self._open_writers)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await end(self._server, self._open_writers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._open_writers.add(writer)
        opened = [writer]
        try:
            if self._silent or self._instead is not None:
                await reader.read(1)
                writer.write(self._instead or b"")
                await reader.read()
                return
            target = await self._agree(reader, writer, opened)
            if target is not None:
                await self._copy(reader, writer, *target)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, RuntimeError):
            pass  # uvloop raises RuntimeError where asyncio only warns: a write to a connection that is gone
        finally:
            for one in opened:
                self._open_writers.discard(one)
                one.close()

    async def _agree(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, opened: list[asyncio.StreamWriter]
    ) -> Streams | None:
        raise NotImplementedError

    async def _dial(self, host: str, port: int, opened: list[asyncio.StreamWriter]) -> Streams:
        self.asked.append((host, port))
        reader, writer = await asyncio.open_connection(self._names.get(host, host), port)
        opened.append(writer)
        self._open_writers.add(writer)
        return reader, writer

    async def _copy(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        target_reader: asyncio.StreamReader,
        target_writer: asyncio.StreamWriter,
    ) -> None:
        up = asyncio.create_task(_pump(reader, target_writer))
        try:
            await _pump(target_reader, writer)
            await up
        finally:
            up.cancel()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
        writer.close()
    except (ConnectionError, ssl.SSLError):
        writer.transport.abort()


class HTTPProxy(_Relay):
    """CONNECT. `statuses` maps a port to the status that it is answered with; `heads` are the requests as they came."""

    def __init__(
        self, *, statuses: Mapping[int, str] | None = None, names: Mapping[str, str] | None = None,
        credentials: tuple[str, str] | None = None, tls: ssl.SSLContext | None = None, instead: bytes | None = None,
        silent: bool = False, interim: bytes = b"",
    ) -> None:  # fmt: skip
        super().__init__(names=names, credentials=credentials, tls=tls, instead=instead, silent=silent)
        self.heads: list[str] = []
        self._statuses = statuses or {}
        self._interim = interim

    async def _agree(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, opened: list[asyncio.StreamWriter]
    ) -> Streams | None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        method, authority, version = head.split("\r\n")[0].split(" ")
        assert (method, version) == ("CONNECT", "HTTP/1.1")
        host, _, port = authority.rpartition(":")
        writer.write(self._interim)
        if self._credentials is not None:
            token = b64encode(":".join(self._credentials).encode()).decode()
            if f"Proxy-Authorization: Basic {token}\r\n" not in head:
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return None
        if int(port) in self._statuses:
            writer.write(f"HTTP/1.1 {self._statuses[int(port)]}\r\nContent-Length: 3\r\n\r\nno.".encode())
            return None
        try:
            target = await self._dial(host.strip("[]"), int(port), opened)
        except OSError:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return None
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        return target


class SOCKS5Proxy(_Relay):
    """SOCKS5 CONNECT with IPv4, IPv6 and names; *reply* is said instead of dialling when it is not None."""

    def __init__(
        self, *, reply: Mapping[str, int] | None = None, names: Mapping[str, str] | None = None,
        credentials: tuple[str, str] | None = None, instead: bytes | None = None, silent: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(names=names, credentials=credentials, instead=instead, silent=silent)
        self._replies = reply or {}

    async def _agree(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, opened: list[asyncio.StreamWriter]
    ) -> Streams | None:
        version, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        assert version == 5
        wanted = 0 if self._credentials is None else 2
        if wanted not in methods:
            writer.write(b"\5\xff")
            return None
        writer.write(bytes((5, wanted)))
        if self._credentials is not None and not await self._log_in(reader, writer):
            return None
        host, port = await self._request(reader)
        if host in self._replies:
            self.asked.append((host, port))
            writer.write(bytes((5, self._replies[host], 0, 1)) + bytes(6))
            return None
        try:
            target = await self._dial(host, port, opened)
        except ConnectionRefusedError:
            writer.write(b"\5\5\0\1" + bytes(6))
            return None
        writer.write(b"\5\0\0\3\x04bind" + struct.pack("!H", 4711))
        return target

    async def _log_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        version, length = await reader.readexactly(2)
        username = (await reader.readexactly(length)).decode()
        (length,) = await reader.readexactly(1)
        password = (await reader.readexactly(length)).decode()
        right = version == 1 and (username, password) == self._credentials
        writer.write(b"\1\0" if right else b"\1\1")
        return right

    async def _request(self, reader: asyncio.StreamReader) -> tuple[str, int]:
        version, command, _, kind = await reader.readexactly(4)
        assert (version, command) == (5, 1)
        if kind == 3:
            (length,) = await reader.readexactly(1)
            host = (await reader.readexactly(length)).decode()
        else:
            host = str(ip_address(await reader.readexactly(4 if kind == 1 else 16)))
        return host, int.from_bytes(await reader.readexactly(2), "big")
