"""Memory and CPU that the guide sizes with: `python -m benchmarks.sizing [--rounds 2]`.

`synthetics-worker check`, default options and so 10 at once, as fast as it goes: small HTTP tests with a pattern, and bodies of
4.8 MB with a pattern that reads all of them. Every test is another one, as a location's are. The largest sum of proportional set
sizes of the worker and its evaluators that a look every 50 ms has seen, the largest anonymous part of it, the time that it took
with the start, and CPU, all processes together. A worker at rest is `benchmarks.footprint`'s.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.fed_worker import definition
from benchmarks.processes import Size, cpu_seconds, end, family_size, process

SMALL = 2000
LARGE = 100
LINE = b'{"level": "info", "message": "nothing to report", "items": [1, 2, 3]}\n'
LARGE_BODY = LINE * (4_800_000 // len(LINE)) + b'"status":  "ok"\n'
PATTERN = {"type": "body", "operator": "matches", "target": r'"status":\s*"(ok|fine)"'}
STATUS = {"type": "statusCode", "operator": "is", "target": 200}
LOOK_EVERY = 0.05
MEBIBYTE = 1024**2


@dataclass(frozen=True, slots=True)
class Run:
    peak: Size
    seconds: float
    cpu_seconds: float
    failures: tuple[str, ...]
    """Of a machine so busy that an evaluator got no processor, or of a mistake here: such a run is not for quoting."""


def tests(url: str, count: int) -> list[dict[str, Any]]:
    one = definition(url, (STATUS, PATTERN), timeout=60)
    return [one | {"name": f"test {number}", "public_id": f"abc-def-{number:03d}"} for number in range(count)]


def checked(definitions: list[dict[str, Any]]) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tests.json")
        path.write_bytes(orjson.dumps(definitions))
        command = (sys.executable, "-m", "worker", "check", str(path), "--whitelistedRange.4=127.0.0.1/32", "--json")
        printed = Path(folder, "results")
        with printed.open("wb") as sink:
            started = time.monotonic()
            worker = subprocess.Popen(command, stdout=sink, text=True)
            try:
                peak, cpu = watched(worker)
            finally:
                end(worker)
            seconds = time.monotonic() - started
        results = map(orjson.loads, printed.read_bytes().splitlines())
        failures = tuple(result["failure"]["message"] for result in results if result["status"] != "passed")
        return Run(peak, seconds, cpu, failures)


def watched(worker: subprocess.Popen[str]) -> tuple[Size, float]:
    """The largest sizes, and CPU as of the last look."""
    peak, cpu = Size(), 0.0
    while worker.poll() is None:
        now = family_size(worker.pid)
        peak = Size(max(peak.pss, now.pss), max(peak.anonymous, now.anonymous))
        cpu = max(cpu, cpu_seconds(worker.pid))
        time.sleep(LOOK_EVERY)
    return peak, cpu


@contextmanager
def file_server(folder: str) -> Iterator[str]:
    """The URL under which the files of *folder* are served."""
    server = (sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", folder, "0")
    with process(*server) as (_, told):
        yield f"http://127.0.0.1:{told.split(' port ')[1].split()[0]}"


def report(what: str, runs: list[Run]) -> None:
    print(
        f"{what}: at most {max(run.peak.pss for run in runs) / MEBIBYTE:.0f} MiB PSS,"
        f" {max(run.peak.anonymous for run in runs) / MEBIBYTE:.0f} of them anonymous;"
        f" {statistics.median(run.seconds for run in runs):.1f} s,"
        f" {statistics.median(run.cpu_seconds for run in runs):.1f} s of CPU",
        flush=True,
    )
    for run in runs:
        if run.failures:
            print(f"  not for quoting: {len(run.failures)} tests failed in one run: {run.failures[0]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    rounds = range(parser.parse_args().rounds)
    with process(sys.executable, "-m", "benchmarks.target") as (_, port):
        small = tests(f"http://127.0.0.1:{port}/", SMALL)
        report(f"{SMALL} small tests with a pattern", [checked(small) for _ in rounds])
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "large").write_bytes(LARGE_BODY)
        with file_server(folder) as url:
            large = tests(f"{url}/large", LARGE)
            report(f"{LARGE} bodies of 4.8 MB with a pattern", [checked(large) for _ in rounds])


if __name__ == "__main__":
    main()
