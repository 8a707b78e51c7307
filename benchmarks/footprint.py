"""Memory and start: `python -m benchmarks.footprint [--rounds 3] [--starts 9]`.

Of a real worker beside a feeding control plane, a new one each time:

- from the start of the process to the arrival of its first pull;
- at rest, with default options and nothing but a pull a second: the proportional set size of each process, the anonymous part
  of it, and CPU;
- what a job in flight adds to the worker's own process: its anonymous size with 500 jobs, each on a connection that a slow
  target holds, less that before, with one small job a second. The same process, so that nothing of its start is counted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import dataclass

from benchmarks.fed_worker import FedWorker, definition, fed_worker
from benchmarks.processes import Size, cpu_seconds, family, process, size

SLOTS = 500
ASSERTIONS = ({"type": "statusCode", "operator": "is", "target": 200},)
IDLE = (definition("http://127.0.0.1:9/", ASSERTIONS),)
HELD = 60.0
"""Seconds for which the slow target holds a connection: longer than a round."""
LOOKS_APART = 0.5
STILL = 64 * 1024
"""Bytes by which what is settled may still change from one look to the next."""
LOOKS = 60
REST = 5.0
"""Seconds over which CPU at rest is counted."""
MEBIBYTE = 1024**2


@dataclass(frozen=True, slots=True)
class Rest:
    """*evaluators* are the sizes of their processes, the spare's among them; *server* is the one that they are forked from.

    *cpu_share* is of one core, all processes.
    """

    worker: Size
    server: Size
    evaluators: tuple[Size, ...]
    cpu_share: float


def start_ms() -> float:
    with fed_worker(IDLE, 0, "--drainTimeout=0") as worker:
        worker.wait_for("pulls")
        return (worker.counts()["first_pull_ns"] - worker.started_ns) / 1e6


def settled(pid: int) -> dict[int, Size]:
    """The size of each process of *pid*'s family, once their number is final and none changes any more."""
    sizes: dict[int, Size] = {}
    for _ in range(LOOKS):
        time.sleep(LOOKS_APART)
        before, sizes = sizes, {member: size(member) for member in family(pid)}
        if sizes.keys() == before.keys() and all(
            abs(now.anonymous - before[member].anonymous) < STILL for member, now in sizes.items()
        ):
            return sizes
    raise SystemExit(f"the worker does not come to rest: {sizes}")


def at_rest() -> Rest:
    """A worker that gets no jobs."""
    with fed_worker(IDLE, 0) as worker:
        worker.wait_for("pulls")
        time.sleep(2)  # the evaluators start one after another
        sizes = settled(worker.pid)
        before = cpu_seconds(worker.pid)
        time.sleep(REST)
        cpu_share = (cpu_seconds(worker.pid) - before) / REST
        own, server, *evaluators = sizes.values()  # each process before those that it or its parent started later
        return Rest(own, server, tuple(evaluators), cpu_share)


def bytes_per_job(fast: str, slow: str) -> float:
    """*fast* and *slow* are the ports of two targets."""
    ports = (fast, slow)
    tests = [definition(f"http://127.0.0.1:{port}/", ASSERTIONS, timeout=2 * HELD) for port in ports]
    room = SLOTS + 10
    flags = (f"--concurrency={room}", f"--maxNumberMessagesToFetch={room}", f"--maxTimeout={2 * HELD * 1000:.0f}")
    with fed_worker(tests, 1, *flags, "--drainTimeout=0", seats=[0]) as worker:
        worker.wait_for("passed")
        time.sleep(2)
        before = settled(worker.pid)[worker.pid].anonymous
        worker.seat([SLOTS])
        wait_for_seats(worker)
        return (settled(worker.pid)[worker.pid].anonymous - before) / SLOTS


def wait_for_seats(worker: FedWorker) -> None:
    for _ in range(100):
        if worker.seated() == [SLOTS]:
            return
        time.sleep(0.1)
    raise SystemExit(f"{worker.seated()} jobs are in flight and not {SLOTS}")


def median(values: list[float], form: str) -> str:
    spread = f" ({min(values):{form}} to {max(values):{form}})" if len(values) > 1 else ""
    return f"{statistics.median(values):{form}}{spread}"


def show(what: str, sizes: list[Size]) -> None:
    pss = median([each.pss / MEBIBYTE for each in sizes], ".1f")
    print(f"  {what}: {pss}; {median([each.anonymous / MEBIBYTE for each in sizes], '.1f')}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="workers that are looked at for their memory")
    parser.add_argument("--starts", type=int, default=9, help="workers that are started and no more")
    arguments = parser.parse_args()
    rounds = arguments.rounds
    print(f"start to first pull, ms: {median([start_ms() for _ in range(arguments.starts)], '.0f')}", flush=True)
    rests = [at_rest() for _ in range(rounds)]
    print("at rest, MiB PSS, and the anonymous part")
    show("worker", [rest.worker for rest in rests])
    show(
        f"each of {len(rests[0].evaluators)} evaluators, the spare included",
        [each for rest in rests for each in rest.evaluators],
    )
    show("the process that they are forked from", [rest.server for rest in rests])
    show("sum", [sum(rest.evaluators, rest.worker + rest.server) for rest in rests])
    print(f"at rest, CPU of one core: {statistics.mean(rest.cpu_share for rest in rests):.2%}")
    slow = (sys.executable, "-m", "benchmarks.target", f"--delay={HELD}")
    with process(sys.executable, "-m", "benchmarks.target") as (_, fast), process(*slow) as (_, held):
        jobs = [bytes_per_job(fast, held) / 1024 for _ in range(rounds)]
    print(f"a job in flight, {SLOTS} at once, KiB of the worker's own process: {median(jobs, '.1f')}")


if __name__ == "__main__":
    main()
