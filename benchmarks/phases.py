"""Phases beside `curl -w` on the same servers, over a line and over loopback: `python -m benchmarks.phases [--runs 40]`.

A run of the prober in this process and a run of curl take turns, in a network of the benchmark's own
(benchmarks/own_network.py): both ask the same name server, which is the machine's there, for an A record (`curl -4`), both
connect to the same listeners. All delays are known: the name server answers after 10 ms, the TLS server takes up the handshake
100 ms after the connection, both servers answer 50 ms after the request and finish 20 ms later; on the line each packet takes
5 ms, so that a connect takes 10. On loopback a connect takes a tenth of a millisecond, of which a ratio says little: there the
difference counts. The line is a process, and late by as much for both.

curl's times are cumulative; here they are the differences (time_appconnect - time_connect and so on). Its handshake contains
the reading of the CAs, which a process that lives for one request cannot spare itself, and which the 100 ms hide.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import ssl
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network
from multiprocessing.connection import Connection
from pathlib import Path

import trustme
import uvloop

from benchmarks import own_network
from benchmarks.names import LOOPBACK, answer
from benchmarks.processes import need, running
from worker.apitest.protocols.http import HTTPRequest
from worker.clock import SystemClock
from worker.egress.nameserver import Nameserver
from worker.egress.policy import Policy
from worker.net.dns.resolver import Resolver
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.net.trust import TrustStore
from worker.probers.http import probe
from worker.probers.limits import ProbeLimits

LOOKUP, HANDSHAKE, WAIT, DOWNLOAD = 0.01, 0.1, 0.05, 0.02
"""Seconds that the servers keep: before the name server's answer, before taking up the handshake, before the first byte, and
between it and the last."""
BODY = b"x" * 1000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(BODY)
WRITTEN = (
    "%{time_namelookup} %{time_connect} %{time_appconnect} %{time_pretransfer} %{time_starttransfer} %{time_total}"
)
PHASES = ("dns", "tcp", "ssl", "firstByte", "download", "total")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How the servers are reached: by *name*, which means *address*; a packet takes *seconds*."""

    title: str
    name: str
    address: IPv4Address
    seconds: float

    def kept(self, *, tls: bool) -> dict[str, float]:
        """Milliseconds by phase that servers and line take for themselves."""
        there_and_back = 2 * self.seconds
        phases = {"dns": LOOKUP, "tcp": there_and_back, "firstByte": WAIT + there_and_back, "download": DOWNLOAD}
        if tls:
            phases["ssl"] = HANDSHAKE + there_and_back
        return {phase: seconds * 1000 for phase, seconds in (phases | {"total": sum(phases.values())}).items()}


WAYS = (
    Way(title="line", name="far.example.org", address=own_network.FAR, seconds=0.005),
    Way(title="loopback", name="near.example.org", address=LOOPBACK, seconds=0),
)
MEANS = {way.name.partition(".")[0].encode(): way.address for way in WAYS}


def name_queries() -> None:
    """The machine's name server: one question after another."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((str(LOOPBACK), 53))
        while True:
            query, peer = server.recvfrom(512)
            time.sleep(LOOKUP)
            server.sendto(answer(query, MEANS[query[13 : 13 + query[12]].lower()]), peer)


def connections(listening: socket.socket, context: ssl.SSLContext | None) -> None:
    """One connection after another, as nobody here opens two."""
    while True:
        connection, _ = listening.accept()
        with contextlib.suppress(OSError):  # a client that has read everything may hang up as it likes
            if context is None:
                speak(connection)
            else:
                time.sleep(HANDSHAKE)
                speak(context.wrap_socket(connection, server_side=True))


def speak(connection: socket.socket) -> None:
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.recv(65_536)
        time.sleep(WAIT)
        connection.sendall(HEAD)
        time.sleep(DOWNLOAD)
        connection.sendall(BODY)


def serve(ports: Connection, pem: Path) -> None:
    """Threads that block: asyncio's timers are whole milliseconds."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    plain, tls = socket.create_server(("", 0)), socket.create_server(("", 0))
    jobs: tuple[Callable[[], None], ...] = (
        name_queries,
        lambda: connections(plain, None),
        lambda: connections(tls, context),
    )
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    ports.send((plain.getsockname()[1], tls.getsockname()[1]))
    for thread in threads:
        thread.join()


async def by_prober(url: str, door: Door) -> dict[str, float]:
    """Milliseconds by phase."""
    observation = await probe(
        HTTPRequest(url=url), door, SystemClock(), ProbeLimits(http=HTTPLimits(max_body_bytes=5_000_000))
    )
    assert observation.failure is None, observation.failure
    return observation.timings.as_json()


async def by_curl(url: str, ca_file: Path) -> dict[str, float]:
    """Milliseconds by phase."""
    command = ["curl", "-4", "-s", "-o", "/dev/null", "--http1.1", "--noproxy", "*", "--cacert", str(ca_file)]
    process = await asyncio.create_subprocess_exec(*command, "-w", WRITTEN, url, stdout=asyncio.subprocess.PIPE)
    written, _ = await process.communicate()
    assert process.returncode == 0, f"curl ended with {process.returncode}"
    looked_up, connect, handshake, ready, first_byte, total = (float(seconds) * 1000 for seconds in written.split())
    phases = {"dns": looked_up, "tcp": connect - looked_up, "firstByte": first_byte - ready}
    phases |= {"download": total - first_byte, "total": total}
    return phases if not handshake else phases | {"ssl": handshake - connect}


async def compare(way: Way, port: int, door: Door, ca_file: Path, *, tls: bool, runs: int) -> None:
    url = f"{'https' if tls else 'http'}://{way.name}:{port}/"
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for _ in range(runs):
        ours.append(await by_prober(url, door))
        theirs.append(await by_curl(url, ca_file))
    title = f"{way.title}, {'TLS' if tls else 'plain'}, ms"
    print(f"{title:20}{'prober':>10}{'curl':>10}{'ratio':>8}{'difference':>12}{'kept for itself':>17}")
    kept = way.kept(tls=tls)
    for phase in PHASES:
        if phase in kept:
            show(phase, ours, theirs, kept[phase])


def show(phase: str, ours: Sequence[dict[str, float]], theirs: Sequence[dict[str, float]], kept: float) -> None:
    """The medians of one phase."""
    mine, curl = (statistics.median(run[phase] for run in runs) for runs in (ours, theirs))
    print(f"{phase:20}{mine:10.2f}{curl:10.2f}{mine / curl:8.2f}{mine - curl:12.2f}{kept:17.0f}", flush=True)


async def measure(ports: tuple[int, int], ca_file: Path, runs: int) -> None:
    allowed = [ip_network(way.address) for way in WAYS]
    resolver, trust = Resolver([Nameserver(LOOPBACK)]), TrustStore([ca_file])
    door = Door(policy=Policy.build(allow=allowed), resolver=resolver, trust=trust)
    for way in WAYS:
        for port, tls in zip(ports, (False, True), strict=True):
            await compare(way, port, door, ca_file, tls=tls, runs=runs)


def main() -> None:
    need("curl", "curl")
    own_network.enter("benchmarks.phases")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ca_file, pem = Path(folder, "ca.pem"), Path(folder, "server.pem")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(ca_file))
        leaf = authority.issue_cert(*(way.name for way in WAYS))
        leaf.private_key_and_cert_chain_pem.write_to_path(str(pem))
        with running(serve, pem) as ports, own_network.line(WAYS[0].seconds):
            uvloop.run(measure(ports, ca_file, arguments.runs))


if __name__ == "__main__":
    main()
