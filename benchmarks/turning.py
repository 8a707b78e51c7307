"""The time from a worker's first pull until a page in a browser says so by itself: real Chromium, real time, HTTP on loopback.

`python -m benchmarks.turning [--rounds 10]` prints median and longest, in seconds, of a location's page with JavaScript, which is
renewed in place, and without, where the browser loads it again. A pull comes at any moment of a page's wait.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
from playwright.sync_api import sync_playwright

from benchmarks.processes import need
from controlplane.service.principal import Role
from tests.integration.controlplane.plane import Plane, served
from tests.support.browser import FLAGS, Browser

WITHIN = "10 of 10 free"
"""What a location's page says of a worker that polls."""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    need("chromium", "chromium")
    path = shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread, ExitStack() as stack:

        def begin() -> Any:
            return stack.enter_context(sync_playwright()).chromium.launch(executable_path=path, args=list(FLAGS))

        browser = Browser(thread, thread.submit(begin).result())
        async with served(Path(folder)) as plane, aiohttp.ClientSession() as session:
            await plane.add_user("Vi", Role.VIEWER)
            token = await plane.session_of("Vi")
            for javascript in (True, False):
                taken = [
                    await _turn(plane, session, browser, token, wait=number / rounds * 2.5, javascript=javascript)
                    for number in range(rounds)
                ]
                told = "with JavaScript" if javascript else "without JavaScript"
                print(f"{told:20} median {statistics.median(taken):.2f} s, longest {max(taken):.2f} s of {rounds}")
        thread.submit(stack.close).result()


async def _turn(
    plane: Plane, session: aiohttp.ClientSession, browser: Browser, token: str, *, wait: float, javascript: bool
) -> float:
    worker = await plane.add_location(f"place {time.monotonic_ns()}")
    loop = asyncio.get_running_loop()

    def look(page: Any) -> float:
        page.context.add_cookies([{"name": "session", "value": token, "url": plane.url}])
        page.goto(f"{plane.url}/locations/{worker.location}")
        page.wait_for_timeout(wait * 1000)
        asyncio.run_coroutine_threadsafe(worker.pull(session, concurrency=10, free_slots=10), loop).result()
        begun = time.monotonic()
        page.get_by_text(WITHIN).wait_for()
        return time.monotonic() - begun

    return await browser.walk(look, javascript=javascript)


if __name__ == "__main__":
    asyncio.run(main())
