"""CPU of a control plane with many idle runners: `python -m benchmarks.idle_runners [--runners 1000] [--seconds 20]`.

`serve` is a process of its own. The runners are real ones in another process, without the agent around them: each has an identity
that it enrolled with, and its channel pulls again whenever its last pull was answered. Counted is the CPU of `serve` alone, after
every runner has been answered once; pulls are those of the time that is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import uvloop

from controlplane.service import runners
from controlplane.service.principal import operator
from controlplane.service.runners import WantedRunner
from controlplane.store.database import Database, Keyring, open_database
from controlplane.store.engines import sqlite
from tests.support.programs import ControlPlane
from tests.support.runnerplane import EpochKept, keys_of
from worker.actionrunner import enrolling
from worker.actionrunner.channel import RunnerChannel
from worker.actionrunner.enrolling import EnrolmentWishes
from worker.actionrunner.identity import IdentityFile, KeptIdentity
from worker.actionrunner.leasebook import LeaseBook
from worker.clock import SystemClock
from worker.intake.transport import Peer, Transport
from worker.wire.enrolment import EnrolmentToken
from worker.wire.messages import Pull

WISHES = EnrolmentWishes(name=None, modes=None, host=None, hostname="h", agent="benchmark", platform="linux")
TOGETHER = 8
"""Runners that enrol at a time."""


@dataclass(slots=True)
class Pulls:
    answered: int = 0
    failed: int = 0

    async def have_settled(self, count: int) -> None:
        while self.answered < count:  # noqa: ASYNC110 - an event would have to be set by each
            await asyncio.sleep(0.1)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runners", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plane = ControlPlane(Path(folder))
        plane.start()
        try:
            assert plane.program is not None
            process = psutil.Process(plane.program.process.pid)
            await _measure(plane, process, Path(folder), asked.runners, asked.seconds)
        finally:
            plane.stop()


async def _measure(plane: ControlPlane, process: psutil.Process, folder: Path, count: int, seconds: float) -> None:
    began = time.perf_counter()
    identities = await _enrolled(plane, folder, count)
    took = time.perf_counter() - began
    pulls = Pulls()
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        tasks = []
        for identity in identities:
            channel = await stack.enter_async_context(_channel(plane.url, identity))
            tasks.append(group.create_task(_idle(channel, identity, pulls)))
        await pulls.have_settled(2 * count)  # the first tells the epoch; the second waits for nothing
        before, at, start = _cpu(process), pulls.answered, time.perf_counter()
        await asyncio.sleep(seconds)
        used, answered, spent = _cpu(process) - before, pulls.answered - at, time.perf_counter() - start
        for task in tasks:
            task.cancel()
    print(
        f"{count} idle runners: {used / spent * 100:.1f} % of a core, {answered / spent:.0f} pulls/s, "
        f"{used / max(answered, 1) * 1000:.2f} ms a pull, {process.memory_info().rss / 2**20:.0f} MiB "
        f"({pulls.failed} failed; {count / took:.0f} enrolments/s)"
    )


async def _enrolled(plane: ControlPlane, folder: Path, count: int) -> list[KeptIdentity]:
    keyring = Keyring(path=plane.database.with_name(f"{plane.database.name}.key"))
    database = await open_database(sqlite.engine(plane.database), keyring)
    try:
        turns = asyncio.Semaphore(TOGETHER)
        async with Transport(Peer(url=plane.url), agent="benchmark") as transport:

            async def one(number: int) -> KeptIdentity:
                async with turns:
                    return await _enrol(database, plane.url, folder / f"{number}.json", f"runner-{number}", transport)

            return await asyncio.gather(*map(one, range(count)))
    finally:
        await database.close()


async def _enrol(database: Database, url: str, path: Path, name: str, transport: Transport) -> KeptIdentity:
    clock = SystemClock()
    wanted = WantedRunner(name=name, modes=("pull",), host=None, base_url=url)
    issued = await runners.create(database, clock, operator("benchmark"), wanted, ttl_ms=3_600_000)
    token = EnrolmentToken.parse(issued.text)
    return await enrolling.enrol(IdentityFile(path), token, WISHES, transport, clock, instance=str(uuid.uuid4()))


@asynccontextmanager
async def _channel(url: str, identity: KeptIdentity) -> AsyncIterator[RunnerChannel]:
    channel = RunnerChannel(
        Peer(url=url),
        keys_of(identity),
        SystemClock(),
        instance=str(uuid.uuid4()),
        agent="benchmark",
        book=LeaseBook(),
        standing=EpochKept(),
    )
    async with channel:
        yield channel


async def _idle(channel: RunnerChannel, identity: KeptIdentity, pulls: Pulls) -> None:
    message = Pull(version=1, concurrency=10, free_slots=10, keys=(identity.keys.opening.kid,))
    while True:
        try:
            await channel.pull(message)
            pulls.answered += 1
        except Exception:  # noqa: BLE001 - counted, and shown with the figure
            pulls.failed += 1
            await asyncio.sleep(1)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    uvloop.run(main())
