"""A run that is cancelled, wherever it stands, passes the cancellation on and leaves no socket behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import psutil
import pytest

from tests.support.servers import hostile_http as servers
from tests.support.servers.door import loopback_door
from tests.support.servers.http import Server
from tests.support.waiting import until
from worker.apitest.protocols.http import HTTPRequest
from worker.clock import SystemClock
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.probers.http import probe
from worker.probers.limits import ProbeLimits

LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=1 << 30, max_framing_bytes=1 << 30))

Stage = Callable[[ssl.SSLContext], AbstractAsyncContextManager[tuple[str, asyncio.Event]]]
"""A target at which a run gets stuck: its URL, and an event that is set when the run stands there."""


@asynccontextmanager
async def looking_up(tls: ssl.SSLContext) -> AsyncIterator[tuple[str, asyncio.Event]]:
    reached = asyncio.Event()

    class Silent(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            reached.set()

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Silent, local_addr=("127.0.0.1", NAME_PORT))
    try:
        yield "http://name.example/", reached
    finally:
        transport.close()


@asynccontextmanager
async def connecting(tls: ssl.SSLContext) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A listener whose queue is full: the kernel drops what comes, as a silent firewall does."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        reached = asyncio.Event()
        reached.set()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", reached


def conversing(then: bytes | None, *, secure: bool = False, again: bytes = b"") -> Stage:
    """A server that reads the request, sends *then* and perhaps *again* for ever, and never ends; None reads nothing."""

    @asynccontextmanager
    async def stage(tls: ssl.SSLContext) -> AsyncIterator[tuple[str, asyncio.Event]]:
        reached = asyncio.Event()

        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asyncio.get_running_loop().call_later(0.02, reached.set)
            if then is None:
                writer.transport.pause_reading()  # type: ignore[attr-defined]
            else:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(then)
                while again:
                    writer.write(again)
                    await writer.drain()
                    await asyncio.sleep(0)  # a drain that need not wait does not yield
            await asyncio.sleep(3600)

        async with Server(conversation=converse, tls=tls if secure else None) as server:
            yield server.url(), reached

    return stage


@asynccontextmanager
async def shaking_hands(tls: ssl.SSLContext) -> AsyncIterator[tuple[str, asyncio.Event]]:
    async with conversing(b"")(tls) as (url, reached):
        yield url.replace("http", "https"), reached


HEAD = servers.HEAD
STAGES: dict[str, Stage] = {
    "looking up": looking_up,
    "connecting": connecting,
    "shaking hands": shaking_hands,
    "sending": conversing(None),
    "waiting": conversing(b""),
    "waiting over TLS": conversing(b"", secure=True),
    "in the head": conversing(HEAD),
    "in the body": conversing(HEAD + b"Content-Length: 9\r\n\r\nhello"),
    "in an endless body": conversing(servers.UNTIL_CLOSE, again=b"x" * 10_000),
    "between turns of tiny chunks": conversing(servers.CHUNKED, again=b"1\r\nx\r\n" * 5_000),
    "between turns of tiny chunks over TLS": conversing(servers.CHUNKED, again=b"1\r\nx\r\n" * 5_000, secure=True),
}


def unused_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


NAME_PORT = unused_port()


@pytest.fixture(scope="module")
def asking_door() -> Door:
    """Looks names up at a server that never answers."""
    return loopback_door(f"127.0.0.1:{NAME_PORT}")


def connected_to(port: int) -> set[int]:
    """File descriptors of this process that are connected to *port*."""
    connections = psutil.Process(os.getpid()).net_connections("inet")
    return {connection.fd for connection in connections if connection.raddr and connection.raddr.port == port}


@pytest.mark.parametrize("name", STAGES)
async def test_a_cancelled_run_leaves_no_socket_behind(
    asking_door: Door, server_tls: ssl.SSLContext, name: str
) -> None:
    async with STAGES[name](server_tls) as (url, reached):
        port = int(url.rstrip("/").rpartition(":")[2]) if name != "looking up" else NAME_PORT
        before = connected_to(port)
        body = bytes(30_000_000) if name == "sending" else None
        request = HTTPRequest(url=url, method="POST", body=body, allow_insecure=True, timeout=30)
        running = asyncio.create_task(probe(request, asking_door, SystemClock(), LIMITS))
        async with asyncio.timeout(60):
            await reached.wait()
        await until(lambda: connected_to(port) - before)
        ours = connected_to(port) - before
        assert not running.done()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        for _ in range(5):
            await asyncio.sleep(0)  # a transport closes its socket some turns after it was aborted
        assert not connected_to(port) & ours
