"""A pull of one location beside clients of others that hold as many leases as the protocol lets them name.

`python -m benchmarks.pulls` prints the median and the slowest of the honest worker's pulls, alone and beside eight such clients,
and the ratio of the medians.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp

from tests.integration.controlplane.plane import Plane, served
from tests.support.protocol import ProtocolWorker
from worker.clock import SystemClock

CLIENTS = 8
LEASES = 10_000
PULLS = 100
TESTS = 10


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder)) as plane, aiohttp.ClientSession() as session:
            honest = await _location(plane, "honest")
            for number in range(TESTS):
                await plane.add_test(honest.location, f"hon-est-{number:03d}", period=60)
            leases: list[str] = []
            alone = await _pulls(honest, session, leases)
            hostile = await _location(plane, "hostile")
            clients = [await _holding(plane, hostile.another(), number, session) for number in range(CLIENTS)]
            pulling = [asyncio.create_task(_pull_on(client, held)) for client, held in clients]
            beside = await _pulls(honest, session, leases)
            for task in pulling:
                task.cancel()
            await asyncio.gather(*pulling, return_exceptions=True)
            _print("alone", alone)
            _print(f"beside {CLIENTS} clients with {LEASES} leases each", beside)
            print(f"ratio of the medians: {statistics.median(beside) / statistics.median(alone):.2f}")


async def _location(plane: Plane, name: str) -> ProtocolWorker:
    worker = await plane.add_location(name)
    worker.clock = plane.clock
    return worker


async def _holding(
    plane: Plane, client: ProtocolWorker, number: int, session: aiohttp.ClientSession
) -> tuple[ProtocolWorker, tuple[str, ...]]:
    """Give a client leases: made in the database, as many pulls would have made them."""
    from controlplane.store.tables import jobs  # noqa: PLC0415 - beside its only use

    await client.pull(session, free_slots=0)
    rows = [
        {
            "id": f"{number}-{at}",
            "test_id": f"t{number}-{at}",
            "location_id": client.location,
            "scheduled_at": plane.now(),
            "until": plane.now() + 3_600_000,
            "delivery": 1,
            "leased_at": plane.now(),
            "worker": client.id,
        }
        for at in range(LEASES)
    ]
    async with plane.database.write() as connection:
        await connection.execute(jobs.insert(), rows)
    return client, tuple(f"{number}-{at}.1" for at in range(LEASES))


async def _pull_on(client: ProtocolWorker, held: tuple[str, ...]) -> None:
    """Pull once a second, as the protocol asks for."""
    async with aiohttp.ClientSession() as session:
        while True:
            await client.pull(session, holding=held, concurrency=LEASES, free_slots=0)
            await SystemClock().sleep(1.0)


async def _pulls(worker: ProtocolWorker, session: aiohttp.ClientSession, held: list[str]) -> list[float]:
    """Milliseconds of each pull; *held* gains the leases of the jobs that came."""
    took = []
    for _ in range(PULLS):
        began = time.perf_counter()
        jobs = (await worker.pull(session, holding=tuple(held))).jobs
        took.append((time.perf_counter() - began) * 1000)
        held.extend(job.lease for job in jobs)
        await SystemClock().sleep(0.05)
    return took


def _print(what: str, took: list[float]) -> None:
    print(f"{what}: median {statistics.median(took):.1f} ms, slowest {max(took):.1f} ms")


if __name__ == "__main__":
    asyncio.run(main())
