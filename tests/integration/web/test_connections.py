"""Clients that hold a connection and ask for nothing, against the running server; those who ask are served all the while."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trustme
from aiohttp import web

from tests.integration.web.short_of_files import FILES
from tests.support.checkout import ROOT
from worker.web.connections import HEAD_BYTES, ClientLimits, serving

LONG = 60.0
"""A limit that no test reaches."""
SHORT = 0.4
"""A limit that is waited for: so long that an honest request on a busy machine is faster."""
GET = b"GET / HTTP/1.1\r\nHost: plane\r\n\r\n"
LARGE = 32 * 1024 * 1024
"""More than the kernel's buffers on both sides hold."""


@dataclass(slots=True)
class Server:
    port: int
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    sent: asyncio.Event = field(default_factory=asyncio.Event)

    def application(self) -> web.Application:
        async def hello(_: web.Request) -> web.Response:
            return web.Response(text="hello")

        async def slow(_: web.Request) -> web.Response:
            self.begun.set()
            await self.go_on.wait()
            return web.Response(text="at last")

        async def large(_: web.Request) -> web.Response:
            self.sent.set()
            return web.Response(body=bytes(LARGE))

        application = web.Application()
        application.add_routes([web.get("/", hello), web.get("/slow", slow), web.get("/large", large)])
        return application

    async def connect(self) -> Client:
        return Client(*await asyncio.open_connection("127.0.0.1", self.port))


@dataclass(frozen=True, slots=True)
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, request: bytes = GET) -> bytes:
        """The reply's body."""
        self.writer.write(request)
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        (length,) = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        return await asyncio.wait_for(self.reader.readexactly(int(length)), 10)

    async def rest(self) -> bytes:
        """Everything until the server closes. Raises TimeoutError where it does not."""
        received = bytearray()
        with contextlib.suppress(ConnectionError):
            while chunk := await asyncio.wait_for(self.reader.read(1 << 20), 10):
                received += chunk
        return bytes(received)

    async def trickle(self, request: bytes) -> None:
        """Send *request* a byte at a time, and never its end."""
        with contextlib.suppress(ConnectionError):
            for byte in request[:-1]:
                self.writer.write(bytes([byte]))
                await self.writer.drain()
                await asyncio.sleep(SHORT / 10)

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@asynccontextmanager
async def served(
    *,
    head: float = LONG,
    idle: float = LONG,
    connections: int = 100,
    unanswered: int = LARGE,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Server]:
    limits = ClientLimits(connections=connections, unanswered_bytes=unanswered, head_seconds=head, idle_seconds=idle)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener.getsockname()[1])
        async with serving(web.AppRunner(server.application()), listener, limits, tls=tls):
            yield server


async def test_a_head_that_comes_a_byte_at_a_time_is_cut_off() -> None:
    async with served(head=SHORT) as server:
        client = await server.connect()
        trickling = asyncio.create_task(client.trickle(b"GET / HTTP/1.1\r\n" + b"X-Padding: x\r\n" * 1000))
        assert await client.rest() == b""
        assert not trickling.done(), "it was the server who ended it"
        trickling.cancel()
        await client.close()


async def test_a_client_that_says_nothing_is_cut_off() -> None:
    async with served(head=SHORT) as server:
        client = await server.connect()
        assert await client.rest() == b""
        await client.close()


async def test_a_connection_is_kept_between_requests_and_closed_when_it_is_not_used() -> None:
    async with served(idle=SHORT) as server:
        client = await server.connect()
        assert [await client.ask() for _ in range(3)] == [b"hello"] * 3
        assert await client.rest() == b""
        await client.close()


async def test_a_later_head_has_no_more_time_than_the_first() -> None:
    async with served(head=SHORT) as server:
        client = await server.connect()
        assert await client.ask() == b"hello"
        trickling = asyncio.create_task(client.trickle(b"GET / HTTP/1.1\r\n" + b"X-Padding: x\r\n" * 1000))
        assert await client.rest() == b""
        assert not trickling.done()
        trickling.cancel()
        await client.close()


async def test_what_a_handler_is_busy_with_is_not_cut_off() -> None:
    async with served(head=SHORT, idle=SHORT) as server:
        client, idler = await server.connect(), await server.connect()
        asking = asyncio.create_task(client.ask(GET.replace(b"/ ", b"/slow ", 1)))
        await server.begun.wait()
        assert await idler.ask() == b"hello"
        await idler.rest()  # later than the busy one by a request, and cut off
        assert not asking.done()
        server.go_on.set()
        assert await asking == b"at last"
        await client.close()
        await idler.close()


async def test_a_reply_that_nobody_reads_is_given_up() -> None:
    async with served(idle=SHORT) as server:
        client, idler = await server.connect(), await server.connect()
        client.writer.write(GET.replace(b"/ ", b"/large ", 1))
        await server.sent.wait()
        assert await idler.ask() == b"hello"
        await idler.rest()  # asked later, and waited as long as one may
        assert len(await client.rest()) < LARGE
        await client.close()
        await idler.close()


