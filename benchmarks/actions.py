"""Private actions: the time from a run's making to its stored result, beside a poll once a second; and a runner's CPU per action.

`python -m benchmarks.actions` makes runs one at a time through a control plane and an idle runner, first with the long poll, then
with pulls that do not wait. Then it has a runner of its own process carry out `http.request` at a rate, and looks at another one
that rests. Under two minutes; the control plane with many idle runners is `benchmarks.idle_runners`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import aiohttp
import psutil

from benchmarks.processes import family, size
from tests.support.programs import ControlPlane
from tests.support.runnerplane import RunnerPlane, played_runner, runner_plane
from tests.support.runnerprograms import RunnerProgram
from tests.support.servers.target import running_target
from worker.actionrunner import channel

SETTLE = 5.0
"""Seconds from a start to what counts as rest: files are read, keys are told, the second pull waits."""
_WISH = {
    "action": "http.request",
    "runner": "berlin",
    "connection": "crm",
    "input": {"verb": "GET", "url": "/v1/customers/7"},
}
IDLE = 0.05
"""Seconds between the end of a run and the next: the runner waits again by then."""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--polled-runs", type=int, default=20)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rest", type=float, default=20.0, help="seconds over which CPU at rest is counted")
    asked = parser.parse_args()
    _print("long poll", await _latencies(asked.runs))
    channel.LONGEST_POLL_MS = 0
    _print("a poll once a second", await _latencies(asked.polled_runs))
    await _cpu(asked.rate, asked.seconds)
    await _rest(asked.rest)


async def _latencies(count: int) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        async with runner_plane(Path(folder)) as plane:
            identity, _ = await plane.enrol()
            async with played_runner(plane, identity):
                await _one(plane)
                return [await _one(plane) for _ in range(count)]


async def _one(plane: RunnerPlane) -> float:
    """Milliseconds from the call that makes a run to the first sight of its stored result."""
    await asyncio.sleep(IDLE)
    began = time.perf_counter()
    made = await plane.order()
    await plane.ended(made.run.id)
    return (time.perf_counter() - began) * 1000


def _print(name: str, found: list[float]) -> None:
    print(
        f"run made → result stored, no-op, {name}: p50 {statistics.median(found):.1f} ms, "
        f"p99 {statistics.quantiles(found, n=100, method='inclusive')[98]:.1f} ms ({len(found)} runs)"
    )


async def _cpu(rate: float, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder, running_target() as target:
        plane = ControlPlane(Path(folder))
        plane.start()
        runner = RunnerProgram(plane, Path(folder) / "runner", taskConcurrency=100)
        try:
            connection = {"crm": {"type": "http", "base_url": target.url}}
            runner.allow([{"name": "all", "allow": "http.request", "connections": ["crm"]}], connection)
            program = runner.start()
            key = json.loads(plane.command("key", "create", "ci", "--scopes", "action/**", "--json"))["app_key"]
            assert plane.program is not None
            processes = [psutil.Process(one.process.pid) for one in (program, plane.program)]
            async with Orders(plane.url, key) as orders:
                await orders.made(20, rate)
                before, began = [_cpu_seconds(one) for one in processes], time.perf_counter()
                runs = await orders.made(round(rate * seconds), rate)
                took = time.perf_counter() - began
                own, planes = (
                    (_cpu_seconds(one) - start) / len(runs) * 1000 for one, start in zip(processes, before, strict=True)
                )
                done = await orders.succeeded(runs)
            print(
                f"CPU per pulled http.request: {own:.2f} ms ({done} runs, {len(runs) / took:.0f}/s, "
                f"{processes[0].memory_info().rss / 2**20:.0f} MiB), of the control plane {planes:.2f} ms"
            )
        finally:
            runner.kill()
            plane.stop()


async def _rest(seconds: float) -> None:
    """A runner that has a connection and a policy, and is asked for nothing."""
    with tempfile.TemporaryDirectory() as folder:
        plane = ControlPlane(Path(folder))
        plane.start()
        runner = RunnerProgram(plane, Path(folder) / "runner")
        try:
            connection = {"crm": {"type": "http", "base_url": "http://127.0.0.1:1"}}
            runner.allow([{"name": "all", "allow": "http.request", "connections": ["crm"]}], connection)
            pid = runner.start().process.pid
            await asyncio.sleep(SETTLE)
            process, began = psutil.Process(pid), time.perf_counter()
            before = _cpu_seconds(process)
            await asyncio.sleep(seconds)
            share = (_cpu_seconds(process) - before) / (time.perf_counter() - began)
            found = size(pid)
            others = len(family(pid)) - 1
            mebibytes = [part / 2**20 for part in (process.memory_info().rss, found.pss, found.anonymous)]
            print(
                "runner at rest: {:.1f} MiB resident, {:.1f} proportional, {:.1f} anonymous, ".format(*mebibytes)
                + f"{others} other processes, {share * 100:.2f} % of a core"
            )
        finally:
            runner.kill()
            plane.stop()


class Orders:
    """A caller of the API at *url*, who makes runs of an HTTP request. Use as an async context manager."""

    def __init__(self, url: str, key: str) -> None:
        self._runs = f"{url}/v1/runs"
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key}"}, connector=aiohttp.TCPConnector(limit=200)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def made(self, count: int, rate: float) -> list[str]:
        """Make *count* runs, each at its own time, *rate* a second, and wait for the end of the last one; their ids."""
        began = time.perf_counter()

        async def one(number: int) -> str:
            await asyncio.sleep(began + number / rate - time.perf_counter())
            async with self._session.post(self._runs, json=_WISH) as reply:
                return str((await reply.json())["id"])

        runs = await asyncio.gather(*map(one, range(count)))
        await self._state(runs[-1])
        return runs

    async def succeeded(self, runs: Iterable[str]) -> int:
        """The number of *runs* that ended well."""
        return [await self._state(run) for run in runs].count("succeeded")

    async def _state(self, run: str) -> str:
        async with self._session.get(f"{self._runs}/{run}?wait=60") as reply:
            return str((await reply.json())["state"])


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    asyncio.run(main())
