"""The cost of verdicts: `python -m benchmarks.verdicts` prints tests/s and CPU per test, and the loop's lag under attack.

Six assertions a test (contains, two patterns, two JSONPaths, a JSON Schema) on JSON bodies of four sizes. "In place" is the
same function called in this process, one test after another: what judging costs, and what would block the event loop. "Evaluator"
is one test after another through a pool, of which "loop ms" is this process's part; "pool" is four at once. CPU is that of this
process and its children. Lag is how late a timer of 5 ms fires while the attacks of tests/vectors go through the pool.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import count

import orjson
import psutil
import uvloop

from tests.support.observed import LIMITS
from tests.vectors.hostile_assertions import ATTACKS
from worker.apitest.assertion import (
    Assertion,
    Comparison,
    JSONPathAssertion,
    JSONSchemaAssertion,
    Operator,
    Subject,
)
from worker.apitest.observation import Observation
from worker.apitest.responses.http import HTTPResponse
from worker.checks.evaluate import evaluate
from worker.checks.evidence import AssertionLimits, Evidence
from worker.clock import SystemClock
from worker.evaluators.pool import Evaluators
from worker.outcome.phases import Timings

SIZES = {"1 kB": 1_000, "10 kB": 10_000, "100 kB": 100_000, "5 MB": 4_950_000}
ROUNDS = 5
"""Medians of so many rounds: one that was disturbed does not move them."""
ROUND_SECONDS = 0.6
SIZE = 2
"""Evaluators, the option's default."""
ATTACKERS = 8
"""Attacks under way at once: the default concurrency, less two slots for well-behaved tests."""