async def test_where_there_are_too_many_what_waits_longest_goes_and_who_asks_is_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served(connections=3) as server:
        busy = await server.connect()
        asking = asyncio.create_task(busy.ask(GET.replace(b"/ ", b"/slow ", 1)))
        await server.begun.wait()
        first, second = await server.connect(), await server.connect()
        assert [await one.ask() for one in (second, first)] == [b"hello"] * 2

        third = await server.connect()
        assert await third.ask() == b"hello"
        assert await second.rest() == b""  # it has waited longer than the first, which asked after it
        assert await first.ask() == b"hello"
        fourth = await server.connect()
        assert await fourth.ask() == b"hello"
        assert await third.rest() == b""

        server.go_on.set()
        assert await asking == b"at last"
        for client in (busy, first, second, third, fourth):
            await client.close()
    assert [record.action for record in caplog.records if record.levelname == "WARNING"] == ["connections_full"]  # type: ignore[attr-defined]


async def test_where_all_are_busy_nobody_more_is_let_in() -> None:
    async with served(connections=1) as server:
        busy = await server.connect()
        asking = asyncio.create_task(busy.ask(GET.replace(b"/ ", b"/slow ", 1)))
        await server.begun.wait()
        late = await server.connect()
        assert await late.rest() == b""
        server.go_on.set()
        assert await asking == b"at last"
        await busy.close()
        again = await server.connect()
        assert await again.ask() == b"hello"
        await late.close()
        await again.close()


async def test_a_tls_handshake_that_does_not_come_is_cut_off(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with served(head=SHORT, tls=server_tls) as server:
        client = await server.connect()
        assert await client.rest() == b""
        await client.close()
        secured = Client(*await asyncio.open_connection("127.0.0.1", server.port, ssl=client_tls))
        assert await secured.ask() == b"hello"
        await secured.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_connections_that_owe_their_handshake_are_counted_and_go_first(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(connections=3, tls=server_tls) as server:
        silent = [await server.connect() for _ in range(3)]
        honest = Client(*await asyncio.open_connection("127.0.0.1", server.port, ssl=client_tls))
        assert await silent[0].rest() == b""
        assert await honest.ask() == b"hello"
        flood = [await server.connect() for _ in range(30)]
        for client in (*silent[1:], *flood[:-3]):
            assert await client.rest() == b""
        again = Client(*await asyncio.open_connection("127.0.0.1", server.port, ssl=client_tls))
        assert await again.ask() == b"hello"
        for client in (*silent, *flood, honest, again):
            await client.close()
    assert [record.action for record in caplog.records if record.levelname == "WARNING"] == ["connections_full"]  # type: ignore[attr-defined]


async def test_a_stop_ends_handshakes_under_way(server_tls: ssl.SSLContext) -> None:
    async with served(tls=server_tls) as server:
        clients = [await server.connect() for _ in range(3)]
    assert [await client.rest() for client in clients] == [b""] * 3
    for client in clients:
        await client.close()


async def test_a_handshake_that_is_none_costs_its_client_alone(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(connections=2, tls=server_tls) as server:
        for _ in range(10):
            client = await server.connect()
            client.writer.write(GET)
            await client.rest()
            await client.close()
        honest = Client(*await asyncio.open_connection("127.0.0.1", server.port, ssl=client_tls))
        assert await honest.ask() == b"hello"
        await honest.close()
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_process_without_free_files_says_so_once_and_serves_who_asks() -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.web.short_of_files",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert program.stdout is not None
    async with asyncio.timeout(60):
        server = Server(int(await program.stdout.readline()))
        silent = [await server.connect() for _ in range(3 * FILES)]
        honest = await server.connect()
        honest.writer.write(GET)
        assert (await honest.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        _, said = await program.communicate(b"")
    for client in (*silent, honest):
        await client.close()
    assert said.decode().count("cannot accept connections (Too many open files)") == 1
    assert b"Traceback" not in said


async def test_a_stop_leaves_no_connection() -> None:
    async with served() as server:
        clients = [await server.connect() for _ in range(3)]
        assert await clients[0].ask() == b"hello"
    assert [await client.rest() for client in clients] == [b""] * 3
    for client in clients:
        await client.close()


LINE = b"X-Padding: " + b"x" * 1000 + b"\r\n"
UNFINISHED = b"GET / HTTP/1.1\r\nHost: plane\r\n" + LINE * 60


async def test_heads_without_an_end_are_held_up_to_a_bound_together_and_who_asks_is_served() -> None:
    async with served(unanswered=3 * len(UNFINISHED)) as server:
        clients = [await server.connect() for _ in range(5)]
        for client in clients:
            client.writer.write(UNFINISHED)
            await client.writer.drain()
        cut = [asyncio.create_task(client.rest()) for client in clients]
        done, _ = await asyncio.wait(cut, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        assert [each.result() for each in done] == [b""] * len(done)
        honest = await server.connect()
        assert await honest.ask() == b"hello"
        for each in cut:
            each.cancel()
        for client in (*clients, honest):
            await client.close()


async def test_what_was_answered_is_held_no_more_however_often_a_client_asks() -> None:
    async with served(unanswered=0) as server:
        client = await server.connect()
        for _ in range(2 * HEAD_BYTES // len(GET)):
            assert await client.ask() == b"hello"
        await client.close()


async def test_what_comes_behind_a_request_counts_as_the_head_of_the_next() -> None:
    half = LINE * (HEAD_BYTES // len(LINE) // 2 + 1)
    async with served(unanswered=0) as server:
        client = await server.connect()
        assert await client.ask(GET + b"GET / HTTP/1.1\r\nHost: plane\r\n" + half[: HEAD_BYTES - 100]) == b"hello"
        client.writer.write(half)
        assert await client.rest() == b""
        await client.close()
