"""CPU per whole SSL job, beside prometheus-blackbox-exporter's CPU per probe (tcp with TLS) of the same target in the same run.

`python -m benchmarks.tls_jobs [--rate 100] [--seconds 10] [--rounds 3]`. Both make one verified TLS 1.3 handshake with a chain of
two elliptic certificates, and tell when the certificate ends. A job is everything, from the pull to the push; the feeding
control plane, the target and the driver are processes of their own. Exporter and worker take turns; the figures are medians over
rounds, with the ratio round by round.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.exporter import PROGRAM, drive, exporter
from benchmarks.fed_worker import fed_worker
from benchmarks.http_jobs import SETTLE
from benchmarks.processes import cpu_seconds, need, running
from tests.support.certificates import issue
from tests.support.definitions import api_test

HOST = "127.0.0.1"
ENDS = {"type": "certificate", "operator": "isInMoreThan", "target": 10}


def target(pipe: Connection, certificate: str) -> None:
    """Shake hands with whoever comes and close when they do; the port is what is sent first."""

    async def serve() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server = await asyncio.start_server(_until_closed, HOST, 0, ssl=context)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


async def _until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.read()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


def measure_exporter(port: int, authority: Path, rate: float, seconds: float) -> float:
    """CPU microseconds a probe."""
    module = f"""  tls:
    prober: tcp
    timeout: 5s
    tcp:
      preferred_ip_protocol: ip4
      tls: true
      tls_config: {{ca_file: {authority}, server_name: {HOST}}}
"""
    where = f"{HOST}:{port}"
    with exporter(module) as (pid, asked):
        uvloop.run(drive(asked, [where] * round(rate * SETTLE), rate, module="tls"))
        before = cpu_seconds(pid)
        replies = uvloop.run(drive(asked, [where] * round(rate * seconds), rate, module="tls"))
        used = cpu_seconds(pid) - before
    succeeded = sum(map(bool, replies))
    if succeeded < 0.99 * len(replies):
        raise SystemExit(f"the exporter's probes failed: {succeeded} of {len(replies)} succeeded")
    return used / succeeded * 1e6


def measure_worker(port: int, authority: Path, rate: float, seconds: float) -> float:
    """CPU microseconds a job."""
    test: dict[str, Any] = api_test("ssl", ENDS, host=HOST, port=port, timeout=5) | {"public_id": "abc-def-ghi"}
    flags = ("--concurrency=50", "--maxNumberMessagesToFetch=50", f"--caFile={authority}")
    with fed_worker([test], rate, *flags) as worker:
        worker.wait_for("passed")
        time.sleep(SETTLE)
        before, counts_before = cpu_seconds(worker.pid), worker.counts()
        time.sleep(seconds)
        used, counts_after = cpu_seconds(worker.pid) - before, worker.counts()
    if counts_after.get("failed"):
        raise SystemExit(f"jobs failed: {counts_after}")
    return used / (counts_after["passed"] - counts_before["passed"]) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    need(PROGRAM, PROGRAM)
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        root = issue("Root", ca=True)
        middle = issue("Middle", root, ca=True)
        shown = issue("shop", middle, names=[HOST]).write(Path(folder, "shown.pem"), middle)
        authority = Path(folder, "authority.pem")
        authority.write_text(root.pem)
        with running(target, str(shown)) as port:
            for number in range(arguments.rounds):
                theirs.append(measure_exporter(port, authority, arguments.rate, arguments.seconds))
                ours.append(measure_worker(port, authority, arguments.rate, arguments.seconds))
                print(f"round {number + 1}: exporter {theirs[-1]:.0f} µs, worker {ours[-1]:.0f} µs", flush=True)
    ratios = sorted(our / their for our, their in zip(ours, theirs, strict=True))
    print(
        f"worker {statistics.median(ours):.0f} µs a job, exporter {statistics.median(theirs):.0f} µs a probe, "
        f"ratio {statistics.median(ratios):.2f} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})"
    )


if __name__ == "__main__":
    main()
