"""What every page has in common: who gets it, its headers, its static files, and the pages of errors."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import aiohttp
import pytest

from tests.integration.controlplane.plane import Plane, served
from tests.support.browser import NARROW, Browser, is_wider_than_its_window, serious_findings

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Encoding": "identity"}


async def page(session: aiohttp.ClientSession, url: str, **headers: str) -> tuple[aiohttp.ClientResponse, str]:
    async with session.get(url, headers=BROWSER | headers) as answer:
        return answer, (await answer.read()).decode()


async def test_a_browser_gets_a_page_and_curl_the_plain_line(plane: Plane, session: aiohttp.ClientSession) -> None:
    answer, text = await page(session, plane.url + "/")
    assert (answer.status, answer.content_type) == (200, "text/html")
    assert "<h1>Control plane</h1>" in text
    async with session.get(plane.url + "/", headers={"Accept": "*/*"}) as plain:
        assert (plain.status, plain.content_type) == (200, "text/plain")
        assert await plain.text() == "synthetics control plane: workers pull from here\n"
        assert "Accept" in plain.headers["Vary"]


async def test_a_page_allows_nothing_inline_nothing_foreign_and_no_frame(
    plane: Plane, session: aiohttp.ClientSession
) -> None:
    answer, text = await page(session, plane.url + "/")
    policy = dict(directive.strip().split(" ", 1) for directive in answer.headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'self'",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<style|style=|<script(?![^>]* src=)|\son\w+=|javascript:", text)


async def test_static_files_are_kept_for_ever_under_the_hash_of_their_content(
    plane: Plane, session: aiohttp.ClientSession
) -> None:
    _, text = await page(session, plane.url + "/")
    links = re.findall(r'(?:href|src)="(/static/[^"]+)"', text)
    assert sorted(link.rpartition(".")[2] for link in links) == ["css", "js", "svg"]
    for link in links:
        async with session.get(plane.url + link, headers={"Accept-Encoding": "identity"}) as plain:
            assert plain.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            content = await plain.read()
        async with session.get(plane.url + link, headers={"Accept-Encoding": "gzip"}) as small:
            assert small.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(await small.read()) == content
    stale = re.sub(r"\.[0-9a-f]{16}\.", f".{'0' * 16}.", links[0])
    for path in (stale, "/static/../static/style.css", "/static/style.css"):
        async with session.get(plane.url + path) as missing:
            assert missing.status == 404


async def test_an_unknown_address_is_a_page_for_a_browser_alone(plane: Plane, session: aiohttp.ClientSession) -> None:
    answer, text = await page(session, plane.url + "/nothing/here")
    assert (answer.status, answer.content_type) == (404, "text/html")
    assert "<h1>Not found</h1>" in text
    async with session.get(plane.url + "/nothing/here") as plain:
        assert (plain.status, plain.content_type) == (404, "text/plain")


@pytest.mark.parametrize("path", ["/worker/v1/nothing", "/runner/v1/nothing"])
async def test_the_protocols_paths_are_none_of_the_pages(
    plane: Plane, session: aiohttp.ClientSession, path: str
) -> None:
    answer, _ = await page(session, plane.url + path)
    assert (answer.status, answer.content_type) == (404, "text/plain")


async def test_a_page_is_compressed_where_that_is_understood(plane: Plane, session: aiohttp.ClientSession) -> None:
    _, plain = await page(session, plane.url + "/")
    async with session.get(plane.url + "/", headers=BROWSER | {"Accept-Encoding": "gzip, br"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await answer.read()).decode() == plain


async def test_links_stay_below_the_path_of_the_public_url(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    async with served(tmp_path, prefix="/plane") as plane:
        _, text = await page(session, plane.url + "/")
        links = re.findall(r'(?:href|src)="([^"#]+)"', text)
        assert links
        assert all(link.startswith("/plane/") for link in links)
        answer, _ = await page(session, plane.url + "/nothing")
        assert answer.status == 404


async def test_the_first_page_is_accessible_and_fits_a_telephone_dark_and_light(plane: Plane, browser: Browser) -> None:
    for dark in (False, True):

        def look(page: object) -> tuple[list[str], bool]:
            page.goto(plane.url)  # type: ignore[attr-defined]
            return serious_findings(page), is_wider_than_its_window(page)

        assert await browser.walk(look, width=NARROW, dark=dark) == ([], False)
        assert browser.errors == []
