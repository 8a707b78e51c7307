"""CPU of a serving control plane per job, lease and stored result with their envelopes; and its pulls at a steady rate.

`python -m benchmarks.dispatch [--tests N] [--rate R] [--against CHECKOUT]`. First N tests are due at once, and four workers of
200 slots take and report them as fast as they can: CPU of the serving process per job. Then pulls are timed while R tests come
due a second, with slots to spare, by the clock of clients on uvloop, as workers are. Beside it, in the same run, SQLite alone
does what is stored of each job, in the same portions; and another checkout's control plane does all of it in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import uvloop

from benchmarks.processes import cpu_seconds, end
from tests.support.definitions import http_test
from tests.support.protocol import PULL, ProtocolWorker, item
from worker.clock import SystemClock

WORKERS = 4
SLOTS = 200
PERIOD = 30
"""Seconds: the shortest there is, so that a rate takes the fewest tests."""


@dataclass(slots=True)
class Outcome:
    jobs: int = 0
    pulls: list[float] = field(default_factory=list)
    """Milliseconds, from before the client signs until it has opened the jobs."""
    answers: list[float] = field(default_factory=list)
    """The same without the opening."""


@contextmanager
def serving(tree: Path, folder: Path, count: int) -> Iterator[tuple[int, str]]:
    """Another process of *tree* that serves *count* tests; its process id and URL."""
    environment = os.environ | {"PYTHONPATH": str(tree)}
    control = [sys.executable, "-m", "controlplane"]
    database = ["--database", str(folder / "c.db")]

    def command(*arguments: str) -> None:
        subprocess.run([*control, *arguments, *database], cwd=tree, env=environment, check=True, capture_output=True)

    file = folder / "tests.jsonl"
    with file.open("w") as lines:
        lines.writelines(json.dumps(http_test(f"test {number}", tick_every=PERIOD)) + "\n" for number in range(count))
    command("location", "create", "office", "--output", str(folder / "worker.json"))
    process = subprocess.Popen(
        [*control, "serve", "--listen", "127.0.0.1:0", *database],
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().removeprefix("listening on ").strip()
        command("test", "push", str(file), "--location", "office")
        yield process.pid, url
    finally:
        end(process)


async def _work(worker: ProtocolWorker, outcome: Outcome, *, after: float, until: float, every: float) -> None:
    """Pull, and report what came at once, as a worker does whose tests take no time; in vain, wait."""
    await SystemClock().sleep(after)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as session:
        while time.perf_counter() < until:
            began = time.perf_counter()
            reply = await worker.post(
                session, PULL, worker.pull_body(concurrency=SLOTS, free_slots=SLOTS), "application/json"
            )
            outcome.answers.append((time.perf_counter() - began) * 1000)
            jobs = worker.read_jobs(reply).jobs
            outcome.pulls.append((time.perf_counter() - began) * 1000)
            if jobs:
                accepted = (await worker.push(session, *[item(job) for job in jobs])).accepted
                outcome.jobs += len(accepted)  # in one step: `+=` around an await forgets what others count meanwhile
            elif not every:
                return
            await SystemClock().sleep(max(0.0, every - (time.perf_counter() - began)))


async def _run(url: str, file: Path, *, seconds: float, every: float) -> Outcome:
    outcome = Outcome()
    first = ProtocolWorker.from_file(file, url)
    until = time.perf_counter() + seconds
    fleet = [first, *[first.another() for _ in range(WORKERS - 1)]]
    # Workers that were started at different moments do not pull all at once.
    apart = [at * every / WORKERS for at in range(WORKERS)]
    working = [
        _work(worker, outcome, after=after, until=until, every=every)
        for worker, after in zip(fleet, apart, strict=True)
    ]
    await asyncio.gather(*working)
    return outcome


def drain(tree: Path, count: int) -> str:
    """All due at once: CPU per job."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(tree, folder, count) as (pid, url):
            before = cpu_seconds(pid)
            began = time.perf_counter()
            outcome = uvloop.run(_run(url, folder / "worker.json", seconds=300, every=0))
            took, spent = time.perf_counter() - began, cpu_seconds(pid) - before
    return (
        f"{spent / outcome.jobs * 1000:.3f} ms of CPU a job ({outcome.jobs} jobs, {outcome.jobs / took:.0f} a second)"
    )


def steady(tree: Path, rate: int, seconds: float) -> str:
    """Pulls while *rate* tests come due a second, after the first period, in which all are due at once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(tree, folder, rate * PERIOD) as (pid, url):
            uvloop.run(_run(url, folder / "worker.json", seconds=2 * PERIOD, every=0.25))
            before = cpu_seconds(pid)
            outcome = uvloop.run(_run(url, folder / "worker.json", seconds=seconds, every=0.25))
            spent = cpu_seconds(pid) - before
    return (
        f"pulls {_spread(outcome.pulls)}, without opening the jobs {_spread(outcome.answers)}, "
        f"at {outcome.jobs / seconds:.0f} jobs a second; "
        f"{spent / max(outcome.jobs, 1) * 1000:.3f} ms of CPU a job"
    )


def _spread(milliseconds: list[float]) -> str:
    p99 = statistics.quantiles(milliseconds, n=100, method="inclusive")[98]
    return f"p50 {statistics.median(milliseconds):.1f} ms and p99 {p99:.1f}"


def reference(count: int) -> str:
    """Rows of a job and its result through SQLite alone, `SLOTS` a transaction, one for leases and one for results."""
    text = json.dumps({"outcome": "x" * 200})
    with tempfile.TemporaryDirectory() as name, closing(sqlite3.connect(Path(name) / "r.db")) as connection:
        connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "CREATE TABLE jobs (id TEXT PRIMARY KEY, test TEXT, at INTEGER, closed TEXT);"
            "CREATE TABLE results (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, job TEXT UNIQUE, outcome TEXT);"
        )
        before = time.process_time()
        for start in range(0, count, SLOTS):
            ids = [(str(uuid.uuid4()),) for _ in range(min(SLOTS, count - start))]
            with connection:
                connection.executemany("INSERT INTO jobs VALUES (?, 't', 1, NULL)", ids)
            with connection:
                rows = [(str(uuid.uuid4()), job, text) for (job,) in ids]
                connection.executemany("INSERT INTO results (id, job, outcome) VALUES (?, ?, ?)", rows)
                connection.executemany("UPDATE jobs SET closed = 'result' WHERE id = ?", ids)
        spent = time.process_time() - before
    return f"{spent / count * 1000:.3f} ms of CPU a job"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, help="another checkout, with an environment that fits this one")
    arguments = parser.parse_args()
    here = Path(__file__).resolve().parent.parent
    trees = {"here": here} | ({"there": arguments.against.resolve()} if arguments.against else {})
    for _ in range(arguments.rounds):
        for name, tree in trees.items():
            print(f"{name}, all due: {drain(tree, arguments.tests)}", flush=True)
        print(f"SQLite alone: {reference(arguments.tests)}", flush=True)
    for name, tree in trees.items():
        print(f"{name}, steady: {steady(tree, arguments.rate, arguments.seconds)}", flush=True)


if __name__ == "__main__":
    main()
