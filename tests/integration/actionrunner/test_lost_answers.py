"""Check 12: the answer to a pushed result is lost on its way, twice and in two ways; what was stored at first stays alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession, web

from tests.support.runnerplane import PlayedActions, played_runner, runner_plane
from tests.support.waiting import PATIENCE
from worker.actions.action import Effect

SCRIPT = "script.runPredefinedScript"


class LosingProxy:
    """Passes every request on; the answers to the first two pushes of results do not arrive."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.url = ""
        self.answers: list[int] = []
        self.delivered = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type")}
        async with (
            ClientSession(auto_decompress=False) as session,
            session.post(self.target + request.raw_path, data=body, headers=headers) as reply,
        ):
            answer, proven = await reply.read(), {name: reply.headers[name] for name in ("PL2-Reply", "Content-Type")}
        if not request.path.endswith("/results"):
            return web.Response(status=reply.status, body=answer, headers=proven)
        self.answers.append(reply.status)
        match len(self.answers):
            case 1:
                return web.Response(status=500, text="a proxy's own page")
            case 2:
                assert request.transport is not None
                request.transport.abort()
            case _:
                self.delivered.set()
        return web.Response(status=reply.status, body=answer, headers=proven)


@asynccontextmanager
async def losing(target: str) -> AsyncIterator[LosingProxy]:
    proxy = LosingProxy(target)
    application = web.Application()
    application.router.add_post("/{path:.*}", proxy.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield proxy
    finally:
        await runner.cleanup()


async def test_a_result_whose_answer_is_lost_is_stored_once(tmp_path: Path) -> None:
    actions = PlayedActions(effects={SCRIPT: Effect.ONCE})
    async with runner_plane(tmp_path) as plane:
        identity, _ = await plane.enrol()
        async with losing(plane.url) as proxy, played_runner(plane, identity, actions, url=proxy.url) as runner:
            run = (await plane.order(SCRIPT, arguments={"scriptName": "pay"})).run.id
            first = await plane.ended(run)
            async with asyncio.timeout(PATIENCE):
                await proxy.delivered.wait()
                await runner.serving.outbox.flush()
            assert await plane.show(run) == first
    assert first.state == "succeeded"
    assert proxy.answers == [200, 200, 200]
    assert len(actions.acted) == 1
