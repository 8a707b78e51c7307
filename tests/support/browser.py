"""A headless Chromium of this machine, driven by Playwright in a thread of its own: one process for a whole session of tests.

A test says in a function what a visitor does, and hands it to `Browser.walk`. The function runs in the browser's thread, with
Playwright's blocking calls, while the test's own event loop goes on serving.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from tests.support.peers import peer

T = TypeVar("T")

REBOUND = "rebound.example"
"""A stranger's name that leads to loopback, as a name server of theirs would have it."""
FLAGS = (
    *("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"),
    f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1",
)
"""Containers in which tests run as root have neither the kernel's sandbox nor much shared memory."""
PATIENCE_MS = 60_000
"""For one wait of a page on a loaded machine: longer than any page takes."""
WIDE, NARROW = 1280, 360


@dataclass
class Browser:
    """*errors* of the last walk: what pages wrote to their console as errors, breaches of the CSP among them."""

    thread: ThreadPoolExecutor
    chromium: Any
    errors: list[str] = field(default_factory=list)

    async def walk(
        self, steps: Callable[[Any], T], *, javascript: bool = True, width: int = WIDE, dark: bool = False
    ) -> T:
        """Do *steps*, which are given a `playwright.sync_api.Page`, as a visitor without a past. Returns what they return."""
        return await asyncio.wrap_future(self.thread.submit(self._walk, steps, javascript, width, dark))

    def _walk(self, steps: Callable[[Any], T], javascript: bool, width: int, dark: bool) -> T:
        context = self.chromium.new_context(
            java_script_enabled=javascript,
            viewport={"width": width, "height": 800},
            color_scheme="dark" if dark else "light",
            locale="en-GB",
        )
        self.errors = []
        try:
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.on("console", self._note)
            page.on("pageerror", lambda error: self.errors.append(str(error)))
            return steps(page)
        finally:
            context.close()

    def _note(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)


def serious_findings(page: Any) -> list[str]:
    """The rules of axe that the page breaks, those whose impact is serious or critical, each with an element that does."""
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - it comes with Playwright

    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found if rule["impact"] in ("serious", "critical")
    ]


def is_wider_than_its_window(page: Any) -> bool:
    """Tell if a reader must scroll sideways."""
    wider: bool = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return wider


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = peer("chromium")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - most sessions have no use for it

    with ThreadPoolExecutor(1, "browser") as thread, ExitStack() as stack:

        def begin() -> Any:
            return stack.enter_context(sync_playwright()).chromium.launch(executable_path=path, args=list(FLAGS))

        chromium = thread.submit(begin).result()
        try:
            yield Browser(thread, chromium)
        finally:
            thread.submit(chromium.close).result()
            thread.submit(stack.close).result()
