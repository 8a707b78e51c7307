"""CPU that the journal costs a result: `python -m benchmarks.journal`. Kept, on the disk, acknowledged and noted as done.

Results come at a steady rate and are acknowledged a quarter of a second later in batches, as by the outbox. Four
takers in turn, in the same process: one that does nothing (the driver, taken off the others), a plain file that each result is
appended to with one write and neither checksum, key, sync nor deletion, the same file written and synced as often as the journal
is (what any promise of 50 ms costs), and the journal. CPU is the process's, all threads, kernel included.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import uvloop

from worker.agent.journal.codec import SegmentKeys
from worker.agent.journal.journal import GATHER as GATHERED
from worker.agent.journal.journal import Journal
from worker.agent.journal.store import Store
from worker.agent.journal.thread import DiskThread
from worker.agent.outbox import GATHER
from worker.clock import SystemClock
from worker.secret import Secret
from worker.wire.messages import ResultItem, raw

AIM = 15.0
"""Microseconds a result."""
OUTCOME_BYTES = 1500
"""An outcome of an HTTP test with three assertions."""
TICK = 0.005
"""Seconds at the least between wake-ups of the driver, which are to be few beside what it measures: results of that time come
together."""

Keep = Callable[[ResultItem], None]
Done = Callable[[str], None]
Taker = Callable[[Path], AbstractAsyncContextManager[tuple[Keep, Done]]]


@asynccontextmanager
async def nothing(_: Path) -> AsyncIterator[tuple[Keep, Done]]:
    yield (lambda _: None), (lambda _: None)


@asynccontextmanager
async def plain_append(room: Path) -> AsyncIterator[tuple[Keep, Done]]:
    descriptor = os.open(room / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        yield (lambda item: void(os.write(descriptor, bytes(item.outcome)))), (lambda _: None)
    finally:
        os.close(descriptor)


@asynccontextmanager
async def synced_append(room: Path) -> AsyncIterator[tuple[Keep, Done]]:
    """What came in the time that the journal gathers is one write and one sync, in a thread."""
    descriptor = os.open(room / "synced", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    waiting: list[bytes] = []

    def write(some: list[bytes]) -> None:
        os.write(descriptor, b"".join(some))
        os.fdatasync(descriptor)

    async def run() -> None:
        while True:
            await asyncio.sleep(GATHERED)
            if waiting:
                some = waiting.copy()
                waiting.clear()
                await thread.run(partial(write, some))

    thread = DiskThread(time.monotonic_ns)
    writing = asyncio.ensure_future(run())
    try:
        yield (lambda item: waiting.append(bytes(item.outcome))), (lambda _: None)
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        thread.stop()
        os.close(descriptor)


@asynccontextmanager
async def journal(room: Path) -> AsyncIterator[tuple[Keep, Done]]:
    clock = SystemClock()
    store = Store(room, SegmentKeys("pl:a", (Secret(b"key"),)), worker=str(uuid.uuid4()), age_ns=clock.age_ns)
    async with Journal(store, clock) as ours:
        writing = asyncio.ensure_future(ours.run())
        yield ours.keep, ours.done
        await ours.commit()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


def void(_: object) -> None:
    """For callables whose value nobody wants."""


async def drive(taker: Taker, rate: int, seconds: float) -> float:
    """CPU microseconds a result at *rate* results a second."""
    outcome = raw({"padding": "x" * OUTCOME_BYTES})
    with tempfile.TemporaryDirectory(dir=".") as room:
        async with taker(Path(room)) as (keep, done):
            waiting: list[str] = []
            sent, began, cpu, pushed = 0, time.monotonic(), time.process_time(), 0.0
            while (now := time.monotonic() - began) < seconds:
                while sent < now * rate:
                    item = ResultItem(result=f"{sent:036}", job=f"{sent:036}", lease=f"{sent:036}.1", outcome=outcome)
                    keep(item)
                    waiting.append(item.result)
                    sent += 1
                if now - pushed >= GATHER:
                    pushed = now
                    for result in waiting:
                        done(result)
                    waiting.clear()
                await asyncio.sleep(max(TICK, 1 / rate))
            used = time.process_time() - cpu
    return used / sent * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rates", type=int, nargs="+", default=[50, 200, 1000])
    options = parser.parse_args()
    print(f"µs of CPU a result beyond the driver's, medians of {options.rounds} rounds (all); aim {AIM:.0f}")
    print(f"{'results/s':>10}{'plain append':>16}{'and synced':>14}{'journal':>10}")
    for rate in options.rates:
        rounds: dict[str, list[float]] = {"plain": [], "synced": [], "journal": []}
        for _ in range(options.rounds):
            driver, *takers = (
                uvloop.run(drive(taker, rate, options.seconds))
                for taker in (nothing, plain_append, synced_append, journal)
            )
            for name, cost in zip(rounds, takers, strict=True):
                rounds[name].append(cost - driver)
        plain, synced, ours = (statistics.median(values) for values in rounds.values())
        every = ", ".join(f"{value:.1f}" for value in sorted(rounds["journal"]))
        print(f"{rate:>10}{plain:>16.1f}{synced:>14.1f}{ours:>10.1f}   ({every})", flush=True)


if __name__ == "__main__":
    main()
