"""Pulls of workers while ten receivers of alerts are dead, beside the same pulls without any alert.

`python -m benchmarks.receivers` prints the median, the 99th percentile and the slowest of one worker's pulls, alone and while ten
channels have a queue of alerts for receivers that take connections and never answer; and the ratio of the 99th percentiles.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp

from tests.integration.controlplane.plane import Plane, served
from tests.support.alerts import Outbound, transition
from tests.support.protocol import ProtocolWorker
from tests.support.servers.http import Server, read_request
from worker.clock import SystemClock

RECEIVERS = 10
QUEUED = 200
"""Alerts that wait for each receiver."""
TESTS = 10


async def main(pulls: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder)) as plane, aiohttp.ClientSession() as session:
            worker = await plane.add_location("honest")
            worker.clock = plane.clock
            for number in range(TESTS):
                await plane.add_test(worker.location, f"hon-est-{number:03d}", period=60)
            leases: list[str] = []
            await _pulls(worker, session, leases, 20)  # imports, caches, leases
            alone = await _pulls(worker, session, leases, pulls)
            async with Server(conversation=_never) as dead:
                beside = await _beside(plane, dead.url(), worker, session, leases, pulls)
            _print("alone", alone)
            _print(f"beside {RECEIVERS} dead receivers with {QUEUED} alerts each ({dead.connections} attempts)", beside)
            print(f"ratio of the 99th percentiles: {_p99(beside) / _p99(alone):.2f}")


async def _never(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await asyncio.Event().wait()


async def _beside(
    plane: Plane, url: str, worker: ProtocolWorker, session: aiohttp.ClientSession, leases: list[str], pulls: int
) -> list[float]:
    outbound = Outbound(plane.database, SystemClock())
    names = [f"dead{number}" for number in range(RECEIVERS)]
    for name in names:
        await outbound.add(name, type="webhook", url=url)
    for number in range(QUEUED):
        await outbound.queue(transition(number), *names)
    running = asyncio.create_task(outbound.dispatcher.run())
    try:
        return await _pulls(worker, session, leases, pulls)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _pulls(worker: ProtocolWorker, session: aiohttp.ClientSession, held: list[str], pulls: int) -> list[float]:
    """Milliseconds of each pull; *held* gains the leases of the jobs that came."""
    took = []
    for _ in range(pulls):
        began = time.perf_counter()
        jobs = (await worker.pull(session, holding=tuple(held))).jobs
        took.append((time.perf_counter() - began) * 1000)
        held.extend(job.lease for job in jobs)
        await SystemClock().sleep(0.05)
    return took


def _p99(took: list[float]) -> float:
    return statistics.quantiles(took, n=100)[98]


def _print(what: str, took: list[float]) -> None:
    print(f"{what}: median {statistics.median(took):.1f} ms, p99 {_p99(took):.1f} ms, slowest {max(took):.1f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pulls", type=int, default=600)
    asyncio.run(main(parser.parse_args().pulls))
