"""What the filter of system calls costs an evaluator: `python -m benchmarks.filter` prints CPU per test with it and without.

Six assertions a test, as in `benchmarks.verdicts`. Two pools stand side by side and take turns, so that whatever else the machine
does meets both. Of each pool's turns the cheapest quarter counts, at its upper end: what disturbs a turn only makes it dearer.
CPU is that of the evaluators alone, by the scheduler's own account.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import psutil
import uvloop

from benchmarks.verdicts import ASSERTIONS, SIZES, observation_of
from tests.support.observed import LIMITS
from tests.support.waiting import until
from worker.apitest.observation import Observation
from worker.clock import SystemClock
from worker.evaluators.pool import SPARES, Evaluators

FILTERED, UNFILTERED = "worker.evaluators.evaluator", "benchmarks.unfiltered"
TURN_SECONDS = 0.1


class Pool:
    """One evaluator and its spare, both warm, and the processes that they are."""

    def __init__(self, program: str) -> None:
        self.evaluators = Evaluators(1, replace(LIMITS, pattern_seconds=2.0), SystemClock(), program=program)
        self._keys = map(str, count())
        self._processes: list[psutil.Process] = []

    async def start(self) -> None:
        before = psutil.Process().children()
        await self.evaluators.__aenter__()
        await until(lambda: self.evaluators.idle == 1 + SPARES, seconds=60)
        self._processes = [process for process in psutil.Process().children() if process not in before]

    async def turn(self, observation: Observation) -> float:
        """Milliseconds of CPU for each test, one test after another for TURN_SECONDS."""
        done, began, used = 0, time.perf_counter(), self._cpu_ns()
        while time.perf_counter() < began + TURN_SECONDS or not done:
            evaluation = await self.evaluators.evaluate(next(self._keys), ASSERTIONS, observation)
            assert all(result.valid for result in evaluation.results)
            done += 1
        return (self._cpu_ns() - used) / done / 1e6

    def _cpu_ns(self) -> int:
        return sum(int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) for process in self._processes)


async def compare(rounds: int) -> None:
    filtered, unfiltered = Pool(FILTERED), Pool(UNFILTERED)
    await filtered.start()
    await unfiltered.start()
    print(f"{'body':8}{'without, CPU ms':>18}{'with, CPU ms':>16}{'ratio':>8}")
    for name in ("1 kB", "10 kB", "100 kB"):
        observation = observation_of(SIZES[name])
        pairs = [await pair(filtered, unfiltered, observation, swapped=bool(turn % 2)) for turn in range(rounds + 1)][
            1:
        ]
        with_it, without = (statistics.quantiles(column, n=4)[0] for column in zip(*pairs, strict=True))
        print(f"{name:8}{without:>18.4f}{with_it:>16.4f}{with_it / without:>8.3f}", flush=True)
    for pool in (filtered, unfiltered):
        await pool.evaluators.__aexit__(None, None, None)


async def pair(filtered: Pool, unfiltered: Pool, observation: Observation, *, swapped: bool) -> tuple[float, float]:
    if swapped:
        base = await unfiltered.turn(observation)
        return await filtered.turn(observation), base
    cost = await filtered.turn(observation)
    return cost, await unfiltered.turn(observation)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    uvloop.run(compare(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
