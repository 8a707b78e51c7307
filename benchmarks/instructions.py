"""Instructions per whole HTTP job, counted by valgrind's callgrind in the worker's own process, its evaluators left out.

`python -m benchmarks.instructions [--against CHECKOUT] [--seconds 20]`. The worker runs twice for equally long, with few jobs and
with many; the difference divided by the jobs is what one job costs, for whatever passes by the clock is in both. Instructions
are repeatable where a clock is not: with --against, the same is counted for the worker of another checkout, and the ratio is
printed. The start is what a worker needs until its first pull, and a drain.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.fed_worker import definition, fed_worker
from benchmarks.http_jobs import PLAIN
from benchmarks.processes import need, process

RATES = (1.0, 15.0)
"""Jobs a second: under valgrind a job takes fifty times as long as it does."""


def count(tests: Sequence[dict[str, Any]], rate: float, seconds: float, checkout: Path | None) -> tuple[int, int]:
    """Instructions of a whole worker that served *seconds* after its first job, and the jobs that it ran."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "callgrind.out")
        under = ("valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={found}")
        with fed_worker(tests, rate, "--concurrency=50", under=under, checkout=checkout) as worker:
            worker.wait_for("passed", seconds=180)
            time.sleep(seconds)
            jobs = worker.counts()["passed"]
        totals = re.search(r"^(?:summary|totals): (\d+)", found.read_text(errors="replace"), re.MULTILINE)
    if totals is None:
        raise SystemExit("callgrind counted nothing")
    return int(totals.group(1)), jobs


def per_job(tests: Sequence[dict[str, Any]], seconds: float, checkout: Path | None) -> float:
    """Instructions that one job costs."""
    few, many = (count(tests, rate, seconds, checkout) for rate in RATES)
    return (many[0] - few[0]) / (many[1] - few[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="another checkout of this project")
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    need("valgrind", "valgrind")
    with process(sys.executable, "-m", "benchmarks.target") as (_, port):
        tests = [definition(f"http://127.0.0.1:{port}/health", PLAIN, timeout=30)]
        ours = per_job(tests, arguments.seconds, None)
        print(f"plain HTTP job: {ours / 1e6:.2f} million instructions", flush=True)
        if arguments.against is not None:
            theirs = per_job(tests, arguments.seconds, arguments.against.resolve())
            print(f"the same in {arguments.against.name}: {theirs / 1e6:.2f} million, ratio {ours / theirs:.3f}")


if __name__ == "__main__":
    main()
