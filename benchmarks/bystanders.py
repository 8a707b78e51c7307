"""What hostile assertions of one author cost the timings of the others: `python -m benchmarks.bystanders`.

A worker with default options runs honest tests of a target that answers after 50 ms; then the same, with an endlessly
backtracking pattern in every tenth test: more than the evaluators can do. Printed is the error of the honest tests' first byte
(measured, less the target's own truth) without and with the attack, taking turns, as medians over rounds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from benchmarks.fed_worker import definition, fed_worker
from benchmarks.processes import process
from benchmarks.timing import ASSERTIONS, DELAY, SETTLE, Errors

RATE = 30.0
HOSTILE = ({"type": "body", "operator": "matches", "target": "(?:.+)+!"},)
"""Exponential on the target's 91 characters; three a second take more processor time than two evaluators have."""


def errors_of_honest(port: str, seconds: float, *, attacked: bool) -> tuple[Errors, int]:
    """The errors, and how many attacks ended meanwhile."""
    url = f"http://127.0.0.1:{port}/health"
    honest = definition(url, ASSERTIONS)
    hostile = definition(url, HOSTILE) | {"public_id": "bad-bad-bad"}
    tests = [honest] * 9 + [hostile if attacked else honest]
    with fed_worker(tests, RATE) as worker:
        worker.wait_for("passed")
        time.sleep(SETTLE)
        worker.outcomes()
        time.sleep(seconds)
        outcomes = worker.outcomes()
    errors = [
        outcome["timings"]["firstByte"] - float(headers["x-first-byte-us"]) / 1000
        for outcome in outcomes
        if outcome["failure"] is None
        and (headers := {name.lower(): value for name, value in outcome["response"]["headers"].items()})
    ]
    return Errors(values=tuple(sorted(errors))), sum(outcome["failure"] is not None for outcome in outcomes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rounds: list[tuple[Errors, Errors]] = []
    with process(sys.executable, "-m", "benchmarks.target", f"--delay={DELAY}") as (_, port):
        for number in range(arguments.rounds):
            calm, _ = errors_of_honest(port, arguments.seconds, attacked=False)
            stormy, attacks = errors_of_honest(port, arguments.seconds, attacked=True)
            rounds.append((calm, stormy))
            print(
                f"round {number + 1}: calm p50 {calm.at(50):.2f} p99 {calm.at(99):.2f} ms;"
                f" under {attacks} attacks p50 {stormy.at(50):.2f} p99 {stormy.at(99):.2f} ms",
                flush=True,
            )
    for percent in (50, 99):
        calm_ms, stormy_ms = (statistics.median(pair[which].at(percent) for pair in rounds) for which in (0, 1))
        print(f"median p{percent}: {calm_ms:.2f} ms calm, {stormy_ms:.2f} ms attacked")


if __name__ == "__main__":
    main()
