"""What benchmarks of push mode have in common: a control plane, a runner and a service, processes of their own but the last.

Pages are played: they mint tokens in the control plane's database, and ask over a connection that is kept, as an ingress does.
"""

from __future__ import annotations

import asyncio
import json
import signal
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from aiohttp import web

from controlplane.service import apps, runs
from controlplane.service.apps import MintedToken, WantedToken
from controlplane.service.runs import RunView, WantedRun
from controlplane.store.database import Database, Keyring, open_database
from controlplane.store.engines import sqlite
from tests.support.apptokens import HOST, digest, page_input
from tests.support.programs import ControlPlane
from tests.support.pushplane import ALICE
from tests.support.runnerplane import BOSS
from tests.support.runnerprograms import RunnerProgram
from tests.support.waiting import eventually
from worker.clock import SystemClock

PARAMS = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
HELD_SECONDS = 100.0
"""For which the service holds a request at the most: an action ends after two minutes."""


def _query(path: str) -> dict[str, Any]:
    url = f"{path}{{{{ params.id }}}}"
    return {"action": "http.request", "connection": "crm", "input": {"verb": "GET", "url": url}, "params": PARAMS}


DESK: dict[str, Any] = {
    "name": "desk",
    "runner": "berlin",
    "allow": ["user/*@corp.example"],
    "queries": {"customer": _query("/v1/customers/"), "slow": _query("/slow/")},
}


class SlowService:
    """A service that answers at once, but holds requests of `/slow…` until it is told, and *seconds* more."""

    def __init__(self) -> None:
        self._go = asyncio.Event()
        self._seconds = 0.0
        self.held = 0

    def hold(self) -> None:
        self._go.clear()

    def let_go(self, *, after: float = 0.0) -> None:
        self._seconds = after
        self._go.set()

    async def until_held(self, count: int) -> None:
        async with asyncio.timeout(HELD_SECONDS):
            while self.held < count:  # noqa: ASYNC110 - a benchmark
                await asyncio.sleep(0.01)

    async def slow(self, _: web.Request) -> web.Response:
        self.held += 1
        try:
            async with asyncio.timeout(HELD_SECONDS):
                await self._go.wait()
            await asyncio.sleep(self._seconds)
        finally:
            self.held -= 1
        return web.json_response({"status": "ok"})

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        async def quick(_: web.Request) -> web.Response:
            return web.json_response({"status": "ok"})

        application = web.Application()
        application.add_routes([web.get("/slow{rest:.*}", self.slow), web.get("/{rest:.*}", quick)])
        serving = web.AppRunner(application)
        await serving.setup()
        site = web.TCPSite(serving, "127.0.0.1", 0, backlog=4096)
        await site.start()
        try:
            yield f"http://127.0.0.1:{serving.addresses[0][1]}"
        finally:
            await serving.cleanup()


@dataclass(frozen=True, kw_only=True)
class PushRig:
    """The programs, the service that is asked, and the control plane's database, which this process opens, too."""

    plane: ControlPlane
    process: psutil.Process
    port: int
    target: str
    service: SlowService
    database: Database
    lags_file: Path

    async def mint(self, number: int, query: str = "customer") -> tuple[MintedToken, str]:
        """A token, and the input that it is for."""
        text = page_input({"id": number})
        wanted = WantedToken(app="desk", query=query, digest=digest(text), origin=self.plane.url)
        return await apps.mint(self.database, SystemClock(), ALICE, wanted), text

    async def ask(self, session: aiohttp.ClientSession, token: MintedToken, text: str) -> None:
        """Ask as a page does. Raises RuntimeError where that is not answered well."""
        headers = {"Host": HOST, "Origin": self.plane.url}
        url = f"http://127.0.0.1:{self.port}/v1/actions/http.request"
        async with session.post(url, json={"token": token.token, "input": text}, headers=headers) as answer:
            said = await answer.json()
            if said.get("outcome") != "succeeded":
                raise RuntimeError(said)

    async def order(self, url: str) -> str:
        """Order a request of the service; the run's id."""
        given = {"verb": "GET", "url": url}
        wish = WantedRun(action="http.request", runner="berlin", connection="crm", arguments=given)
        return (await runs.create(self.database, SystemClock(), BOSS, wish, client="cli")).run.id

    async def shown(self, run: str) -> RunView:
        return await runs.show(self.database, BOSS, run)

    def lags(self) -> list[float]:
        """The lateness of the runner's loop since the last time, in milliseconds."""
        self.lags_file.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        found: list[float] = json.loads(
            eventually(lambda: self.lags_file.read_text() if self.lags_file.exists() else None, "lags")
        )
        return found

    def cpu(self) -> float:
        """Seconds of CPU of the runner."""
        times = self.process.cpu_times()
        return times.user + times.system

    def mib(self) -> float:
        return float(self.process.memory_info().rss) / 2**20


@asynccontextmanager
async def push_rig(*, slots: int) -> AsyncIterator[PushRig]:
    """A runner of *slots* slots, of which pulls and pages leave each other two."""
    service = SlowService()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plane = ControlPlane(folder)
        await asyncio.to_thread(plane.start)
        options: dict[str, Any] = {
            "taskConcurrency": slots,
            "pushReserved": 2,
            "httpTimeoutSeconds": 120,
            "taskTimeoutSeconds": 120,
        }
        create = ("--modes", "pull,push", "--host", f"https://{HOST}")
        runner = RunnerProgram(plane, folder / "runner", create=create, **options)
        lags = folder / "lags.json"
        try:
            async with service.serving() as target:
                runner.allow([{"name": "all", "allow": "http.request"}], {"crm": {"type": "http", "base_url": target}})
                program = await asyncio.to_thread(runner.start, "benchmarks.lagging_runner", str(lags))
                port = int(program.wait_for("requests of pages on").partition("port ")[2].split()[0])
                database = await open_database(
                    sqlite.engine(plane.database), Keyring(path=Path(f"{plane.database}.key"))
                )
                try:
                    await apps.push(database, SystemClock(), BOSS, DESK)
                    yield PushRig(
                        plane=plane,
                        process=psutil.Process(program.process.pid),
                        port=port,
                        target=target,
                        service=service,
                        database=database,
                        lags_file=lags,
                    )
                finally:
                    await database.close()
        finally:
            runner.kill()
            plane.stop()


async def timed(work: Awaitable[Any]) -> float:
    """Milliseconds of *work*."""
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1000


def told(name: str, found: list[float]) -> None:
    """Print the middle and the end of what was *found*, in milliseconds."""
    high = statistics.quantiles(found, n=100, method="inclusive")[98]
    print(f"{name}: p50 {statistics.median(found):.1f} ms, p99 {high:.1f} ms ({len(found)} times)", flush=True)
