"""The pictures of docs/pages.md, taken of real pages. `make screenshots` keeps them; every other run takes and drops them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from controlplane.service.principal import Role
from tests.integration.controlplane.plane import Plane
from tests.support import protocol
from tests.support.browser import Browser
from tests.support.checkout import ROOT
from tests.support.definitions import STATUS
from tests.support.outcomes import FAILED_ASSERTION, HELD_ASSERTION, incorrect, outcome
from tests.support.protocol import ProtocolWorker

IMAGES = ROOT / "docs" / "images"
KEPT = os.environ.get("SCREENSHOTS")
"""Whether the pictures go into docs/."""
WIDTH = 900
MAX_BYTES = 100_000
RUNS = 60


def named() -> list[str]:
    """The pictures that the guide shows."""
    return re.findall(r"!\[[^\]]+\]\(images/([\w-]+)\.png\)", (ROOT / "docs" / "pages.md").read_text())


def test_every_picture_of_the_guide_is_there_and_small() -> None:
    assert len(named()) >= 3
    for name in named():
        assert 1000 < (IMAGES / f"{name}.png").stat().st_size < MAX_BYTES, name
    assert {path.stem for path in IMAGES.iterdir()} == set(named())


def _timings(number: int) -> dict[str, float]:
    """Phases that vary as a target's do, the same ones each time."""
    wave = number * 37 % 23
    return {"dns": 1.5 + wave / 9, "tcp": 3.0, "ssl": 11.0 + wave / 5, "firstByte": 24.0 + wave, "download": 2.0}


async def _run_often(plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession) -> None:
    status = {"error_message": "the status is 503, not 200", "expected": "200", "actual": 503, "valid": False}
    told = [{"errorMessage": each["error_message"]} for each in (status, FAILED_ASSERTION)]
    failed = incorrect("Shop", json.dumps(told)) | {
        "assertions": [HELD_ASSERTION, STATUS | status, FAILED_ASSERTION],
        "response": {"status_code": 503, "headers": {"content-type": "text/html", "server": "shop"}, "body": "busy"},
    }
    number = 0
    while number < RUNS:
        for job in (await worker.pull(session, host="office-1", agent="0.1.0")).jobs:
            shown = failed if number in (17, 18, RUNS - 4) else outcome("Shop")
            trouble = {"unhealthy": "the event loop was 140 ms late"} if number == 33 else {}
            await worker.push(session, protocol.item(job, **shown | trouble | {"timings": _timings(number)}))
            number += 1
        plane.clock.stall(4)


@pytest.mark.long
async def test_the_pictures_are_taken(
    plane: Plane, session: aiohttp.ClientSession, browser: Browser, tmp_path: Path
) -> None:
    await plane.add_user("Ada", Role.ADMIN)
    cookie = {"name": "session", "value": await plane.session_of("Ada"), "url": plane.url}
    folder = IMAGES if KEPT else tmp_path
    folder.mkdir(exist_ok=True)

    async def take(name: str, path: str, says: str, then: Callable[[Any], None] = lambda _: None) -> None:
        def look(page: Any) -> None:
            page.context.add_cookies([cookie])
            page.goto(plane.url + path)
            page.get_by_text(says).first.wait_for()
            then(page)
            page.evaluate("scrollTo(0, 0)")
            page.screenshot(path=folder / f"{name}.png")

        await browser.walk(look, width=WIDTH)

    await take("first-visit", "/", "Step 1 of 4")
    worker = await plane.add_location("Office Berlin")
    stored = await plane.add_test(worker.location, name="Shop")
    await _run_often(plane, worker, session)
    await take("location", f"/locations/{worker.location}", "healthy")
    await take("test", f"/tests/{stored.public_id}", "Response times")

    def follow(page: Any) -> None:
        page.get_by_role("row").filter(has_text="failed").get_by_role("link").first.click()
        page.get_by_text("✗ fails").first.wait_for()
        page.get_by_text("Headers").click()

    await take("run", f"/tests/{stored.public_id}", "Recent runs", follow)
    assert {path.stem for path in folder.iterdir() if path.suffix == ".png"} >= set(named())
