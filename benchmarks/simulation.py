"""Locations over two hours of a virtual clock, on the real schedule, leases and store: lateness, fairness, and what is missed.

`python -m benchmarks.simulation [--locations N] [--each K] [--jobs J]`. Each location has 1,000 tests that want to run every
300 s and ten workers that pull each second, two slots each; a run takes four seconds on average, a minute at most. After the
first hour a third of each location's workers falls silent with what it holds. Locations share a control plane in groups of K,
each group on a database and from a seed of its own, J groups at a time: in virtual time no location waits for another, so that
groups tell what one control plane for all of them would, and a hundred locations need not wait for one core.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from controlplane.service import callers, pulls, results, upkeep
from controlplane.service.callers import Caller
from controlplane.store import tests
from controlplane.store.locations import Access
from controlplane.store.tests import StoredTest
from controlplane.store.workers import Origin
from tests.integration.controlplane.plane import Plane, opened
from worker.wire.messages import Pull, ResultItem

MEMORY = Path("/dev/shm")
"""The place of the database, where there is one: no disk is measured here."""
LONGEST_RUN = 60.0
PASSED = msgspec.Raw(b'{"status":"passed","failure":null,"timings":{"total":1.5}}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The size of a simulation. Times in seconds."""

    locations: int = 1
    first: int = 0
    """The number of the first one, among those of all groups."""
    tests: int = 1000
    period: int = 300
    workers: int = 10
    slots: int = 2
    run_seconds: float = 4.0
    seconds: int = 7200
    seed: int = 1


@dataclass(slots=True)
class Half:
    """One half of the time: *late* seconds of each lease, runs of each test at its location, and missed runs by reason."""

    late: list[float] = field(default_factory=list)
    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)

    def add(self, other: Half) -> None:
        """Count what happened in another group, whose locations are others."""
        self.late += other.late
        self.runs.update(other.runs)
        self.missed.update(other.missed)

    def __str__(self) -> str:
        p99 = statistics.quantiles(self.late, n=100, method="inclusive")[98]
        counts = sorted(self.runs.values())
        missed = ", ".join(f"{count} {reason}" for reason, count in sorted(self.missed.items())) or "none"
        return (
            f"{len(self.late)} runs; late p50 {statistics.median(self.late):.1f} s, p99 {p99:.1f}, most {max(self.late):.1f}; "
            f"runs of a test {counts[0]} to {counts[-1]}, Jain's index {fairness(counts):.4f}; missed: {missed}"
        )


def fairness(counts: Sequence[int]) -> float:
    """Jain's index: 1 where all have the same, 1/n where one has everything."""
    return sum(counts) ** 2 / (len(counts) * sum(count * count for count in counts))


@dataclass(slots=True)
class SimulatedWorker:
    """One worker: its leases, and when the run of each ends."""

    access: Access
    id: str
    slots: int
    key: str
    seq: int = 0
    running: dict[str, tuple[str, float]] = field(default_factory=dict)

    def caller(self) -> Caller:
        self.seq += 1
        origin = Origin(address="", access_key=self.key)
        return Caller(access=self.access, origin=origin, worker=self.id, seq=self.seq)


