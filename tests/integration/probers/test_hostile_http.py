"""Servers that mean harm, end to end on both event loops: each run ends at its bound, with the right code, and lets go."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import pytest

from tests.support.servers import hostile_http as servers
from tests.support.servers.hostile_http import CHUNKED, HEAD, UNTIL_CLOSE
from tests.support.servers.http import Conversation, Server
from worker.apitest.observation import Observation
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.responses.http import HTTPResponse
from worker.clock import SystemClock
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.outcome.failure import FailureCode
from worker.probers.http import probe
from worker.probers.limits import ProbeLimits

LIMITS = ProbeLimits(
    http=HTTPLimits(max_body_bytes=200_000, max_head_bytes=20_000, max_header_fields=50, max_framing_bytes=20_000)
)
QUICK = 10.0
"""Seconds within which a bound other than time must end a run: far below it in fact."""
SHORT = 0.2
"""The time limit of runs that only time can end."""


async def run(
    server: Server, door: Door, *, seconds: float = QUICK, body: bytes | None = None, limits: ProbeLimits = LIMITS
) -> Observation:
    method = "GET" if body is None else "POST"
    request = HTTPRequest(url=server.url("/path"), method=method, body=body, timeout=seconds)
    return await probe(request, door, SystemClock(), limits)


def code(observation: Observation) -> FailureCode:
    assert observation.failure is not None
    assert "/path" in observation.failure.message
    assert observation.failure.message.isprintable()
    return observation.failure.code


@dataclass(frozen=True)
class Attack:
    conversation: Conversation
    code: FailureCode


TOO_LARGE = FailureCode.BODY_TOO_LARGE
MALFORMED = FailureCode.MALFORMED_RESPONSE
RESET = FailureCode.CONNRESET

BOUNDED = {
    "endless body": Attack(servers.endless(b"x" * 65_536, UNTIL_CLOSE), TOO_LARGE),
    "endless chunked body": Attack(servers.endless(b"10000\r\n" + b"x" * 65_536 + b"\r\n", CHUNKED), TOO_LARGE),
    "endless chunk": Attack(servers.endless(b"x" * 65_536, CHUNKED + b"ffffffffffffffff\r\n"), TOO_LARGE),
    "endless body in small writes": Attack(servers.endless(b"x" * 100, UNTIL_CLOSE), TOO_LARGE),
    "huge length": Attack(servers.once(HEAD + b"Content-Length: 1000000000000000000\r\n\r\n"), TOO_LARGE),
    "body one byte over": Attack(servers.once(HEAD + b"Content-Length: 200001\r\n\r\n"), TOO_LARGE),
    "one-byte chunks": Attack(servers.endless(b"1\r\nx\r\n" * 1000, CHUNKED), MALFORMED),
    "one-byte chunks in small writes": Attack(servers.endless(b"1\r\nx\r\n" * 20, CHUNKED), MALFORMED),
    "endless chunk extension": Attack(servers.endless(b"e" * 1000, CHUNKED + b"5;"), MALFORMED),
    "endless chunk size": Attack(servers.endless(b"0" * 1000, CHUNKED), MALFORMED),
    "endless trailers": Attack(servers.endless(b"T: t\r\n" * 100, CHUNKED + b"1\r\nx\r\n0\r\n"), MALFORMED),
    "endless trailer": Attack(servers.endless(b"t" * 1000, CHUNKED + b"1\r\nx\r\n0\r\nT: "), MALFORMED),
    "endless fields": Attack(servers.sending(servers.endless_fields), FailureCode.HEADER_TOO_LARGE),
    "endless field": Attack(servers.endless(b"x" * 1000, HEAD + b"X: "), FailureCode.HEADER_TOO_LARGE),
    "endless status line": Attack(servers.endless(b"x" * 1000, b"HTTP/1.1 200 "), FailureCode.HEADER_TOO_LARGE),
    "many fields at once": Attack(servers.once(HEAD + b"A: b\r\n" * 51 + b"\r\n"), FailureCode.HEADER_TOO_LARGE),
    "endless interim responses": Attack(servers.endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), MALFORMED),
    "endless garbage": Attack(servers.endless(b"\x00\xff" * 1000), MALFORMED),
    "endless line ends": Attack(servers.endless(b"\r\n" * 1000), MALFORMED),
    "HTTP/0.9": Attack(servers.once(b"<html>hello</html>"), MALFORMED),
    "HTTP/2": Attack(servers.once(b"HTTP/2.0 200 OK\r\n\r\n"), MALFORMED),
    "another protocol": Attack(servers.once(b"220 mail.example ESMTP\r\n"), MALFORMED),
    "NUL in a field": Attack(servers.once(HEAD + b"A: b\x00c\r\n\r\n"), MALFORMED),
    "bare CR in a field": Attack(servers.once(HEAD + b"A: b\rSet-Cookie: c\r\n\r\n"), MALFORMED),
    "negative length": Attack(servers.once(HEAD + b"Content-Length: -1\r\n\r\n"), MALFORMED),
    "length that overflows": Attack(servers.once(HEAD + b"Content-Length: 1" + b"0" * 30 + b"\r\n\r\n"), MALFORMED),
    "bad chunk size": Attack(servers.once(CHUNKED + b"xyz\r\n"), MALFORMED),
    "chunk longer than it says": Attack(servers.once(CHUNKED + b"2\r\nabcdef\r\n"), MALFORMED),
    "unknown transfer coding": Attack(servers.once(HEAD + b"Transfer-Encoding: rot13\r\n\r\n"), MALFORMED),
    "length and chunked": Attack(
        servers.once(HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
        FailureCode.HEADERS_INCOMPATIBLE_CONTENT_LENGTH,
    ),
    "two lengths": Attack(
        servers.once(HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
        FailureCode.HEADERS_INCOMPATIBLE_CONTENT_LENGTH,
    ),
    "closed at once": Attack(servers.closing_at_once, RESET),
    "reset at once": Attack(servers.resetting_at_once, RESET),
    "closed without a word": Attack(servers.closing_after(b""), RESET),
    "closed in the head": Attack(servers.closing_after(HEAD + b"A: b"), RESET),
    "closed in the body": Attack(servers.closing_after(HEAD + b"Content-Length: 9\r\n\r\nhello"), RESET),
    "closed in a chunk": Attack(servers.closing_after(CHUNKED + b"9\r\nhello"), RESET),
    "closed before the last chunk": Attack(servers.closing_after(CHUNKED + b"5\r\nhello\r\n"), RESET),
    "reset without a word": Attack(servers.resetting, RESET),
    "reset in the head": Attack(servers.resetting_after(HEAD), RESET),
    "reset in the body": Attack(servers.resetting_after(UNTIL_CLOSE + b"hello"), RESET),
}

TIMED = {
    "silence": (servers.silent, "waiting for the first byte of a response"),
    "silence in the head": (servers.once(HEAD), "waiting for the rest of the header fields"),
    "silence after an interim response": (
        servers.once(b"HTTP/1.1 100 Continue\r\n\r\n"),
        "waiting for the rest of the header fields",
    ),
    "silence in the body": (
        servers.once(HEAD + b"Content-Length: 9\r\n\r\nhello"),
        "waiting for the rest of the body (5 of 9 bytes received)",
    ),
    "silence in a chunk": (
        servers.once(CHUNKED + b"9\r\nhello"),
        "waiting for the rest of the body (5 bytes received)",
    ),
    "a body that ends with a connection that does not": (
        servers.once(UNTIL_CLOSE + b"hello"),
        "waiting for the rest of the body (5 bytes received)",
    ),
    "dripping head": (servers.dripping(HEAD + b"A: b\r\n" * 30), "waiting for the rest of the header fields"),
    "dripping body": (
        servers.sending(lambda: [UNTIL_CLOSE, *[b"x"] * 1000], pause=servers.DRIP_SECONDS),
        "waiting for the rest of the body",
    ),
}


@pytest.mark.parametrize("name", BOUNDED)
async def test_an_attack_ends_at_its_bound_with_its_code(door: Door, name: str) -> None:
    attack = BOUNDED[name]
    async with servers.hostile(attack.conversation) as server:
        observation = await run(server, door)
    assert code(observation) is attack.code
    assert observation.response is None


@pytest.mark.parametrize("name", TIMED)
async def test_waiting_ends_with_the_tests_time_and_says_for_what(door: Door, name: str) -> None:
    conversation, missing = TIMED[name]
    async with servers.hostile(conversation) as server:
        began = time.monotonic()
        observation = await run(server, door, seconds=SHORT)
        took = time.monotonic() - began
    assert code(observation) is FailureCode.TIMEOUT
    assert observation.failure is not None
    assert missing in observation.failure.message
    assert SHORT - 0.01 < took < SHORT + 1  # uvloop's timers are exact to a millisecond
    phases = dict(observation.timings.tenths)
    assert "tcp" in phases
    assert "download" not in phases
    assert ("firstByte" in phases) == ("first byte" not in missing)


async def test_a_server_that_takes_no_request_is_told_apart_from_one_that_gives_no_answer(door: Door) -> None:
    async with servers.hostile(servers.deaf) as server:
        observation = await run(server, door, seconds=SHORT, body=bytes(30_000_000))
    assert code(observation) is FailureCode.TIMEOUT
    assert observation.failure is not None
    assert "to take the rest of the request" in observation.failure.message
    assert [name for name, _ in observation.timings.tenths] == ["tcp"]


async def test_an_early_answer_counts_although_the_request_is_not_all_sent(door: Door) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(3600)

    async with servers.hostile(converse) as server:
        observation = await run(server, door, body=bytes(30_000_000))
    assert observation.failure is None
    assert isinstance(observation.response, HTTPResponse)
    assert observation.response.status == 413


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
async def test_a_bomb_stays_as_small_as_it_came(door: Door, coding: str) -> None:
    body = servers.bomb(coding, 20_000_000)
    async with servers.hostile(servers.once(servers.coded(coding, body))) as server:
        observation = await run(server, door)
    assert observation.failure is None
    assert isinstance(observation.response, HTTPResponse)
    assert observation.response.content_encodings == (coding,)
    assert observation.response.body == body


async def test_what_follows_the_response_is_not_a_response(door: Door) -> None:
    split = HEAD + b"Content-Length: 2\r\n\r\nokHTTP/1.1 500 Injected\r\nContent-Length: 4\r\n\r\nevil"
    async with servers.hostile(servers.once(split)) as server:
        observation = await run(server, door)
    assert isinstance(observation.response, HTTPResponse)
    assert (observation.response.status, observation.response.body) == (200, b"ok")


async def test_a_server_that_answers_before_it_is_asked_is_believed(door: Door) -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Content-Length: 0\r\n\r\n")
        await reader.read()

    async with servers.hostile(hasty) as server:
        observation = await run(server, door)
    assert observation.failure is None
    assert {name for name, _ in observation.timings.tenths} == {"tcp", "firstByte"}


async def test_plain_http_to_a_tls_port_is_no_response(door: Door, server_tls: ssl.SSLContext) -> None:
    async with Server(conversation=servers.silent, tls=server_tls) as server:
        url = server.url("/path").replace("https", "http")
        observation = await probe(HTTPRequest(url=url, timeout=QUICK), door, SystemClock(), LIMITS)
    assert code(observation) in {FailureCode.MALFORMED_RESPONSE, FailureCode.CONNRESET}


async def test_silence_before_tls_is_a_handshake_that_does_not_end(door: Door) -> None:
    async with servers.hostile(servers.silent) as server:
        url = server.url("/path").replace("http", "https")
        observation = await probe(HTTPRequest(url=url, timeout=SHORT), door, SystemClock(), LIMITS)
    assert code(observation) is FailureCode.TIMEOUT
    assert observation.failure is not None
    assert "TLS handshake" in observation.failure.message
    assert [name for name, _ in observation.timings.tenths] == ["tcp"]


async def test_silence_after_tls_has_an_ssl_phase(door: Door, server_tls: ssl.SSLContext) -> None:
    async with Server(conversation=servers.silent, tls=server_tls) as server:
        observation = await run(server, door, seconds=SHORT)
    assert code(observation) is FailureCode.TIMEOUT
    assert observation.failure is not None
    assert "first byte" in observation.failure.message
    assert [name for name, _ in observation.timings.tenths] == ["tcp", "ssl"]


@pytest.mark.parametrize("name", ["endless body", "one-byte chunks", "endless chunk extension", "closed in a chunk"])
async def test_tls_makes_no_attack_better(door: Door, server_tls: ssl.SSLContext, name: str) -> None:
    attack = BOUNDED[name]
    async with Server(conversation=attack.conversation, tls=server_tls) as server:
        observation = await run(server, door)
    assert code(observation) is attack.code


@contextlib.contextmanager
def demanding_a_certificate(context: ssl.SSLContext) -> Iterator[str]:
    """A blocking TLS server, because asyncio's drops the alert that it owes; yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        accepted, _ = listener.accept()
        with context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as connection:
            with contextlib.suppress(ssl.SSLError):
                connection.do_handshake()
            with contextlib.suppress(OSError):
                while socket.socket.recv(connection, 4096):
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/path"
    thread.join(QUICK)


