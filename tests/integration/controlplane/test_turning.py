"""Pages that turn by themselves, in a browser whose clock only the test moves: after how long, and without disturbing anybody."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from controlplane.pages import assets
from controlplane.service.locations import HEALTHY
from controlplane.service.principal import Role
from tests.integration.controlplane.plane import Plane
from tests.support.browser import Browser

SHOWN = {"/": "A worker polls", "/locations": "10 of 10", "/locations/PLACE": "10 of 10 free"}
"""What each page says once a worker has polled."""


async def test_pages_turn_within_five_seconds_of_the_first_pull_without_a_reload(
    plane: Plane, session: aiohttp.ClientSession, browser: Browser
) -> None:
    """Half of the time at most is the pages' own wait: answers have the rest."""
    worker = await plane.add_location()
    await plane.add_user("Vi", Role.VIEWER)
    cookie = {"name": "session", "value": await plane.session_of("Vi"), "url": plane.url}
    loop = asyncio.get_running_loop()

    def look(page: Any) -> list[bool]:
        page.context.add_cookies([cookie])
        page.context.clock.install()
        # From here on, so that no page looks by itself while others load: its next look would come after this test's move.
        page.context.clock.pause_at(page.evaluate("Date.now()") + 10)
        tabs = [page, *(page.context.new_page() for _ in list(SHOWN)[1:])]
        for tab, (path, text) in zip(tabs, SHOWN.items(), strict=True):
            tab.goto(plane.url + path.replace("PLACE", worker.location))
            assert text not in tab.locator("main").inner_text()
            tab.evaluate("window.kept = true")
        pull = worker.pull(session, concurrency=10, free_slots=10)
        asyncio.run_coroutine_threadsafe(pull, loop).result()
        page.context.clock.run_for(HEALTHY // 2)
        for tab, text in zip(tabs, SHOWN.values(), strict=True):
            tab.bring_to_front()
            tab.get_by_text(text).first.wait_for()
        return [tab.evaluate("window.kept === true") for tab in tabs]

    assert await browser.walk(look) == [True, True, True], "a page was loaded again"


async def test_what_a_reader_opened_and_where_they_are_stays_while_the_page_turns(
    plane: Plane, browser: Browser
) -> None:
    """Pages made for this, with our own script: of a run that goes on, to which a step comes."""
    answers = iter("12")
    script = plane.url + assets.address("live.js")

    def step(number: str, *, opened: bool) -> str:
        link = f'<a href="#{number}" id="link-{number}">link {number}</a>'
        return f"<details{' open' if opened else ''}><summary>step {number}</summary>{link}</details>"

    def answered(route: Any) -> None:
        many = next(answers, "2")
        steps = step("1", opened=many == "1") + (step("2", opened=True) if many == "2" else "")
        body = f'<body data-live-seconds="2"><div id="run" data-live>{steps}</div><script src="{script}"></script>'
        route.fulfill(body="<!doctype html>" + body, content_type="text/html")

    def look(page: Any) -> tuple[list[bool], str]:
        page.clock.install()
        page.route("**/made", answered)
        page.goto(plane.url + "/made")
        page.get_by_role("link", name="link 1").focus()
        page.clock.run_for(2000)
        page.get_by_text("step 2").wait_for()
        opened = page.evaluate("[...document.querySelectorAll('details')].map(one => one.open)")
        return opened, page.evaluate("document.activeElement.innerText")

    assert await browser.walk(look) == ([True, True], "link 1")
