"""A small real HTTP server on loopback that answers what a test says, byte for byte, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it came. *headers* in their order and case."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def names(self) -> list[str]:
        return [name.lower() for name, _ in self.headers]


Reply: TypeAlias = Callable[[Seen], bytes]
Conversation: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def reply(body: bytes = b"", *, status: str = "200 OK", headers: tuple[str, ...] = (), length: bool = True) -> bytes:
    """A whole response; without *length* the body ends with the connection."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body


async def read_request(reader: asyncio.StreamReader) -> Seen:
    """One request, framed by Content-Length or chunked."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.split("\r\n")[:-2]
    method, target, version = line.split(" ")
    headers = tuple((name, value.strip(" \t")) for name, _, value in (part.partition(":") for part in fields))
    by_name = {name.lower(): value for name, value in headers}
    body = b""
    if by_name.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    else:
        body = await reader.readexactly(int(by_name.get("content-length", "0")))
    return Seen(method=method, target=target, version=version, headers=headers, body=body)


@dataclass(kw_only=True)
class Server:
    """Serves on an own port of 127.0.0.1 while it is entered. Each connection is given to *conversation*."""

    conversation: Conversation
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._accept, self.host, 0, ssl=self.tls, limit=1 << 24)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self.conversation(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the worker hung up, as it may
        except asyncio.CancelledError:
            pass  # the test is over; asyncio 3.11 would report a cancelled conversation as an error
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    def url(self, path: str = "/") -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{path}"


def serving(answer: Reply | bytes, *, tls: ssl.SSLContext | None = None) -> Server:
    """Reads one request a connection, answers with *answer* and closes."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = await read_request(reader)
        server.seen.append(seen)
        writer.write(answer if isinstance(answer, bytes) else answer(seen))
        await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
            await reader.read()  # until the worker has hung up: closing first could reset what it has not read yet
        else:
            writer.close()
            await writer.wait_closed()

    server = Server(conversation=converse, tls=tls)
    return server
