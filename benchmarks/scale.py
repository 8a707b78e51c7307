"""What the size of a database costs: a pull, a scrape, a list of tests, and pages of results.

`python -m benchmarks.scale [--tests N]` prints milliseconds of CPU of this process, which serves: the median of rounds, and the
slowest. A pull is measured among a thousand tests and among N, in turn, with as many due in either: the ratio is the growth.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
from sqlalchemy import update

from benchmarks.simulation import MEMORY
from controlplane.service import callers, pulls
from controlplane.service.callers import Caller
from controlplane.store.tables import assignments, results, tests
from controlplane.store.workers import Origin
from tests.integration.controlplane.plane import Plane, opened, served
from tests.support.public_api import PublicAPI
from worker.wire.messages import Pull

FEW = 1000
SLOTS = 20
"""Jobs of one pull."""
PULLS = 60
ROUNDS = 9
SHOWN = 10_000
"""Tests of one scrape: as many as have series unless told otherwise."""
RESULTS = 100_000
"""Of one test."""
DAY = 86_400_000


async def fill(plane: Plane, count: int, location: str) -> None:
    """Tests in the database alone: with definitions, runs that are far, and a newest run."""
    definition = '{"name":"t","type":"api","subtype":"http","tags":["env:prod"],"config":{}}'
    far = plane.now() + 7 * DAY
    for start in range(0, count, 5000):
        ids = [f"{number:011}" for number in range(start, min(start + 5000, count))]
        async with plane.database.write() as connection:
            common = {
                "subtype": "http",
                "version": 1,
                "paused": False,
                "period_ms": 604_800_000,
                "tags": "\nenv:prod\n",
            }
            times = {"created_at": 1, "modified_at": 1, "definition": definition}
            await connection.execute(
                tests.insert(), [{"public_id": one, "name": f"test {one}", **common, **times} for one in ids]
            )
            place = {"location_id": location, "due_at": far, "until": far + DAY, "waiting_since": far}
            last = {"last_status": "passed", "last_at": plane.now(), "last_duration_ms": 12.5}
            await connection.execute(assignments.insert(), [{"test_id": one, **place, **last} for one in ids])


class Puller:
    """A worker that takes `SLOTS` jobs with each pull, of tests that were made due for it."""

    def __init__(self, plane: Plane, count: int) -> None:
        self._plane = plane
        self._count = count
        self._turn = 0
        self._seq = 0
        self._held: tuple[str, ...] = ()
        self._worker = str(uuid.uuid4())

    async def prepare(self) -> None:
        self._known = await self._plane.add_location()
        await fill(self._plane, self._count, self._known.location)
        key = self._known.credentials.access_key
        self._access = await callers.look_up(
            self._plane.database, self._plane.clock, access_key=key, location=self._known.location
        )

    async def pull(self) -> float:
        """Milliseconds of CPU."""
        plane, now = self._plane, self._plane.now()
        step = self._count // SLOTS
        ids = [f"{(self._turn + number * step) % self._count:011}" for number in range(SLOTS)]
        self._turn += 1
        self._seq += 1
        async with plane.database.write() as connection:
            due = {"due_at": now - 1000, "until": now + DAY, "waiting_since": now - 1000, "job_id": None}
            await connection.execute(update(assignments).where(assignments.c.test_id.in_(ids)).values(due))
        origin = Origin(address="", access_key=self._known.credentials.access_key)
        caller = Caller(access=self._access, origin=origin, worker=self._worker, seq=self._seq)
        keys = tuple(kid for kid, _ in self._access.job_keys)
        message = Pull(
            version=1, agent="", concurrency=SLOTS, free_slots=SLOTS, holding=self._held, release=self._held, keys=keys
        )
        began = time.process_time()
        given = await pulls.pull(
            plane.database, plane.clock, plane.context.grace, caller, message, present=lambda: True
        )
        took = time.process_time() - began
        assert given is not None, "the caller was looked up"
        assert len(given.leases) == SLOTS
        async with plane.database.write() as connection:  # each pull is of as many open jobs
            await connection.exec_driver_sql("DELETE FROM jobs")
        return took * 1000


async def growth(folder: Path, count: int) -> None:
    async with AsyncExitStack() as stack:
        pullers = []
        for number in (FEW, count):
            (folder / str(number)).mkdir()
            plane = await stack.enter_async_context(opened(folder / str(number)))
            pullers.append(Puller(plane, number))
            await pullers[-1].prepare()
        took: list[list[float]] = [[], []]
        for _ in range(PULLS):
            for puller, times in zip(pullers, took, strict=True):
                times.append(await puller.pull())
    few, many = (statistics.median(times) for times in took)
    print(f"a pull of {SLOTS} jobs: {few:.2f} ms among {FEW}, {many:.2f} among {count}: {many / few:.2f}", flush=True)


async def pages(folder: Path) -> None:
    async with served(folder) as plane, aiohttp.ClientSession() as session:
        api_key, app_key = await plane.add_key("read", "write", "trigger")
        api = PublicAPI(session, plane.url, api_key, app_key)
        known = await plane.add_location()
        await fill(plane, SHOWN, known.location)
        await _fill_results(plane, known.location)

        async def scrape() -> None:
            plane.clock.stall(1)
            async with session.get(f"{plane.url}/metrics") as response:
                assert (await response.text()).count("test_state{") == SHOWN

        await _measure(f"a scrape of {SHOWN} tests", scrape)
        page = f"/api/v2/synthetics/tests/{0:011}/results"
        middle = plane.now() - RESULTS * 1000 // 2
        for what, query in (
            ("the newest", {}),
            ("of an hour in the middle", {"from_ts": middle - 3_600_000, "to_ts": middle}),
        ):
            await _measure(f"a page of results of {RESULTS}, {what}", lambda query=query: api.get(page, **query))  # type: ignore[misc]

        async def list_tests() -> None:
            found = await api.get("/api/v1/synthetics/tests", page_size=1000)
            assert len(found["tests"]) == 1000

        await _measure("a list of 1000 tests", list_tests)


async def _fill_results(plane: Plane, location: str) -> None:
    outcome = (
        '{"test":{"version":1},"status":"passed","timings":{"dns":1.5,"total":12.5},"assertions":[],"response":{}}'
    )
    for start in range(0, RESULTS, 5000):
        rows = [
            {
                "id": str(uuid.uuid4()),
                "origin": "worker",
                "test_id": f"{0:011}",
                "test_name": "t",
                "location_id": location,
                "status": "passed",
                "runs": 1,
                "stored_at": plane.now() - (RESULTS - number) * 1000,
                "outcome": outcome,
            }
            for number in range(start, start + 5000)
        ]
        async with plane.database.write() as connection:
            await connection.execute(results.insert(), rows)


async def _measure(what: str, once: Callable[[], Awaitable[object]]) -> None:
    took, waited = [], []
    for _ in range(ROUNDS):
        began, cpu = time.perf_counter(), time.process_time()
        await once()
        waited.append((time.perf_counter() - began) * 1000)
        took.append((time.process_time() - cpu) * 1000)
    cpu_ms, clock_ms = statistics.median(took), statistics.median(waited)
    print(
        f"{what}: {cpu_ms:.0f} ms of CPU, client included ({clock_ms:.0f} by the clock, slowest {max(waited):.0f})",
        flush=True,
    )


async def main(count: int) -> None:
    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as name:
        await growth(Path(name), count)
    with tempfile.TemporaryDirectory(dir=place) as name:
        await pages(Path(name))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, default=1_000_000)
    asyncio.run(main(parser.parse_args().tests))
