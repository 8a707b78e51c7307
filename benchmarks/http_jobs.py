"""CPU per whole HTTP job, beside prometheus-blackbox-exporter's CPU per probe of the same target in the same run.

`python -m benchmarks.http_jobs [--rate N] [--seconds N] [--rounds N]`. A job is everything: pull, open, run, judge, seal, push,
with the worker's evaluators counted; the feeding control plane, the target and the driver of the exporter are processes of their
own and are not. Exporter and worker take turns within a round; the figures are medians, with the ratio round by round.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from benchmarks.processes import cpu_seconds, end

EXPORTER = "prometheus-blackbox-exporter"
MODULE = """modules:
  http:
    prober: http
    timeout: 5s
    http:
      preferred_ip_protocol: ip4
      fail_if_body_not_matches_regexp: ['"status":\\s*"ok"']
"""
PLAIN = (
    {"type": "statusCode", "operator": "is", "target": 200},
    {"type": "header", "property": "content-type", "operator": "contains", "target": "application/json"},
    {"type": "body", "operator": "contains", "target": '"status":"ok"'},
    {
        "type": "body",
        "operator": "validatesJSONPath",
        "target": {"jsonPath": "$.items[1].name", "operator": "is", "targetValue": "second"},
    },
)
PATTERN = (*PLAIN, {"type": "body", "operator": "matches", "target": '"status":\\s*"ok"'})
SETTLE = 3.0
"""Seconds before counting: caches are warm, evaluators are up."""


def definition(url: str, assertions: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": "benchmark",
        "public_id": "abc-def-ghi",
        "type": "api",
        "subtype": "http",
        "config": {"request": {"method": "GET", "url": url, "timeout": 5}, "assertions": list(assertions)},
        "options": {"tick_every": 60},
        "message": "",
        "locations": [],
    }


@contextmanager
def process(*command: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process of ours, and the first line that it says."""
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert started.stdout is not None
        yield started, started.stdout.readline().strip()
    finally:
        end(started)


async def drive_exporter(port: int, target: str, rate: float, seconds: float) -> int:
    """Ask for probes at a steady rate; returns how many succeeded."""
    succeeded = 0

    async def one(session: aiohttp.ClientSession) -> None:
        nonlocal succeeded
        async with session.get(f"http://127.0.0.1:{port}/probe", params={"module": "http", "target": target}) as reply:
            succeeded += b"probe_success 1" in await reply.read()

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        started = time.monotonic()
        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
            group.create_task(one(session))
    return succeeded


def measure_exporter(target: str, rate: float, seconds: float) -> float:
    """CPU microseconds a probe."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "blackbox.yml")
        config.write_text(MODULE)
        port = free_port()
        command = (EXPORTER, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error")
        exporter = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        try:
            wait_for_port(port)
            asyncio.run(drive_exporter(port, target, rate, SETTLE))
            before = cpu_seconds(exporter.pid)
            succeeded = asyncio.run(drive_exporter(port, target, rate, seconds))
            used = cpu_seconds(exporter.pid) - before
        finally:
            end(exporter)
    if succeeded < rate * seconds * 0.99:
        raise SystemExit(f"the exporter's probes failed: {succeeded} of {rate * seconds:.0f}")
    return used / succeeded * 1e6


def measure_worker(
    tests: Sequence[dict[str, Any]], rate: float, seconds: float, flags: Sequence[str] = ()
) -> tuple[float, float]:
    """CPU microseconds a job, and the jobs a second that were really run."""
    with tempfile.TemporaryDirectory() as folder:
        config, definitions = Path(folder, "worker.json"), Path(folder, "tests.json")
        definitions.write_bytes(orjson.dumps(list(tests)))
        feeder = (sys.executable, "-m", "benchmarks.feeder", f"--config={config}", f"--definitions={definitions}")
        with process(*feeder, f"--rate={rate}") as (_, url):
            command = (
                sys.executable,
                "-m",
                "worker",
                f"--config={config}",
                "--concurrency=50",
                "--maxNumberMessagesToFetch=50",
                "--whitelistedRange.4=127.0.0.1/32",
                f"--livenessFile={folder}/liveness",
                "-v",
                *flags,
            )
            worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, text=True)
            try:
                wait_for_pulls(url)
                time.sleep(SETTLE)
                before, counts_before, started = cpu_seconds(worker.pid), counts(url), time.monotonic()
                time.sleep(seconds)
                used, counts_after = cpu_seconds(worker.pid) - before, counts(url)
                passed = time.monotonic() - started
            finally:
                end(worker)
    done = counts_after["passed"] - counts_before.get("passed", 0)
    if counts_after.get("failed"):
        raise SystemExit(f"jobs failed: {counts_after}")
    return used / done * 1e6, done / passed


def counts(url: str) -> dict[str, int]:
    async def ask() -> dict[str, int]:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/counts") as reply:
            answer: dict[str, int] = await reply.json()
            return answer

    return asyncio.run(ask())


def wait_for_pulls(url: str) -> None:
    for _ in range(200):
        if counts(url).get("passed"):
            return
        time.sleep(0.1)
    raise SystemExit("the worker does not run jobs")


def free_port() -> int:
    import socket  # noqa: PLC0415  # only here

    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    import socket  # noqa: PLC0415

    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"nothing listens on port {port}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if shutil.which(EXPORTER) is None:
        raise SystemExit(f"{EXPORTER} is not installed: apt-get install {EXPORTER}")
    rows: list[tuple[float, float, float, float]] = []
    with process(sys.executable, "-m", "benchmarks.target") as (_, port):
        url = f"http://127.0.0.1:{port}/health"
        for number in range(arguments.rounds):
            exporter = measure_exporter(url, arguments.rate, arguments.seconds)
            plain, rate = measure_worker([definition(url, PLAIN)], arguments.rate, arguments.seconds)
            pattern, _ = measure_worker([definition(url, PATTERN)], arguments.rate, arguments.seconds)
            rows.append((exporter, plain, pattern, rate))
            print(
                f"round {number + 1}: exporter {exporter:.0f} µs a probe; worker {plain:.0f} µs a job"
                f" ({plain / exporter:.2f}), with a pattern {pattern:.0f} µs ({pattern / exporter:.2f}); {rate:.0f} jobs/s",
                flush=True,
            )
    print(
        f"median: exporter {statistics.median(r[0] for r in rows):.0f} µs,"
        f" worker {statistics.median(r[1] for r in rows):.0f} µs"
        f" (ratio {statistics.median(r[1] / r[0] for r in rows):.2f}),"
        f" with a body pattern {statistics.median(r[2] for r in rows):.0f} µs"
        f" (ratio {statistics.median(r[2] / r[0] for r in rows):.2f})"
    )


if __name__ == "__main__":
    main()
