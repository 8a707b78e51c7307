"""The way of a newcomer and of somebody on call, in a real browser, with the programs as processes; without JavaScript, too."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import Browser, is_wider_than_its_window, serious_findings
from tests.support.definitions import http_test
from tests.support.programs import ControlPlane, StartWorker
from tests.support.servers.target import Target

KEPT = "kept"
"""Set on the window of a page that must turn without being loaded again."""


def signed_in(plane: ControlPlane, page: Any) -> None:
    """Follow a link of the command line."""
    page.goto(plane.command("user", "link", "Ada", "--at", plane.url).strip())
    page.get_by_role("button", name="Sign in").click()


def rest_of_test(url: str) -> str:
    definition = http_test("Shop", url)
    return json.dumps({name: definition[name] for name in ("type", "subtype", "config")})


def create_location(page: Any, plane: ControlPlane, folder: Path, *, javascript: bool) -> Path:
    """Fill in the form; the config file as the browser saves it."""
    page.get_by_role("link", name="Create a location").click()
    page.get_by_label("Name").fill("Office")
    page.get_by_label("Workers find the control plane at").fill(plane.url)
    if javascript:
        page.get_by_role("button", name="Save and Generate").click()
        assert "only time that this file is shown" in page.get_by_role("alert").inner_text()
        with page.expect_download() as saved:
            page.get_by_role("button", name="Save as a file").click()
    else:
        with page.expect_download() as saved:
            page.get_by_role("button", name="Save and download the file").click()
    config = folder / "downloaded.json"
    saved.value.save_as(config)
    config.chmod(0o600)
    return config


def turned(page: Any, text: str, *, javascript: bool) -> None:
    """Wait until the page says *text* by itself; with JavaScript without being loaded again."""
    if javascript:
        page.evaluate(f"window.{KEPT} = true")
    page.get_by_text(text).first.wait_for()
    if javascript:
        assert page.evaluate(f"window.{KEPT} === true"), "the page was loaded again"


@pytest.mark.long
@pytest.mark.parametrize(
    "javascript", [pytest.param(True, id="with JavaScript"), pytest.param(False, id="without JavaScript")]
)
async def test_from_nothing_to_a_green_run_and_a_failure_to_its_cause(
    control_plane: ControlPlane,
    target: Target,
    start_worker: StartWorker,
    browser: Browser,
    tmp_path: Path,
    javascript: bool,
) -> None:
    control_plane.command("user", "add", "Ada", "--role", "admin")
    findings: list[str] = []

    def looked(page: Any) -> None:
        if javascript:
            findings.extend(f"{page.url}: {found}" for found in serious_findings(page))
            assert not is_wider_than_its_window(page), page.url

    def visit(page: Any) -> None:
        signed_in(control_plane, page)
        assert page.get_by_role("heading", level=2).inner_text() == "Step 1 of 4: create a private location"
        config = create_location(page, control_plane, tmp_path, javascript=javascript)
        looked(page)
        page.goto(control_plane.url)
        assert "No worker has polled yet" in page.get_by_role("status").inner_text()
        start_worker(config)
        turned(page, "Step 3 of 4", javascript=javascript)

        page.get_by_role("link", name="Create a test").click()
        page.get_by_label("Name").fill("Shop")
        assert page.get_by_label("Office").is_checked()
        assert "healthy" in page.get_by_role("group", name="Locations").inner_text()
        page.get_by_label("Everything else, as JSON").fill(rest_of_test(target.url + "/shop"))
        page.get_by_role("button", name="Save", exact=True).click()
        turned(page, "passed", javascript=javascript)
        looked(page)
        assert page.goto(control_plane.url).ok
        assert page.get_by_text("Step").count() == 0

        follow_a_failure(page)

    def follow_a_failure(page: Any) -> None:
        page.get_by_role("navigation", name="Main").get_by_role("link", name="Tests").click()
        page.get_by_role("link", name="Shop", exact=True).click()
        page.get_by_role("link", name="Edit", exact=True).click()
        page.get_by_label("Everything else, as JSON").fill(rest_of_test(target.url + "/broken"))
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_role("status").filter(has_text="is saved").wait_for()
        page.get_by_role("link", name=re.compile("UTC")).nth(0).wait_for()
        turned(page, "INCORRECT_ASSERTION", javascript=javascript)
        page.get_by_role("row").filter(has_text="INCORRECT_ASSERTION").get_by_role("link").first.click()
        cause = page.get_by_role("row").filter(has_text="✗ fails").inner_text()
        assert "statusCode is 200" in cause
        assert "503" in cause
        looked(page)
        page.get_by_role("link", name="Shop", exact=True).click()
        page.get_by_role("button", name="Pause").click()
        page.get_by_text("Nothing runs until it is resumed").wait_for()
        import_one(page)

    def import_one(page: Any) -> None:
        exported = tmp_path / "exported.json"
        exported.write_text(json.dumps([http_test("Imported", target.url, status="paused")]))
        page.goto(control_plane.url + "/tests/import")
        if javascript:
            page.get_by_label("Read a file").set_input_files(exported)
            page.wait_for_function("document.getElementById('definitions').value !== ''")
        else:
            page.get_by_label("Definitions").fill(exported.read_text())
        page.get_by_label("Office").check()
        page.get_by_role("button", name="Import").click()
        page.get_by_text("Imported 1 test: 1 added.").wait_for()
        page.get_by_role("link", name="Imported", exact=True).wait_for()

    await browser.walk(visit, javascript=javascript)
    assert findings == []
    assert browser.errors == []
