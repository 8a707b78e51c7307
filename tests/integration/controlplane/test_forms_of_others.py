"""Every form of every page, by the table of routes: nothing is done for another site, without the page's token, or for nobody.

And what is sent in such a request changes not a byte of the database: the handler is never reached.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from controlplane.pages.page import Entry
from controlplane.pages.table import PAGES
from controlplane.service.principal import Role
from tests.integration.controlplane.plane import Plane
from tests.support.visitors import PageVisitor

FORMS = [route for route in PAGES if route.method == "POST"]


def address(path: str) -> str:
    """*path* with a value for each of its parts."""
    return re.sub(r"\{\w+\}", "abc-def-ghi", path)


def content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if path.name.startswith("controlplane.db"))


@pytest.fixture
async def ada(plane: Plane) -> PageVisitor:
    """An administrator, with the token of a page in hand."""
    await plane.add_user("Ada", Role.ADMIN)
    visitor = PageVisitor(plane.url, cookies={"session": await plane.session_of("Ada")})
    await visitor.get("/account")
    return visitor


async def test_no_form_is_taken_without_its_token_or_from_another_site(plane: Plane, ada: PageVisitor) -> None:
    before = content(plane.folder)
    for route in FORMS:
        for token in ("", "A" * 88):
            answer = await ada.send(address(route.path), {"csrf": token})
            assert (answer.status, answer.heading) == (403, "Refused"), (route.path, token)
        for name, value in (("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")):
            answer = await ada.send(address(route.path), {}, **{name: value})
            assert (answer.status, answer.heading) == (403, "Refused"), (route.path, name)
    assert content(plane.folder) == before
    assert len(FORMS) > 30


async def test_nobody_is_sent_to_sign_in_and_nothing_is_done(plane: Plane) -> None:
    nobody = PageVisitor(plane.url)
    await nobody.get("/sign-in")
    before = content(plane.folder)
    for route in FORMS:
        if route.entry is Entry.USER:
            answer = await nobody.send(address(route.path), {})
            assert (answer.status, answer.to) == (303, "/sign-in"), route.path
    assert content(plane.folder) == before


async def test_a_page_is_for_who_signed_in_but_for_the_ways_in(plane: Plane) -> None:
    """One that anybody may open begins with `/sign-in` or is the way out."""
    nobody = PageVisitor(plane.url)
    for route in PAGES:
        if route.entry is Entry.ANYBODY:
            assert route.path.startswith(("/sign-in", "/sign-out")), route.path
        elif route.method == "GET":
            answer = await nobody.get(address(route.path))
            assert answer.to.startswith("/sign-in?next="), route.path
