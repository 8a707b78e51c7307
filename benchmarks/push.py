"""Push mode: time from a token to the answer beside the same request sent directly, CPU per request; many slow actions at once.

`python -m benchmarks.push` has a runner of its own process answer requests as a page sends them, over a connection that is kept,
as an ingress keeps it. Tokens are minted beforehand. The 500 slow actions are pulled: a runner keeps 200 connections of pages.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from aiohttp import web

from controlplane.service import apps, runs
from controlplane.service.apps import MintedToken, WantedToken
from controlplane.service.runs import WantedRun
from controlplane.store.database import Database, Keyring, open_database
from controlplane.store.engines import sqlite
from tests.support.apptokens import HOST, digest, page_input
from tests.support.programs import ControlPlane
from tests.support.pushplane import ALICE
from tests.support.runnerplane import BOSS
from tests.support.runnerprograms import RunnerProgram
from worker.clock import SystemClock

LOOK_SECONDS = 0.1
LOOKED_AT = 100
"""Runs of one look."""
SLOW_SECONDS = 100.0
"""For the service to wait for the last of all at the most: a request ends after two minutes."""
BATCH = 100
"""Tokens that are minted at a time: each lives for a minute."""
DESK: dict[str, Any] = {
    "name": "desk",
    "runner": "berlin",
    "allow": ["user/*@corp.example"],
    "queries": {
        "customer": {
            "action": "http.request",
            "connection": "crm",
            "input": {"verb": "GET", "url": "/v1/customers/{{ params.id }}"},
            "params": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
        }
    },
}


class Together:
    """Requests that are answered once *count* of them wait."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._all = asyncio.Event()
        self._here = self.most = 0

    async def come(self) -> None:
        self._here += 1
        self.most = max(self.most, self._here)
        if self._here == self._count:
            self._all.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SLOW_SECONDS):
                await self._all.wait()
        self._here -= 1


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The programs, the service that is asked, and the control plane's database, which this process opens, too."""

    plane: ControlPlane
    runner: RunnerProgram
    process: psutil.Process
    port: int
    target: str
    slow: Together
    database: Database


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--slow", type=int, default=500)
    asked = parser.parse_args()
    async with _bench(asked.slow) as bench:
        print(f"memory at rest: {_mib(bench.process):.0f} MiB")
        before = _cpu(bench.process)
        pushed = await _pushed(bench, asked.requests)
        cpu = (_cpu(bench.process) - before) / asked.requests * 1000
        _print("token → answer", pushed)
        _print("the same request sent directly, a new connection each", await _direct(bench, asked.requests))
        print(f"CPU per request of a page, HTTP action included: {cpu:.2f} ms")
        await _slow(bench, asked.slow)


async def _pushed(bench: Bench, count: int) -> list[float]:
    """Milliseconds of each request, one at a time."""
    took: list[float] = []
    async with aiohttp.ClientSession() as session:
        while len(took) < count:
            texts = [page_input({"id": number}) for number in range(min(BATCH, count - len(took)))]
            tokens = [await _mint(bench, text) for text in texts]
            took += [await _timed(_ask(bench, session, token, text)) for token, text in zip(tokens, texts, strict=True)]
    return took


async def _ask(bench: Bench, session: aiohttp.ClientSession, token: MintedToken, text: str) -> None:
    headers = {"Host": HOST, "Origin": bench.plane.url}
    url = f"http://127.0.0.1:{bench.port}/v1/actions/http.request"
    async with session.post(url, json={"token": token.token, "input": text}, headers=headers) as answer:
        said = await answer.json()
        if said.get("outcome") != "succeeded":
            raise RuntimeError(said)


async def _mint(bench: Bench, text: str) -> MintedToken:
    wanted = WantedToken(app="desk", query="customer", digest=digest(text), origin=bench.plane.url)
    return await apps.mint(bench.database, SystemClock(), ALICE, wanted)


async def _direct(bench: Bench, count: int) -> list[float]:
    async def ask() -> None:
        async with session.get(f"{bench.target}/v1/customers/7") as answer:
            await answer.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        return [await _timed(ask()) for _ in range(count)]


async def _slow(bench: Bench, count: int) -> None:
    """Have *count* actions wait for a slow service together: it answers all of them once the last one has come, or in vain."""
    clock, before = SystemClock(), _mib(bench.process)
    wish = WantedRun(
        action="http.request", runner="berlin", connection="crm", arguments={"verb": "GET", "url": "/slow"}
    )
    made = [await runs.create(bench.database, clock, BOSS, wish, client="cli") for _ in range(count)]
    waiting, highest = {one.run.id for one in made}, 0.0
    ends: Counter[str] = Counter()
    while waiting:
        highest = max(highest, _mib(bench.process))
        await asyncio.sleep(LOOK_SECONDS)
        for run in sorted(waiting)[:LOOKED_AT]:
            view = await runs.show(bench.database, BOSS, run)
            if view.has_ended:
                waiting.discard(run)
                ends[view.state.value] += 1
    most = bench.slow.most
    print(f"{most} HTTP actions at once: {dict(ends)}, {(highest - before) * 1024 / count:.0f} KiB each")


@asynccontextmanager
async def _bench(slots: int) -> AsyncIterator[Bench]:
    together = Together(slots)
    with tempfile.TemporaryDirectory() as folder:
        plane = ControlPlane(Path(folder))
        await asyncio.to_thread(plane.start)
        create = ("--modes", "pull,push", "--host", f"https://{HOST}")
        options: dict[str, Any] = {
            "taskConcurrency": slots + 2,
            "pushReserved": 2,
            "httpTimeoutSeconds": 120,
            "taskTimeoutSeconds": 120,
        }
        runner = RunnerProgram(plane, Path(folder) / "runner", create=create, **options)
        try:
            async with _target(together) as target:
                runner.allow([{"name": "all", "allow": "http.request"}], {"crm": {"type": "http", "base_url": target}})
                program = await asyncio.to_thread(runner.start)
                port = int(program.wait_for("requests of pages on").partition("port ")[2].split()[0])
                keyring = Keyring(path=Path(f"{plane.database}.key"))
                database = await open_database(sqlite.engine(plane.database), keyring)
                try:
                    await apps.push(database, SystemClock(), BOSS, DESK)
                    yield Bench(
                        plane=plane,
                        runner=runner,
                        process=psutil.Process(program.process.pid),
                        port=port,
                        target=target,
                        slow=together,
                        database=database,
                    )
                finally:
                    await database.close()
        finally:
            runner.kill()
            plane.stop()


@asynccontextmanager
async def _target(together: Together) -> AsyncIterator[str]:
    async def quick(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def slow(_: web.Request) -> web.Response:
        await together.come()
        return web.json_response({"status": "ok"})

    application = web.Application()
    application.add_routes([web.get("/slow", slow), web.get("/{rest:.*}", quick)])
    serving = web.AppRunner(application)
    await serving.setup()
    site = web.TCPSite(serving, "127.0.0.1", 0, backlog=4096)
    await site.start()
    try:
        yield f"http://127.0.0.1:{serving.addresses[0][1]}"
    finally:
        await serving.cleanup()


async def _timed(work: Any) -> float:
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1000


def _print(name: str, found: list[float]) -> None:
    high = statistics.quantiles(found, n=100, method="inclusive")[98]
    print(f"{name}: p50 {statistics.median(found):.1f} ms, p99 {high:.1f} ms ({len(found)} requests)")


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


if __name__ == "__main__":
    asyncio.run(main())
