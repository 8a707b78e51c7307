"""CPU per connection through the door: `python -m benchmarks.door [--connections N] [--rounds N]`.

Opens and closes connections to a server process on loopback: by address, by name over a DNS server in that process, and with
TLS (a full handshake each), beside what asyncio itself needs for the same without resolving, judging, comparing or timing
anything. Each figure is user plus system time of this process alone, as the median over rounds; the candidates take turns
within a round, so that a busy machine spoils all of them alike. The ratios are medians of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import ssl
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from multiprocessing.connection import Connection
from pathlib import Path

import trustme
import uvloop

from benchmarks.names import Names
from benchmarks.processes import running
from worker.clock import SystemClock
from worker.egress.nameserver import Nameserver
from worker.egress.policy import Policy
from worker.net.deadline import Deadline
from worker.net.dns.resolver import Resolver
from worker.net.door import Door, Endpoint, TLSSettings
from worker.net.recorder import Recorder
from worker.net.trust import TrustStore

NAME = "target.example.org"
AT_ONCE = 10
"""Connections under way, the worker's default concurrency."""
A_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Ports:
    plain: int
    tls: int
    dns: int


def serve(ports: Connection, pem: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        plain = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, backlog=1024)
        tls = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, backlog=1024, ssl=context)
        names, _ = await loop.create_datagram_endpoint(Names, local_addr=("127.0.0.1", 0))
        listening = [plain.sockets[0].getsockname()[1], tls.sockets[0].getsockname()[1]]
        dns: int = names.get_extra_info("sockname")[1]
        ports.send(Ports(plain=listening[0], tls=listening[1], dns=dns))
        await asyncio.gather(plain.serve_forever(), tls.serve_forever())

    uvloop.run(main())


def candidates(ports: Ports, ca_file: Path) -> dict[str, Callable[[], Awaitable[None]]]:
    """One connection each, by name; a bare one comes before those that are compared with it."""
    clock = SystemClock()
    resolver = Resolver([Nameserver(ip_address("127.0.0.1"), ports.dns)])
    trust = TrustStore([ca_file])
    door = Door(policy=Policy.build(allow=[ip_network("127.0.0.0/8")]), resolver=resolver, trust=trust)
    context = trust.context(verify=True)
    settings = TLSSettings(server_name=NAME)

    async def bare() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", ports.plain)
        writer.transport.abort()

    async def bare_tls() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", ports.tls, ssl=context, server_hostname=NAME)
        writer.transport.abort()

    async def opened(endpoint: Endpoint) -> None:
        recorder = Recorder(clock, Deadline(clock, A_MINUTE))
        (await door.open(endpoint, recorder)).close()

    return {
        "asyncio.open_connection": bare,
        "door, by address": lambda: opened(Endpoint(host="127.0.0.1", port=ports.plain)),
        "door, by name": lambda: opened(Endpoint(host=NAME, port=ports.plain)),
        "asyncio.open_connection, TLS": bare_tls,
        "door, by address, TLS": lambda: opened(Endpoint(host="127.0.0.1", port=ports.tls, tls=settings)),
    }


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def timed(one: Callable[[], Awaitable[None]], connections: int) -> float:
    """CPU microseconds a connection."""

    async def some() -> None:
        for _ in range(connections // AT_ONCE):
            await one()

    began = cpu_seconds()
    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return (cpu_seconds() - began) / connections * 1e6


async def measure(ports: Ports, ca_file: Path, connections: int, rounds: int) -> None:
    each = candidates(ports, ca_file)
    found: dict[str, list[float]] = {name: [] for name in each}
    for one in each.values():
        await timed(one, connections // 4)
    for _ in range(rounds):
        for name, one in each.items():
            found[name].append(await timed(one, connections))
    print(f"{'candidate':32}{'CPU µs/connection':>20}{'min':>8}{'max':>8}{'ratio':>8}")
    base: list[float] = []
    for name, figures in found.items():
        if name.startswith("asyncio"):
            base = figures
        ratio = statistics.median(figure / bare for figure, bare in zip(figures, base, strict=True))
        print(f"{name:32}{statistics.median(figures):20.0f}{min(figures):8.0f}{max(figures):8.0f}{ratio:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ca_file, pem = Path(folder, "ca.pem"), Path(folder, "server.pem")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(ca_file))
        authority.issue_cert(NAME).private_key_and_cert_chain_pem.write_to_path(str(pem))
        with running(serve, pem) as ports:
            uvloop.run(measure(ports, ca_file, arguments.connections, arguments.rounds))


if __name__ == "__main__":
    main()
