"""Phases beside `curl -w` on the same server: `python -m benchmarks.phases [--runs 60]`.

A run of the prober in this process and a run of curl take turns, so that both see the same machine. Known delays, as far as
loopback allows them: the name server answers after 10 ms, the TLS server takes up the handshake and both servers answer after
theirs. curl's times are cumulative; here they are the differences (time_appconnect - time_connect and so on). curl cannot be
given a name server on a port of our own, so that its look-up goes to the system's resolver and is not compared; it is given
the address for the name, and the prober's look-up stands beside the delay that the name server kept. curl's handshake contains
the reading of the CAs, which a process that lives for one request cannot spare itself.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import ssl
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import trustme
import uvloop

from benchmarks.names import Names
from benchmarks.processes import need
from worker.apitest.request import HTTPRequest
from worker.clock import SystemClock
from worker.net.door import Door
from worker.net.exchange import Nameserver
from worker.net.resolver import Resolver
from worker.net.trust import TrustStore
from worker.policy import Policy
from worker.probers.http import HTTPLimits, probe

NAME = "target.example.org"
LOOKUP, HANDSHAKE, WAIT, DOWNLOAD = 0.01, 0.1, 0.05, 0.02
"""Seconds that the servers keep: before the name server's answer, before taking up the handshake, before the first byte, and
between it and the last."""
BODY = b"x" * 1000
WRITTEN = "%{time_connect} %{time_appconnect} %{time_pretransfer} %{time_starttransfer} %{time_total}"
PHASES = ("dns", "tcp", "ssl", "firstByte", "download", "total")


@dataclass(frozen=True, slots=True)
class Ports:
    plain: int
    tls: int
    dns: int


class _Slow(asyncio.Protocol):
    """The first half of an answer after WAIT, the second DOWNLOAD later."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, _: bytes) -> None:
        asyncio.get_running_loop().call_later(WAIT, self._begin)

    def _begin(self) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(BODY))
        asyncio.get_running_loop().call_later(DOWNLOAD, self._finish)

    def _finish(self) -> None:
        self._transport.write(BODY)
        self._transport.close()


async def accept(listening: socket.socket, context: ssl.SSLContext) -> None:
    """Take up each handshake HANDSHAKE after the connection."""
    loop = asyncio.get_running_loop()

    async def shake(connection: socket.socket) -> None:
        await asyncio.sleep(HANDSHAKE)
        await loop.connect_accepted_socket(_Slow, connection, ssl=context)

    async with asyncio.TaskGroup() as group:
        while True:
            connection, _ = await loop.sock_accept(listening)
            group.create_task(shake(connection))


def serve(ports: Connection, pem: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        plain = await loop.create_server(_Slow, "127.0.0.1", 0)
        tls = socket.create_server(("127.0.0.1", 0))
        tls.setblocking(False)  # noqa: FBT003  # the standard library's signature
        names, _ = await loop.create_datagram_endpoint(lambda: Names(LOOKUP), local_addr=("127.0.0.1", 0))
        plain_port = plain.sockets[0].getsockname()[1]
        ports.send(Ports(plain_port, tls.getsockname()[1], names.get_extra_info("sockname")[1]))
        await asyncio.gather(plain.serve_forever(), accept(tls, context))

    uvloop.run(main())


async def by_prober(url: str, door: Door) -> dict[str, float]:
    """Milliseconds by phase."""
    observation = await probe(HTTPRequest(url=url), door, SystemClock(), HTTPLimits(max_body_bytes=5_000_000))
    assert observation.failure is None, observation.failure
    return observation.timings.as_json()


async def by_curl(url: str, ca_file: Path) -> dict[str, float]:
    """Milliseconds by phase, without `dns`."""
    port = url.rpartition(":")[2].rstrip("/")
    command = ["curl", "-s", "-o", "/dev/null", "--http1.1", "--cacert", str(ca_file), "-w", WRITTEN]
    command += ["--resolve", f"{NAME}:{port}:127.0.0.1", url]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    written, _ = await process.communicate()
    assert process.returncode == 0, f"curl ended with {process.returncode}"
    connect, handshake, ready, first_byte, total = (float(seconds) * 1000 for seconds in written.split())
    phases = {"tcp": connect, "firstByte": first_byte - ready, "download": total - first_byte, "total": total}
    return phases if not handshake else phases | {"ssl": handshake - connect}


async def compare(kind: str, url: str, door: Door, ca_file: Path, runs: int) -> None:
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for _ in range(runs):
        ours.append(await by_prober(url, door))
        theirs.append(await by_curl(url, ca_file))
    print(f"{kind + ', ms':14}{'prober':>10}{'curl':>10}{'ratio':>8}{'kept by the server':>22}")
    kept = {"dns": LOOKUP, "ssl": HANDSHAKE, "firstByte": WAIT, "download": DOWNLOAD}
    for phase in PHASES:
        if phase in ours[0]:
            show(phase, ours, theirs, kept.get(phase))


def show(phase: str, ours: Sequence[dict[str, float]], theirs: Sequence[dict[str, float]], kept: float | None) -> None:
    """The medians of one phase. curl was spared the look-up, and so is the prober's total."""
    without = "dns" if phase == "total" else ""
    mine = statistics.median(run[phase] - run.get(without, 0) for run in ours)
    server = "" if kept is None else f"{kept * 1000:.0f}"
    if phase in theirs[0]:
        curl = statistics.median(run[phase] for run in theirs)
        print(f"{phase:14}{mine:10.2f}{curl:10.2f}{mine / curl:8.2f}{server:>22}")
    else:
        print(f"{phase:14}{mine:10.2f}{'-':>10}{'-':>8}{server:>22}")


async def measure(ports: Ports, ca_file: Path, runs: int) -> None:
    resolver = Resolver([Nameserver(ip_address("127.0.0.1"), ports.dns)])
    door = Door(policy=Policy.build(allow=("127.0.0.0/8",)), resolver=resolver, trust=TrustStore([ca_file]))
    await compare("plain", f"http://{NAME}:{ports.plain}/", door, ca_file, runs)
    await compare("TLS", f"https://{NAME}:{ports.tls}/", door, ca_file, runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=60)
    arguments = parser.parse_args()
    need("curl", "curl")
    with tempfile.TemporaryDirectory() as folder:
        ca_file, pem = Path(folder, "ca.pem"), Path(folder, "server.pem")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(ca_file))
        authority.issue_cert(NAME).private_key_and_cert_chain_pem.write_to_path(str(pem))
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, pem), daemon=True)
        server.start()
        try:
            uvloop.run(measure(ours.recv(), ca_file, arguments.runs))
        finally:
            server.terminate()
            server.join()


if __name__ == "__main__":
    main()