class Simulation:
    """The control plane's own service layer, asked by simulated workers, one virtual second after another."""

    def __init__(self, plane: Plane, size: Size) -> None:
        self._plane = plane
        self._size = size
        self._random = random.Random(size.seed)
        self._workers: list[SimulatedWorker] = []

    async def run(self) -> tuple[Half, Half]:
        """Both halves; before the second one a third of each location's workers falls silent."""
        await self._prepare()
        first = await self._half()
        by_location: dict[str, list[SimulatedWorker]] = {}
        for worker in self._workers:
            by_location.setdefault(worker.access.location.id, []).append(worker)
        self._workers = [one for workers in by_location.values() for one in workers[len(workers) // 3 :]]
        self._random.shuffle(self._workers)
        return first, await self._half()

    async def _prepare(self) -> None:
        size, plane = self._size, self._plane
        for number in range(size.first, size.first + size.locations):
            known = await plane.add_location(f"location-{number}")
            key = known.credentials.access_key
            access = await callers.look_up(plane.database, plane.clock, access_key=key, location=known.location)
            await self._add_tests(known.location, number)
            self._workers += [
                SimulatedWorker(access=access, id=str(uuid.uuid4()), slots=size.slots, key=key)
                for _ in range(size.workers)
            ]
        self._random.shuffle(self._workers)

    async def _add_tests(self, location: str, number: int) -> None:
        """In their phases, as tests are that were there for long."""
        plane, size = self._plane, self._size
        new = [
            StoredTest(
                public_id=f"{number:03}-{test:03}-{test // 1000:03}",
                name=f"test {test}",
                subtype="http",
                version=1,
                paused=False,
                period_ms=size.period * 1000,
                definition="{}",
                modified_at=plane.now(),
            )
            for test in range(size.tests)
        ]
        async with plane.database.write() as connection:
            await tests.add(connection, new, now=plane.now())
            await tests.assign(connection, new, location, enabled=False, now=plane.now())
            while await tests.switch_on(connection, location, now=plane.now()) == tests.STEP:
                pass

    async def _half(self) -> Half:
        half, plane = Half(), self._plane
        for _ in range(self._size.seconds // 2):
            plane.clock.stall(1)
            await asyncio.gather(*[self._turn(worker, half) for worker in self._workers])  # all at that second
            settled = await upkeep.settle(plane.database, plane.clock, plane.context.grace, look_ahead=False)
            for (_, reason), count in settled.items():
                half.missed[reason.value] += count
        return half

    async def _turn(self, worker: SimulatedWorker, half: Half) -> None:
        """Push what has ended, and pull."""
        plane, now = self._plane, self._plane.clock.monotonic_ns() / 1e9
        ended = [lease for lease, (_, end) in worker.running.items() if end <= now]
        if ended:
            items = [
                ResultItem(result=str(uuid.uuid4()), job=worker.running.pop(lease)[0], lease=lease, outcome=PASSED)
                for lease in ended
            ]
            await results.push(plane.database, plane.clock, worker.caller(), items)
        message = Pull(
            version=1,
            agent="simulated",
            concurrency=worker.slots,
            free_slots=worker.slots - len(worker.running),
            holding=tuple(worker.running),
            keys=tuple(kid for kid, _ in worker.access.job_keys),
        )
        given = await pulls.pull(
            plane.database, plane.clock, plane.context.grace, worker.caller(), message, present=lambda: True
        )
        assert given is not None, "the caller was looked up"
        for lease in given.leases:
            takes = min(self._random.expovariate(1 / self._size.run_seconds), LONGEST_RUN)
            worker.running[lease.name] = (lease.job, now + takes)
            if lease.delivery == 1:
                half.late.append((given.now - lease.scheduled_at) / 1000)
                half.runs[worker.access.location.id, lease.test] += 1


async def _group(size: Size) -> tuple[Half, Half]:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:  # noqa: ASYNC240 - nobody waits
        async with opened(Path(folder)) as plane:
            return await Simulation(plane, size).run()


def run_group(size: Size) -> tuple[Half, Half, float]:
    """Both halves of one group, and the CPU seconds that it took; in a process of its own."""
    before = time.process_time()
    first, second = asyncio.run(_group(size))
    return first, second, time.process_time() - before


def main(size: Size, *, each: int, jobs: int) -> None:
    """Simulate `size.locations` in groups of *each*, *jobs* at a time, and print what all of them tell."""
    groups = [
        replace(size, locations=min(each, size.locations - start), first=start, seed=size.seed + start)
        for start in range(0, size.locations, each)
    ]
    first, second, spent, began = Half(), Half(), 0.0, time.perf_counter()
    with ProcessPoolExecutor(jobs) as pool:
        for number, (one, other, cpu) in enumerate(pool.map(run_group, groups), 1):
            first.add(one)
            second.add(other)
            spent += cpu
            if len(groups) > 1:
                print(f"group {number} of {len(groups)}: {cpu:.0f} s of CPU", flush=True)
    busy = size.tests / size.period * size.run_seconds / (size.workers * size.slots)
    print(f"{size.locations} locations, {size.tests} tests, {size.workers} workers each; {busy:.0%} of the slots busy")
    print(f"all workers: {first}")
    print(f"without a third of them: {second}")
    print(f"{size.seconds} virtual seconds took {time.perf_counter() - began:.0f} s, {spent:.0f} s of CPU")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locations", type=int, default=Size().locations)
    parser.add_argument("--each", type=int, default=2, help="locations of one control plane")
    parser.add_argument("--jobs", type=int, default=1, help="control planes at the same time")
    parser.add_argument("--seconds", type=int, default=Size().seconds)
    arguments = parser.parse_args()
    main(Size(locations=arguments.locations, seconds=arguments.seconds), each=arguments.each, jobs=arguments.jobs)
