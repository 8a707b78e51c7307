"""CPU per HTTP probe: `python -m benchmarks.http_probe [--probes N] [--rounds N]`.

Runs the prober against a server process on loopback, by address, beside what the same machine needs for a bare aiohttp
GET and for a raw asyncio protocol that feeds the same parser. Each figure is user plus system time of this process
alone, a probe, as the median over rounds; the candidates take turns within a round, so that a busy machine spoils all of
them alike.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from multiprocessing.connection import Connection
from typing import cast

import aiohttp
import uvloop
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpResponseParser

from benchmarks.processes import running
from worker.apitest.protocols.http import HTTPRequest
from worker.clock import SystemClock
from worker.egress.policy import Policy
from worker.net.dns.resolver import Resolver
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.net.trust import TrustStore
from worker.probers.http import probe
from worker.probers.limits import ProbeLimits

BODY = b'{"status":"ok","items":[{"id":1,"name":"first"},{"id":2,"name":"second"}],"version":"1.2.3"}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Tue, 11 Nov 2025 10:00:00 GMT\r\nContent-Type: application/json\r\n"
    b"Cache-Control: no-cache\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(BODY), BODY)
)
AT_ONCE = 10
"""Probes in flight, the worker's default concurrency."""


class _Responder(asyncio.Protocol):
    """Answers whatever comes, once, and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, _: bytes) -> None:
        self._transport.write(ANSWER)
        self._transport.close()


def serve(port: Connection) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(_Responder, "127.0.0.1", 0, backlog=1024)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())


class _Unpaced:
    def pause_reading(self) -> None: ...

    def resume_reading(self, *, resume_parser: bool = True) -> None: ...


class _Raw(asyncio.Protocol):
    """The least that reads a response: a connection, the parser, a future."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.done: asyncio.Future[bytes] = loop.create_future()
        self._parser = HttpResponseParser(
            cast("BaseProtocol", _Unpaced()), loop, 1 << 20, read_until_eof=True, auto_decompress=False
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    def data_received(self, data: bytes) -> None:
        for _, payload in self._parser.feed_data(data)[0]:
            if payload.is_eof() and not self.done.done():
                self.done.set_result(payload.read_nowait())


def candidates(port: int, shared: aiohttp.ClientSession) -> dict[str, Callable[[], Awaitable[None]]]:
    """One probe each, by name."""
    url = f"http://127.0.0.1:{port}/"
    request = HTTPRequest(url=url)
    limits = ProbeLimits(http=HTTPLimits(max_body_bytes=5_000_000))
    clock = SystemClock()
    door = Door(policy=Policy.build(allow=[ip_network("127.0.0.0/8")]), resolver=Resolver(()), trust=TrustStore())

    async def prober() -> None:
        observation = await probe(request, door, clock, limits)
        assert observation.failure is None, observation.failure

    async def fetch(session: aiohttp.ClientSession) -> None:
        async with session.get(url) as response:
            assert await response.read() == BODY

    async def session_each() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
            await fetch(session)

    async def raw() -> None:
        transport, protocol = await asyncio.get_running_loop().create_connection(_Raw, "127.0.0.1", port)
        assert await protocol.done == BODY
        transport.abort()

    return {
        "prober": prober,
        "aiohttp, one session for all": lambda: fetch(shared),
        "aiohttp, a session each": session_each,
        "raw protocol with aiohttp's parser": raw,
    }


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def timed(one: Callable[[], Awaitable[None]], probes: int) -> tuple[float, float]:
    """CPU and wall microseconds a probe."""

    async def some() -> None:
        for _ in range(probes // AT_ONCE):
            await one()

    cpu, wall = cpu_seconds(), time.perf_counter()
    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return (cpu_seconds() - cpu) / probes * 1e6, (time.perf_counter() - wall) / probes * 1e6


async def measure(port: int, probes: int, rounds: int) -> None:
    found: dict[str, list[tuple[float, float]]] = {}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, limit=0)) as shared:
        each = candidates(port, shared)
        for one in each.values():
            await timed(one, probes // 4)
        for _ in range(rounds):
            for name, one in each.items():
                found.setdefault(name, []).append(await timed(one, probes))
    print(f"{'candidate':38}{'CPU µs/probe':>14}{'min':>8}{'max':>8}{'wall µs':>10}")
    for name, figures in found.items():
        cpu = [figure[0] for figure in figures]
        wall = statistics.median(figure[1] for figure in figures)
        print(f"{name:38}{statistics.median(cpu):14.0f}{min(cpu):8.0f}{max(cpu):8.0f}{wall:10.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probes", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with running(serve) as port:
        uvloop.run(measure(port, arguments.probes, arguments.rounds))


if __name__ == "__main__":
    main()
