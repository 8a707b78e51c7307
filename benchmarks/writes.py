"""Long writes of a control plane beside the pulls of a worker, and the time from a start to its first signed reply.

`python -m benchmarks.writes [--tests N]` prints how long each took, and what the pulls made of it: the median, the 99th of a
hundred, the slowest, and how many failed. The commands are processes of their own on the same database, as operators run them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.integration.controlplane.process import COMMAND, command, serving
from tests.support.definitions import http_test
from tests.support.protocol import PULL, ProtocolWorker
from worker.clock import SystemClock

EVERY = 0.05
"""Seconds between pulls: often enough to be in the way of a hundred steps."""
MOST_SECONDS = 600
"""For everything that was overdue to be noted: on a machine with much else to do, too."""
AWAY = 100_000
"""Milliseconds for which the control plane was away before its start."""


@dataclass(slots=True)
class Pulls:
    """The milliseconds of each pull, and the statuses of those that failed."""

    took: list[float] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        p99 = statistics.quantiles(self.took, n=100, method="inclusive")[98] if len(self.took) > 1 else max(self.took)
        median, slowest = statistics.median(self.took), max(self.took)
        return f"{len(self.took)} pulls, {len(self.failed)} failed; median {median:.1f} ms, p99 {p99:.1f}, slowest {slowest:.1f}"


async def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place in ("office", "lab"):
            command(folder, "location", "create", place, "--output", str(folder / f"{place}.json"))
        file = folder / "tests.jsonl"
        with file.open("w") as lines:
            lines.writelines(json.dumps(http_test(f"test {number}", tick_every=60)) + "\n" for number in range(count))
        with serving(folder) as plane:
            worker = ProtocolWorker.from_file(folder / "lab.json", plane.url)
            for what, arguments in (
                (f"push of {count} tests", ("test", "push", str(file), "--location", "office")),
                ("the same at another location", ("test", "push", str(file), "--location", "lab")),
                ("disable a location", ("location", "disable", "office")),
                ("enable it", ("location", "enable", "office")),
            ):
                took, pulls = await _beside(folder, worker, arguments)
                print(f"{what}: {took:.1f} s; {pulls}", flush=True)
        _make_overdue(folder)
        await _start(folder)


async def _beside(folder: Path, worker: ProtocolWorker, arguments: tuple[str, ...]) -> tuple[float, Pulls]:
    """Run a command; its seconds, and the pulls meanwhile."""
    pulls = Pulls()
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, "--database", str(folder / "c.db"), stdout=asyncio.subprocess.DEVNULL
    )
    ended = asyncio.create_task(process.wait())
    async with aiohttp.ClientSession() as session:
        while not ended.done():
            with _timed(pulls):
                reply = await worker.post(session, PULL, worker.pull_body(free_slots=0), "application/json")
            if reply.status not in (200, 204) or not reply.signed:
                pulls.failed.append(reply.status)
            await SystemClock().sleep(EVERY)
    if await ended:
        raise SystemExit(f"{' '.join(arguments)} failed")
    return time.perf_counter() - began, pulls


@contextmanager
def _timed(pulls: Pulls) -> Iterator[None]:
    began = time.perf_counter()
    yield
    pulls.took.append((time.perf_counter() - began) * 1000)


def _make_overdue(folder: Path) -> None:
    """Leave the tests as a control plane finds them that was away for `AWAY`, each due long ago."""
    with closing(sqlite3.connect(folder / "c.db")) as connection, connection:
        connection.execute("UPDATE assignments SET due_at = due_at - ?, until = until - ?", (AWAY, AWAY))


async def _start(folder: Path) -> None:
    began = time.perf_counter()
    with serving(folder) as plane:
        listening = time.perf_counter() - began
        worker = ProtocolWorker.from_file(folder / "office.json", plane.url)
        async with aiohttp.ClientSession() as session:
            reply = await worker.post(session, PULL, worker.pull_body(), "application/json")
            replied = time.perf_counter() - began
            assert reply.signed, "the first reply is not signed"
            assert reply.status in (200, 204), reply.status
            settled = await _settled(folder, began)
    print(
        f"start, all overdue: listening after {listening:.2f} s, first reply {replied:.2f} s, all noted {settled:.1f} s"
    )


async def _settled(folder: Path, began: float) -> float:
    """Seconds from the start until nothing is left that was overdue by now. Nobody runs what comes due meanwhile."""
    now = time.time_ns() // 1_000_000
    with closing(sqlite3.connect(folder / "c.db")) as connection:
        for _ in range(MOST_SECONDS * 10):
            (left,) = connection.execute("SELECT count(*) FROM assignments WHERE until <= ?", (now,)).fetchone()
            if not left:
                return time.perf_counter() - began
            await SystemClock().sleep(0.1)
    raise SystemExit(f"not all that was overdue was noted within {MOST_SECONDS} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, default=20_000)
    asyncio.run(main(parser.parse_args().tests))
