"""How wrong a measured first byte is, beside prometheus-blackbox-exporter: `python -m benchmarks.timing [--rates 100 400 1000]`.

The target answers after 50 ms and measures itself what passed between a request's arrival in its kernel and its answer, so
that its own lateness is charged to nobody. The error of a probe is its measured first byte less that truth: what is left is
loopback and the prober's lateness. The worker's figure is the phase `firstByte` of its results, the exporter's is
`processing`: both run from the connection being there to the first byte of the answer. Every probe is paired with its own
truth. The worker is a real process that pulls, runs, judges and pushes; the exporter is asked at a steady rate over open
connections. They take turns within a round; the figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
import uvloop

from benchmarks.exporter import PROGRAM, drive, exporter
from benchmarks.fed_worker import definition, fed_worker
from benchmarks.processes import need, process

DELAY = 0.05
SETTLE = 3.0
"""Seconds before counting: caches are warm, evaluators are up."""
HEADROOM = 1.2
"""Slots, in parts of a second's jobs: a pull a second brings them all, and each takes a twentieth of a second."""
ASSERTIONS = ({"type": "statusCode", "operator": "is", "target": 200},)
_PROCESSING = re.compile(rb'probe_http_duration_seconds\{phase="processing"\} (\S+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Milliseconds, sorted."""

    values: tuple[float, ...]

    def at(self, percent: int) -> float:
        return self.values[min(len(self.values) - 1, len(self.values) * percent // 100)]


def of_exporter(port: str, rate: float, seconds: float) -> Errors:
    base = f"http://127.0.0.1:{port}/health"
    with exporter() as (_, probes):
        uvloop.run(drive(probes, [base] * round(rate * SETTLE / 2), rate))
        targets = [f"{base}?n={number}" for number in range(round(rate * seconds))]
        replies = uvloop.run(drive(probes, targets, rate))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/truths", timeout=10) as reply:
        truths: dict[str, int] = orjson.loads(reply.read())
    if sum(map(bool, replies)) < 0.99 * len(replies):
        raise SystemExit(f"the exporter's probes failed: {sum(map(bool, replies))} of {len(replies)} succeeded")
    errors = []
    for number, reply_text in enumerate(replies):
        measured = _PROCESSING.search(reply_text)
        if measured is not None:
            errors.append(float(measured[1]) * 1000 - truths[str(number)] / 1000)
    return Errors(values=tuple(sorted(errors)))


def of_worker(port: str, rate: float, seconds: float) -> tuple[Errors, float, int]:
    """The errors, the jobs a second that were really run, and how many runs were marked unhealthy."""
    slots = round(rate * HEADROOM)
    flags = (f"--concurrency={slots}", f"--maxNumberMessagesToFetch={min(slots, 1000)}")
    test = definition(f"http://127.0.0.1:{port}/health", ASSERTIONS)
    with fed_worker([test], rate, *flags) as worker:
        worker.wait_for("passed")
        time.sleep(SETTLE)
        worker.outcomes()
        before, began = worker.counts(), time.monotonic()
        time.sleep(seconds)
        outcomes, after, passed = worker.outcomes(), worker.counts(), time.monotonic() - began
    if after.get("failed"):
        raise SystemExit(f"jobs failed: {after}")
    errors, unhealthy = [], 0
    for outcome in outcomes:
        headers = {name.lower(): value for name, value in outcome["response"]["headers"].items()}
        errors.append(outcome["timings"]["firstByte"] - float(headers["x-first-byte-us"]) / 1000)
        unhealthy += outcome["unhealthy"] is not None
    return Errors(values=tuple(sorted(errors))), (after["passed"] - before["passed"]) / passed, unhealthy


def compare(port: str, rate: float, seconds: float, rounds: int) -> None:
    ours: list[Errors] = []
    theirs: list[Errors] = []
    for number in range(rounds):
        theirs.append(of_exporter(port, rate, seconds))
        errors, done, unhealthy = of_worker(port, rate, seconds)
        ours.append(errors)
        print(
            f"  {rate:.0f}/s round {number + 1}: worker p50 {errors.at(50):.2f} p99 {errors.at(99):.2f} ms"
            f" ({done:.0f} jobs/s, {unhealthy} unhealthy);"
            f" exporter p50 {theirs[-1].at(50):.2f} p99 {theirs[-1].at(99):.2f} ms",
            flush=True,
        )
    print(f"{rate:.0f}/s median: worker {medians(ours)}; exporter {medians(theirs)}; p99 {ratio(ours, theirs):.2f}")


def medians(rounds: Sequence[Errors]) -> str:
    p50, p99 = (statistics.median(errors.at(percent) for errors in rounds) for percent in (50, 99))
    return f"p50 {p50:.2f} p99 {p99:.2f} ms"


def ratio(ours: Sequence[Errors], theirs: Sequence[Errors]) -> float:
    """The worker's p99 in parts of the exporter's, as the median of the rounds' ratios."""
    return statistics.median(our.at(99) / their.at(99) for our, their in zip(ours, theirs, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=float, nargs="+", default=[100.0, 400.0, 1000.0])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    need(PROGRAM, PROGRAM)
    with process(sys.executable, "-m", "benchmarks.target", f"--delay={DELAY}") as (_, port):
        for rate in arguments.rates:
            compare(port, rate, arguments.seconds, arguments.rounds)


if __name__ == "__main__":
    main()
