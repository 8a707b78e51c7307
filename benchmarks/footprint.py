"""Memory and start: `python -m benchmarks.footprint [--rounds 5]`.

Of a real worker beside a feeding control plane: from the start of the process to the arrival of its first pull, the
proportional set size of worker and evaluators at rest, and what 500 jobs in flight add to it, each on a connection that a
slow target holds. Medians over rounds, each a worker of its own.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from benchmarks.fed_worker import FedWorker, definition, fed_worker
from benchmarks.processes import process, pss_bytes

SLOTS = 500
REST = 4.0
"""Seconds after the first pull until the worker is looked at: the evaluators are up and have warmed up."""
HELD = 40.0
"""Seconds for which the slow target holds a connection: longer than a round."""
ASSERTIONS = ({"type": "statusCode", "operator": "is", "target": 200},)


def start_ms(worker: FedWorker) -> float:
    worker.wait_for("pulls")
    return (worker.counts()["first_pull_ns"] - worker.started_ns) / 1e6


def at_rest() -> tuple[float, int]:
    """Milliseconds to the first pull, and bytes at rest, of a worker that gets no jobs."""
    with fed_worker([definition("http://127.0.0.1:9/", ASSERTIONS)], 0) as worker:
        started = start_ms(worker)
        time.sleep(REST)
        return started, pss_bytes(worker.pid)


def busy(port: str) -> int:
    """Bytes of a worker with SLOTS jobs in flight."""
    test = definition(f"http://127.0.0.1:{port}/", ASSERTIONS, timeout=2 * HELD)
    flags = (f"--concurrency={SLOTS}", f"--maxNumberMessagesToFetch={SLOTS}", f"--maxTimeout={2 * HELD * 1000:.0f}")
    with fed_worker([test], SLOTS, *flags, "--drainTimeout=0") as worker:
        worker.wait_for("pulls")
        time.sleep(REST + 1)
        held = worker.counts()["handed_out"]
        if held != SLOTS:
            raise SystemExit(f"{held} jobs are in flight and not {SLOTS}")
        return pss_bytes(worker.pid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rests = [at_rest() for _ in range(arguments.rounds)]
    print(
        f"start to first pull: median {statistics.median(ms for ms, _ in rests):.0f} ms"
        f" ({min(ms for ms, _ in rests):.0f} to {max(ms for ms, _ in rests):.0f})"
    )
    print(f"at rest, worker and evaluators: {statistics.median(size for _, size in rests) / 1e6:.1f} MB PSS")
    with process(sys.executable, "-m", "benchmarks.target", f"--delay={HELD}") as (_, port):
        jobs = [(busy(port) - size) / SLOTS for _, size in rests]
    print(f"a job in flight, {SLOTS} at once: median {statistics.median(jobs) / 1e3:.1f} kB PSS")


if __name__ == "__main__":
    main()
