"""The cost of a script: `python -m benchmarks.script` prints CPU and time per test for JavaScript, beside a pattern.

Tests on the same body come one after another with a pause between them, as those of a location do, through a pool of the default
size. CPU is that of this process and its evaluators together, so that the context that is made ready in the pause counts. Time is
from the call to the result. Rounds take turns, so that a busy machine meets both.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import time
from collections.abc import Sequence

import psutil
import uvloop

from benchmarks.verdicts import SIZE, cpu_seconds, observation_of
from tests.support.observed import LIMITS
from worker.apitest.assertion import Assertion, Comparison, JavaScriptAssertion, Operator, Subject
from worker.clock import SystemClock
from worker.evaluators.pool import Evaluators

PAUSE_SECONDS = 0.05
BODY_BYTES = 1_000
SCRIPT = """
const body = JSON.parse(dd.response.body);
dd.expect(dd.response.statusCode).to.equal(200);
dd.expect(body).to.have.nested.property('items[0].name').that.matches(/^item/);
dd.assert.include(['ok', 'degraded'], body.status);
"""
COMPARED: dict[str, tuple[Assertion, ...]] = {
    "pattern": (Comparison(subject=Subject.BODY, operator=Operator.MATCHES, target=r'"status":"ok"'),),
    "script": (JavaScriptAssertion(code=SCRIPT),),
    "two scripts": (JavaScriptAssertion(code=SCRIPT),) * 2,
}


async def one_round(pool: Evaluators, assertions: Sequence[Assertion], tests: int) -> tuple[float, float]:
    """Milliseconds of CPU per test, and the median of a test's time."""
    observation, times = observation_of(BODY_BYTES), []
    children = psutil.Process().children()
    cpu, own = cpu_seconds(children), time.process_time()
    for _ in range(tests):
        began = time.perf_counter()
        evaluation = await pool.evaluate("a test", assertions, observation)
        times.append((time.perf_counter() - began) * 1000)
        assert all(result.valid for result in evaluation.results), evaluation.results
        await asyncio.sleep(PAUSE_SECONDS)
    cpu = cpu_seconds(children) - cpu + time.process_time() - own
    return cpu / tests * 1000, statistics.median(times)


async def compare(rounds: int, tests: int) -> None:
    async with Evaluators(SIZE, LIMITS, SystemClock()) as pool:
        for assertions in COMPARED.values():
            await one_round(pool, assertions, tests)
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in COMPARED}
        for _ in range(rounds):
            for name, assertions in COMPARED.items():
                measured[name].append(await one_round(pool, assertions, tests))
    for name, results in measured.items():
        cpu, took = (statistics.median(column) for column in zip(*results, strict=True))
        print(f"{name:12} {cpu:6.2f} ms of CPU per test, {took:6.2f} ms from call to result")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tests", type=int, default=50, help="of each kind in a round")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, load {load:.1f}")
    uvloop.run(compare(options.rounds, options.tests))


if __name__ == "__main__":
    main()
