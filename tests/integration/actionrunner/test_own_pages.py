"""An app's page that its users host themselves, as the guide has it: copies in nginx, and no script of the control plane's."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from controlplane.service import apps, links, users
from controlplane.service.principal import Role
from tests.support.browser import Browser
from tests.support.checkout import ROOT
from tests.support.pushplane import ALICE, DESK, push_runner
from tests.support.runnerplane import BOSS, RunnerPlane, runner_plane
from tests.support.servers.nginx import nginx
from tests.support.servers.tcp import closed_port
from tests.support.visitors import PageVisitor
from tests.support.waiting import until


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


async def link_of(plane: RunnerPlane) -> tuple[str, dict[str, str]]:
    """The path of a link that signs Alice in, and its fields."""
    path = (await links.create(plane.database, plane.clock, BOSS, ALICE.name)).path.reveal()
    return f"{path}&next={quote('/apps/desk', safe='')}", dict(re.findall(r"(token)=([^&]*)", path))


async def copies(plane: RunnerPlane) -> dict[str, str]:
    """The page as a browser saves it, and the files that it names, by their paths."""
    visitor = PageVisitor(plane.url)
    path, fields = await link_of(plane)
    await visitor.get(path)
    page = await visitor.follow(await visitor.send("/sign-in/link", {**fields, "next": "/apps/desk"}))
    named = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text))
    return {"/apps/desk": page.text} | {path: (await visitor.get(path)).text for path in named}


def configuration(plane: RunnerPlane, runner: str) -> str:
    """The guide's, with this test's addresses and without TLS."""
    blocks = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs" / "actions.md").read_text(), re.DOTALL)
    [block] = [each for each in blocks if "desk.corp.example" in each]
    block = re.sub(r"    ssl_certificate.*\n", "", block).replace("{", "{{").replace("}", "}}")
    for word, ours in (
        ("443 ssl", "127.0.0.1:{ports[0]}"),
        ("/srv/desk", "{folder}/www"),
        ("http://127.0.0.1:8080", plane.url),
        ("https://runner.corp.example", runner),
    ):
        assert word in block
        block = block.replace(word, ours)
    return block


@pytest.mark.long
async def test_a_page_of_one_s_own_is_answered_and_nothing_that_the_control_plane_sends_runs_there(
    plane: RunnerPlane, browser: Browser
) -> None:
    port = closed_port()
    host = f"http://127.0.0.1:{port}"
    identity, _ = await plane.enrol(modes=("pull", "push"), host=host)
    await apps.push(plane.database, plane.clock, BOSS, DESK)
    await users.create(plane.database, plane.clock, BOSS, ALICE.name, role=Role.VIEWER, hasher=plane.context.passwords)
    files = await copies(plane)

    def put(folder: Path) -> None:
        for path, text in files.items():
            (folder / "www" / path[1:]).parent.mkdir(exist_ok=True)
            (folder / "www" / path[1:]).write_text(text)

    async with nginx(configuration(plane, host), prepare=put) as (_, (front,)):
        own = f"http://127.0.0.1:{front}"
        async with push_runner(plane, identity, host_url=host, at=port, origins=[own]) as there:
            await until(lambda: there.runner.channel.last_signed_reply_ns is not None)
            path, _ = await link_of(plane)

            def steps(page: Any) -> tuple[str, str, list[bool]]:
                page.goto(f"{plane.url}/sign-in")
                scripted = [bool(page.evaluate(RUNS_SCRIPTS))]
                page.goto(own + path)
                scripted.append(bool(page.evaluate(RUNS_SCRIPTS)))
                page.get_by_role("button", name="Sign in").click()
                page.get_by_role("heading", name="desk").wait_for()
                page.get_by_label("id", exact=True).fill("7")
                page.get_by_role("button", name="Ask").first.click()
                answer = page.locator("[data-answer=customer]")
                answer.locator("pre, .failure").wait_for()
                return page.url, str(answer.inner_text()), scripted

            at, answer, scripted = await browser.walk(steps)
            [order] = there.runner.actions.acted
    assert at == f"{own}/apps/desk"
    assert "the runner's signature holds" in answer
    assert order.input["value"] == {"id": 7}
    assert scripted == [True, False], (
        "what the control plane serves runs scripts in its own origin, and none in that of the copies"
    )


RUNS_SCRIPTS = """() => new Promise((resolve) => {
  const script = document.createElement("script");
  script.src = "/static/none.js";
  document.addEventListener("securitypolicyviolation", () => resolve(false));
  script.addEventListener("error", () => setTimeout(() => resolve(true), 0));
  document.head.append(script);
})"""
"""Tell if a script of the page's own origin would be loaded; there is none, so a load that is tried fails otherwise."""