async def test_a_missing_client_certificate_is_trouble_with_tls(
    door: Door, server_tls_demanding: ssl.SSLContext
) -> None:
    with demanding_a_certificate(server_tls_demanding) as url:
        observation = await probe(HTTPRequest(url=url, timeout=QUICK), door, SystemClock(), LIMITS)
    assert code(observation) is FailureCode.SSL
    assert observation.failure is not None
    assert "client certificate" in observation.failure.message


async def test_tiny_chunks_leave_the_loop_to_others(door: Door) -> None:
    """Nine attackers at once, the default concurrency but one; a ticker measures what one turn of the loop costs."""
    dearest = 0.0

    async def tick() -> None:
        nonlocal dearest
        while True:
            before = time.thread_time()  # not the time of day: other processes have nothing to do with it
            await asyncio.sleep(0)
            dearest = max(dearest, time.thread_time() - before)

    limits = ProbeLimits(http=HTTPLimits(max_body_bytes=200_000))
    async with servers.hostile(servers.endless(b"1\r\nx\r\n" * 20_000, CHUNKED)) as server:
        ticking = asyncio.create_task(tick())
        observations = await asyncio.gather(*(run(server, door, limits=limits) for _ in range(9)))
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
    assert {code(observation) for observation in observations} == {MALFORMED}
    assert dearest < 0.02  # taken at a stretch, the same bodies cost more than that each


def sockets() -> set[tuple[int, object]]:
    """This process's connections by file descriptor."""
    return {
        (item.fd, item.laddr) for item in psutil.Process(os.getpid()).net_connections("tcp") if item.status != "NONE"
    }


@pytest.mark.parametrize("name", ["endless body", "one-byte chunks", "endless fields", "two lengths"])
async def test_no_socket_is_left_after_an_attack(door: Door, name: str) -> None:
    before = sockets()
    async with servers.hostile(BOUNDED[name].conversation) as server:
        await run(server, door)
    for _ in range(5):
        await asyncio.sleep(0)  # closing takes two turns of the loop
    assert sockets() <= before