SCHEMA = (
    '{"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "items": {"type": "object",'
    ' "required": ["id", "name"], "properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}}}}'
)
ASSERTIONS: tuple[Assertion, ...] = (
    Comparison(subject=Subject.BODY, operator=Operator.CONTAINS, target='"status":"ok"'),
    Comparison(subject=Subject.BODY, operator=Operator.MATCHES, target=r'"name":"item \d+"'),
    Comparison(subject=Subject.BODY, operator=Operator.DOES_NOT_MATCH, target=r"[Ee]rror \d{3}:"),
    JSONPathAssertion(path="$.items[0].id", operator=Operator.IS, target=0),
    JSONPathAssertion(path="$.items[?(@.id == 1)].name", operator=Operator.CONTAINS, target="item"),
    JSONSchemaAssertion(schema=SCHEMA),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Medians over rounds."""

    tests_per_second: float
    cpu_ms: float
    own_cpu_ms: float


def observation_of(size: int) -> Observation:
    """A response with a JSON body of *size* bytes, give or take an item."""

    def item(number: int) -> dict[str, object]:
        return {"id": number, "name": f"item {number}", "tags": ["a", "b"], "price": 12.5}

    items = [item(number) for number in range(max(2, size // (len(orjson.dumps(item(size // 60))) + 1)))]
    body = orjson.dumps({"status": "ok", "items": items})
    headers = (("content-type", "application/json"), ("server", "benchmark"), ("content-length", str(len(body))))
    response = HTTPResponse(url="http://127.0.0.1/", status=200, http_version="1.1", headers=headers, body=body)
    return Observation(timings=Timings((("tcp", 3), ("firstByte", 20), ("download", 4))), response=response)


def cpu_seconds(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


async def measured(run: Callable[[], Awaitable[None]], at_once: int) -> Cost:
    """*run* judges one test; *at_once* of them go on together until the round is over. The first round warms up."""
    rounds = [await one_round(run, at_once) for _ in range(ROUNDS + 1)]
    tests, cpu_ms, own_ms = (statistics.median(column) for column in zip(*rounds[1:], strict=True))
    return Cost(tests_per_second=tests, cpu_ms=cpu_ms, own_cpu_ms=own_ms)


async def one_round(run: Callable[[], Awaitable[None]], at_once: int) -> tuple[float, float, float]:
    done = 0
    children = psutil.Process().children()
    cpu, own, began = cpu_seconds(children), time.process_time(), time.perf_counter()

    async def work() -> None:
        nonlocal done
        while time.perf_counter() < began + ROUND_SECONDS:
            await run()
            done += 1

    await asyncio.gather(*(work() for _ in range(at_once)))
    took, own = time.perf_counter() - began, time.process_time() - own
    cpu = cpu_seconds(children) - cpu + own
    return done / took, cpu / done * 1000, own / done * 1000


async def costs() -> None:
    """One line for each size of body."""
    limits = replace(LIMITS, pattern_seconds=2.0)
    print(f"{'':8}{'in place':>22}{'evaluator':>32}{f'pool of {SIZE}':>22}{'ratio':>8}")
    print(f"{'':8}" + f"{'tests/s':>11}{'CPU ms':>11}" * 2 + f"{'loop ms':>10}{'tests/s':>11}{'CPU ms':>11}{'CPU':>8}")
    async with Evaluators(SIZE, limits, SystemClock()) as pool:
        for name, size in SIZES.items():
            await cost_of(name, observation_of(size), pool, limits)


async def cost_of(name: str, observation: Observation, pool: Evaluators, limits: AssertionLimits) -> None:
    keys = map(str, count())

    async def in_place() -> None:
        evidence = Evidence(observation, limits)
        assert all(evaluate(assertion, evidence).valid for assertion in ASSERTIONS)

    async def in_pool() -> None:
        evaluation = await pool.evaluate(next(keys), ASSERTIONS, observation)
        assert all(result.valid for result in evaluation.results)

    here, one, many = await measured(in_place, 1), await measured(in_pool, 1), await measured(in_pool, 2 * SIZE)
    print(
        f"{name:8}{here.tests_per_second:>11.1f}{here.cpu_ms:>11.3f}{one.tests_per_second:>11.1f}{one.cpu_ms:>11.3f}"
        f"{one.own_cpu_ms:>10.3f}{many.tests_per_second:>11.1f}{many.cpu_ms:>11.3f}{one.cpu_ms / here.cpu_ms:>8.2f}"
    )


class Siege:
    """Attackers, a well-behaved test and a clock, all on one event loop for so many *seconds*."""

    def __init__(self, pool: Evaluators, attackers: int, seconds: float) -> None:
        self._seconds = seconds
        self._pool = pool
        self._attackers = attackers
        self._attacks = 0
        self._lags: list[float] = []
        self._waits: list[float] = []
        self._observation = observation_of(1_000)
        self._prepared = [(attack.assertion, attack.observation()) for attack in ATTACKS] if attackers else []
        self._end = 0.0

    async def run(self) -> None:
        killed = self._pool.killed
        self._end = time.perf_counter() + self._seconds
        await asyncio.gather(self._tick(), self._bystand(), *map(self._attack, range(self._attackers)))
        lags, waits = self._lags, self._waits
        print(
            f"{self._attackers} attackers, {self._attacks} attacks, {self._pool.killed - killed} evaluators ended: "
            f"loop lag p50 {at(lags, 50):.2f} p99 {at(lags, 99):.2f} max {max(lags):.1f} ms; "
            f"{len(waits)} well-behaved tests p50 {at(waits, 50):.1f} p99 {at(waits, 99):.0f} max {max(waits):.0f} ms"
        )

    async def _tick(self) -> None:
        while time.perf_counter() < self._end:
            due = time.perf_counter() + 0.005
            await asyncio.sleep(0.005)
            self._lags.append((time.perf_counter() - due) * 1000)

    async def _bystand(self) -> None:
        while time.perf_counter() < self._end:
            began = time.perf_counter()
            evaluation = await self._pool.evaluate("bystander", ASSERTIONS, self._observation)
            assert all(result.valid for result in evaluation.results)
            self._waits.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.02)

    async def _attack(self, number: int) -> None:
        turn = number
        while time.perf_counter() < self._end:
            assertion, observation = self._prepared[turn * 7 % len(self._prepared)]
            await self._pool.evaluate(f"attack {number}", (assertion,) * 3, observation)
            self._attacks += 3
            turn += self._attackers


async def attacked(seconds: float) -> None:
    async with Evaluators(SIZE, LIMITS, SystemClock()) as pool:
        await pool.evaluate("warm", ASSERTIONS, observation_of(1_000))
        for attackers in (0, ATTACKERS):
            await Siege(pool, attackers, seconds).run()


def at(values: list[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


async def everything(attack_seconds: float) -> None:
    load = os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, load {load:.1f} before")
    await costs()
    await attacked(attack_seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attack-seconds", type=float, default=12.0)
    uvloop.run(everything(parser.parse_args().attack_seconds))


if __name__ == "__main__":
    main()
