"""Pages in common: who gets them, their headers, static files, and the pages of errors; and a walk through the accounts'."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from controlplane.pages.handling import handle
from controlplane.pages.page import Entry, PageReply, Rendered, Visit, shown
from controlplane.rest.context import CONTEXT
from controlplane.service.principal import Role
from tests.integration.controlplane.plane import Plane, served
from tests.support.browser import NARROW, Browser, is_wider_than_its_window, serious_findings
from tests.support.visitors import HEADERS, PageVisitor

PASSWORD = "correct horse battery"


@pytest.fixture
async def visitor(plane: Plane) -> PageVisitor:
    """An administrator who has signed in."""
    await plane.add_user("Ann", Role.ADMIN)
    return PageVisitor(plane.url, cookies={"session": await plane.session_of("Ann")})


async def test_a_browser_gets_a_page_and_curl_the_plain_line(
    plane: Plane, visitor: PageVisitor, session: aiohttp.ClientSession
) -> None:
    page = await visitor.get("/")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.heading == "Control plane"
    stranger = await PageVisitor(plane.url).get("/")
    assert (stranger.status, stranger.to) == (303, "/sign-in")
    async with session.get(plane.url + "/", headers={"Accept": "*/*"}) as plain:
        assert (plain.status, plain.content_type) == (200, "text/plain")
        assert await plain.text() == "synthetics control plane: workers pull from here\n"
        assert "Accept" in plain.headers["Vary"]


@pytest.mark.parametrize("path", ["/", "/sign-in", "/users", "/account", "/nothing"])
async def test_a_page_allows_nothing_inline_nothing_foreign_and_no_frame(visitor: PageVisitor, path: str) -> None:
    page = await (visitor if path != "/sign-in" else PageVisitor(visitor.url)).get(path)
    policy = dict(directive.strip().split(" ", 1) for directive in page.headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'self'",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert page.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<style|style=|<script(?![^>]* src=)|\son\w+=|javascript:", page.text)


async def test_static_files_are_kept_for_ever_under_the_hash_of_their_content(
    visitor: PageVisitor, session: aiohttp.ClientSession
) -> None:
    links = re.findall(r'(?:href|src)="(/static/[^"]+)"', (await visitor.get("/")).text)
    assert sorted(link.rpartition(".")[2] for link in links) == ["css", "js", "svg"]
    for link in links:
        async with session.get(visitor.url + link, headers={"Accept-Encoding": "identity"}) as plain:
            assert plain.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            content = await plain.read()
        async with session.get(visitor.url + link, headers={"Accept-Encoding": "gzip"}) as small:
            assert small.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(await small.read()) == content
    stale = re.sub(r"\.[0-9a-f]{16}\.", f".{'0' * 16}.", links[0])
    for path in (stale, "/static/../static/style.css", "/static/style.css"):
        async with session.get(visitor.url + path) as missing:
            assert missing.status == 404


async def test_an_unknown_address_is_a_page_for_a_browser_alone(
    visitor: PageVisitor, session: aiohttp.ClientSession
) -> None:
    page = await visitor.get("/nothing/here")
    assert (page.status, page.heading) == (404, "Not found")
    async with session.get(visitor.url + "/nothing/here") as plain:
        assert (plain.status, plain.content_type) == (404, "text/plain")


@pytest.mark.parametrize("path", ["/worker/v1/nothing", "/runner/v1/nothing"])
async def test_the_protocols_paths_are_none_of_the_pages(visitor: PageVisitor, path: str) -> None:
    answer = await visitor.get(path)
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")


async def test_a_page_is_compressed_where_that_is_understood(
    visitor: PageVisitor, session: aiohttp.ClientSession
) -> None:
    headers = HEADERS | {"Accept-Encoding": "gzip, br"}
    async with session.get(visitor.url + "/nothing", headers=headers) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "Accept-Encoding" in answer.headers["Vary"]
        assert b"<h1>Not found</h1>" in gzip.decompress(await answer.read())


async def test_links_stay_below_the_path_of_the_public_url(tmp_path: Path) -> None:
    async with served(tmp_path, prefix="/plane") as plane:
        await plane.add_user("Ann", Role.ADMIN)
        ann = PageVisitor(plane.url, cookies={"session": await plane.session_of("Ann")})
        for path in ("/", "/users", "/account"):
            page = await ann.get(path)
            links = re.findall(r'(?:href|src|action)="([^"#]+)"', page.text)
            assert page.status == 200
            assert len(links) > 3
            assert all(link.startswith("/plane/") for link in links)
        assert (await PageVisitor(plane.url).get("/users")).to == "/plane/sign-in?next=%2Fusers"
        assert (await ann.get("/nothing")).status == 404


async def test_a_page_that_fails_says_so_and_tells_nothing_but_the_log(
    plane: Plane, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_visit: Visit) -> PageReply:
        return Rendered(template="error.html", values={"heading": "without its lines"})

    site = web.Application()
    site[CONTEXT] = plane.context
    request = make_mocked_request("GET", "/broken", app=site)
    answer = await handle(shown("/broken", broken, Entry.ANYBODY), "")(request)
    assert answer.status == 500
    assert b"<h1>The control plane failed</h1>" in bytes(answer.body or b"")  # type: ignore[arg-type]
    assert b"lines" not in bytes(answer.body or b"")  # type: ignore[arg-type]
    assert "'lines' is undefined" in caplog.text


async def test_pages_are_accessible_and_fit_a_telephone_dark_and_light(plane: Plane, browser: Browser) -> None:
    user = await plane.add_user("Ann", Role.ADMIN, PASSWORD)

    def look(page: Any) -> dict[str, tuple[list[str], bool]]:
        page.goto(plane.url)
        seen = {"sign in": (serious_findings(page), is_wider_than_its_window(page))}
        page.get_by_label("Name").fill("Ann")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        for path in ("/", "/account", "/users", f"/users/{user.id}"):
            page.goto(plane.url + path)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                seen[f"{path} {scheme}"] = (serious_findings(page), is_wider_than_its_window(page))
        return seen

    seen = await browser.walk(look, width=NARROW)
    assert {path: found for path, found in seen.items() if found != ([], False)} == {}
    assert browser.errors == []


async def test_a_visitor_without_javascript_signs_in_by_password_and_out(plane: Plane, browser: Browser) -> None:
    await plane.add_user("Ann", Role.VIEWER, PASSWORD)

    def visit(page: Any) -> tuple[str, str, str]:
        page.goto(plane.url + "/account")
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill("wrong horse battery")
        page.get_by_role("button", name="Sign in").click()
        refused = page.get_by_role("alert").inner_text()
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        heading = page.get_by_role("heading", level=1).inner_text()
        page.get_by_role("button", name="Sign out").click()
        return refused, heading, page.get_by_role("status").inner_text()

    seen = await browser.walk(visit, javascript=False)
    assert seen == ("Name and password do not fit.", "Ann", "You are signed out.")
