"""CPU per whole HTTP job, beside prometheus-blackbox-exporter's CPU per probe of the same target in the same run.

`python -m benchmarks.http_jobs [--rate 200] [--seconds 10] [--rounds 3]`. A job is everything: pull, open, run, judge, seal,
push, with the worker's evaluators counted; the feeding control plane, the target and the driver of the exporter are processes
of their own and are not. Exporter and worker take turns within a round; the figures are medians over rounds, with the ratio
round by round.

By name, the two do not do the same: the worker asks a name server on loopback over UDP, each run anew; the exporter is given
`localhost`, which the system's resolver answers from a file. Their ratio is a hint and no more.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import uvloop

from benchmarks.exporter import PROGRAM, drive, exporter
from benchmarks.fed_worker import definition, fed_worker
from benchmarks.processes import cpu_seconds, need, process

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
NAME = "target.example.org"
PEERS = {"plain": "exporter", "with a body pattern": "exporter", "plain by name": "exporter by name"}
"""What of the worker is compared with what of the exporter."""
SETTLE = 3.0
"""Seconds before counting: caches are warm, evaluators are up."""


def measure_exporter(target: str, rate: float, seconds: float) -> float:
    """CPU microseconds a probe."""
    with exporter() as (pid, port):
        uvloop.run(drive(port, [target] * round(rate * SETTLE), rate))
        before = cpu_seconds(pid)
        replies = uvloop.run(drive(port, [target] * round(rate * seconds), rate))
        used = cpu_seconds(pid) - before
    succeeded = sum(map(bool, replies))
    if succeeded < 0.99 * len(replies):
        raise SystemExit(f"the exporter's probes failed: {succeeded} of {len(replies)} succeeded")
    return used / succeeded * 1e6


def measure_worker(tests: Sequence[dict[str, Any]], rate: float, seconds: float, flags: Sequence[str] = ()) -> float:
    """CPU microseconds a job."""
    with fed_worker(tests, rate, "--concurrency=50", "--maxNumberMessagesToFetch=50", *flags) as worker:
        worker.wait_for("passed")
        time.sleep(SETTLE)
        before, counts_before, started = cpu_seconds(worker.pid), worker.counts(), time.monotonic()
        time.sleep(seconds)
        used, counts_after = cpu_seconds(worker.pid) - before, worker.counts()
        passed = time.monotonic() - started
    done = counts_after["passed"] - counts_before["passed"]
    if counts_after.get("failed"):
        raise SystemExit(f"jobs failed: {counts_after}")
    if done < rate * (passed - 1.5):  # pulls come a second apart, and bring a second's jobs
        raise SystemExit(f"{done / passed:.0f} jobs a second were run, and not {rate:.0f}")
    return used / done * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    need(PROGRAM, PROGRAM)
    found: dict[str, list[float]] = {}
    names = process(sys.executable, "-m", "benchmarks.names")
    with process(sys.executable, "-m", "benchmarks.target") as (_, port), names as (_, names_port):
        for number in range(arguments.rounds):
            line = one_round(port, names_port, arguments.rate, arguments.seconds)
            for what, microseconds in line.items():
                found.setdefault(what, []).append(microseconds)
            print(
                f"round {number + 1}: " + ", ".join(f"{what} {used:.0f} µs" for what, used in line.items()), flush=True
            )
    for what, peer in PEERS.items():
        ours, theirs = found[what], found[peer]
        ratio = statistics.median(our / their for our, their in zip(ours, theirs, strict=True))
        print(
            f"{what}: worker {statistics.median(ours):.0f} µs a job, exporter {statistics.median(theirs):.0f} µs a probe,"
            f" ratio {ratio:.2f}"
        )


def one_round(port: str, names_port: str, rate: float, seconds: float) -> dict[str, float]:
    """CPU microseconds by what was measured."""
    by_address, by_name = f"http://127.0.0.1:{port}/health", f"http://{NAME}:{port}/health"
    resolved = [f"--dnsServer=127.0.0.1:{names_port}"]
    return {
        "exporter": measure_exporter(by_address, rate, seconds),
        "plain": measure_worker([definition(by_address, PLAIN)], rate, seconds),
        "with a body pattern": measure_worker([definition(by_address, PATTERN)], rate, seconds),
        "exporter by name": measure_exporter(f"http://localhost:{port}/health", rate, seconds),
        "plain by name": measure_worker([definition(by_name, PLAIN)], rate, seconds, resolved),
    }


if __name__ == "__main__":
    main()
