"""An app's page in Chromium: what a person sees, what the browser sends to whom, and what is not shown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from controlplane.service import apps, links, runners, users
from controlplane.service.principal import Role
from controlplane.store.runners import RunnerState
from tests.support.browser import NARROW, REBOUND, Browser, is_wider_than_its_window, serious_findings
from tests.support.pushplane import PushRunner, push_runner
from tests.support.runnerplane import BOSS, PlayedActions, RunnerPlane, runner_plane
from tests.support.servers.tcp import closed_port
from tests.support.waiting import until
from worker.actions.action import ActionOutcome, Order, succeeded

CANARY = "canary-8675309"
ALICE = "alice@corp.example"
DESK: dict[str, Any] = {
    "name": "desk",
    "title": "Customer desk",
    "runner": "berlin",
    "allow": ["user/*@corp.example"],
    "queries": {
        "customer": {
            "action": "postgresql.namedQuery",
            "connection": "crm-db",
            "title": "Find a customer",
            "show": "table",
            "input": {
                "query": "customer_by_name",
                "params": {"name": {"$param": "name"}, "id": {"$param": "id"}, "size": {"$param": "size"}},
            },
            "params": {
                "properties": {
                    "name": {"type": "string", "title": "Name", "description": "As on the card"},
                    "id": {"type": "integer", "title": "Customer number"},
                    "size": {"type": "string", "enum": ["small", "large"]},
                },
                "required": ["name"],
            },
        },
        "restart": {
            "action": "script.runPredefinedScript",
            "connection": "ops",
            "title": "Restart the shop",
            "input": {"scriptName": "restart"},
        },
    },
}


POST = """async ([url, body]) => {
  const headers = { "Content-Type": "application/json" };
  try { return (await fetch(url, { method: "POST", headers, body })).status } catch (error) { return error.name }
}"""


async def rows(order: Order) -> ActionOutcome:
    given = order.input["params"]
    return succeeded(
        {"columns": ["name", "id"], "rows": [[f"<b>{given['name']}</b>", given.get("id")]], "truncated": False}
    )


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


@asynccontextmanager
async def desk(plane: RunnerPlane) -> AsyncIterator[PushRunner]:
    """The app and its runner, at an address that a browser can reach."""
    port = closed_port()
    host = f"http://127.0.0.1:{port}"
    identity, _ = await plane.enrol(modes=("pull", "push"), host=host)
    await apps.push(plane.database, plane.clock, BOSS, DESK)
    await users.create(plane.database, plane.clock, BOSS, ALICE, role=Role.VIEWER, hasher=plane.context.passwords)
    actions = PlayedActions({"postgresql.namedQuery": rows})
    async with push_runner(plane, identity, actions, host_url=host, at=port) as there:
        await until(lambda: there.runner.channel.last_signed_reply_ns is not None)
        yield there


@asynccontextmanager
async def another(plane: RunnerPlane) -> AsyncIterator[PushRunner]:
    """A runner beside the app's, for pages of the same control plane."""
    port = closed_port()
    host = f"http://127.0.0.1:{port}"
    identity, _ = await plane.enrol("rome", modes=("pull", "push"), host=host)
    async with push_runner(plane, identity, host_url=host, at=port) as there:
        yield there


async def link_of(plane: RunnerPlane) -> str:
    """The address that `app link` prints."""
    made = await links.create(plane.database, plane.clock, BOSS, ALICE)
    return f"{plane.url}{made.path.reveal()}&next={quote('/apps/desk', safe='')}"


def opened(page: Any, link: str) -> None:
    page.goto(link)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Customer desk").wait_for()


def asked(page: Any, name: str, number: str = "") -> str:
    """Fill the first form, send it, and read the answer."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Customer number").fill(number)
    page.get_by_role("button", name="Ask").click()
    answer = page.locator("[data-answer=customer]")
    answer.locator("table, .failure").wait_for()
    return str(answer.inner_text())


async def test_a_person_is_answered_and_nobody_between_learns_of_what(
    plane: RunnerPlane, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    async with desk(plane) as there:
        link = await link_of(plane)

        def steps(page: Any) -> dict[str, Any]:
            sent: list[Any] = []
            page.on("request", lambda request: sent.append((request.url, request.post_data or "")))
            opened(page, link)
            found: dict[str, Any] = {
                "findings": serious_findings(page),
                "answer": asked(page, CANARY, "9007199254740993"),
            }
            found["cells"] = page.locator("[data-answer=customer] td").all_inner_texts()
            found["answered findings"] = serious_findings(page)
            found["wide"] = is_wider_than_its_window(page)
            found["to us"] = [body for url, body in sent if url.startswith(plane.url)]
            found["to the runner"] = [url for url, _ in sent if f":{there.port}" in url]
            return found

        def foreign(page: Any) -> list[str]:
            """A page of another origin; one of ours at another name of the runner; one whose own name leads to the runner."""
            runner = f"http://127.0.0.1:{there.port}/v1/actions/data.jq"
            page.goto(plane.url.replace("127.0.0.1", "localhost") + "/healthz")
            found = [str(page.evaluate(POST, [runner, "{}"]))]
            page.goto(plane.url + "/healthz")
            found.append(str(page.evaluate(POST, [runner.replace("127.0.0.1", "localhost"), "{}"])))
            page.goto(f"http://{REBOUND}:{there.port}/liveness")
            found.append(str(page.evaluate(POST, ["/v1/actions/data.jq", "{}"])))
            return found

        seen = await browser.walk(steps, width=NARROW)
        assert browser.errors == []
        assert there.counted == [(204, "preflight"), (200, "succeeded")]
        assert await browser.walk(foreign) == ["TypeError", "TypeError", "421"]
        *preflights, rebound = there.counted[2:]
        assert set(preflights) == {(403, "origin"), (421, "host")}, "no preflight was let through: no POST was sent"
        assert rebound == (421, "host")
    assert seen["cells"] == [f"<b>{CANARY}</b>", "9007199254740993"], "text, never markup; digits, never rounded"
    assert "the runner's signature holds" in seen["answer"]
    assert seen["findings"] == seen["answered findings"] == []
    assert seen["wide"] is False
    assert seen["to the runner"] == [f"http://127.0.0.1:{there.port}/v1/actions/postgresql.namedQuery"]
    assert not any(CANARY in body for body in seen["to us"])
    assert CANARY.encode() not in b"".join(path.read_bytes() for path in plane.folder.glob("controlplane.db*"))
    assert CANARY not in caplog.text
    [order] = there.runner.actions.acted
    assert order.input == {"query": "customer_by_name", "params": {"name": CANARY, "id": 9007199254740993}}
    assert order.caller == f"user/{ALICE}"


async def test_what_goes_wrong_is_told_and_what_must_not_happen_twice_is_asked_first(
    plane: RunnerPlane, browser: Browser
) -> None:
    async with desk(plane) as there, another(plane) as rome:
        link = await link_of(plane)
        at = f"http://127.0.0.1:{there.port}/**"

        def altered(page: Any) -> dict[str, str]:
            """An ingress that alters answers, one that takes the signature away, and what was sent, sent again."""
            bodies: list[str] = []

            def alter(route: Any) -> None:
                reply = route.fetch()
                bodies.append(route.request.post_data)
                route.fulfill(response=reply, body=reply.text().replace("Ann", "Eve"))

            def strip(route: Any) -> None:
                reply = route.fetch()
                kept = {name: value for name, value in reply.headers.items() if name != "x-runner-proof"}
                route.fulfill(response=reply, headers=kept)

            def delay(route: Any) -> None:
                """Let the first token end on its way."""
                there.skew.by = timedelta(seconds=0 if late else 61)
                late.append(True)
                route.fulfill(response=route.fetch())

            found: dict[str, str] = {}
            late: list[bool] = []
            for name, handler in (("altered", alter), ("unsigned", strip), ("ended", delay)):
                page.route(at, handler)
                found[name] = asked(page, "Ann")
                page.unroute(at)
            url = f"http://127.0.0.1:{there.port}/v1/actions/postgresql.namedQuery"
            found["again"] = str(page.evaluate(POST, [url, bodies[0]]))
            other = json.loads(bodies[0]) | {"input": json.loads(bodies[0])["input"].replace("Ann", "Eve")}
            found["other"] = str(page.evaluate(POST, [url, json.dumps(other)]))
            page.goto(f"{plane.url}/healthz")  # a page of ours that may ask any runner
            found["elsewhere"] = str(page.evaluate(POST, [url.replace(str(there.port), str(rome.port)), bodies[0]]))
            page.goto(f"{plane.url}/apps/desk")
            return found

        def sure(page: Any) -> list[str]:
            page.get_by_role("button", name="Do it", exact=True).click()
            found = serious_findings(page)
            page.get_by_role("button", name="No").click()
            page.get_by_role("button", name="Do it", exact=True).click()
            page.get_by_role("button", name="Yes, do it").click()
            page.locator("[data-answer=restart]").get_by_text("Done in").wait_for()
            return found

        def public(page: Any) -> dict[str, str]:
            """The page as one of the internet, whose browser lets no page into a private network before a person has."""

            def tell(route: Any) -> None:
                reply = route.fetch()
                policy = reply.headers["content-security-policy"] + "; treat-as-public-address"
                route.fulfill(response=reply, headers={**reply.headers, "content-security-policy": policy})

            page.route("**/apps/desk", tell)
            page.goto(f"{plane.url}/apps/desk")
            found = {"blocked": asked(page, "Ann")}
            page.context.grant_permissions(["local-network-access"])
            found["granted"] = asked(page, "Ann")
            page.unroute("**/apps/desk")
            return found

        loop = asyncio.get_running_loop()

        def switch(state: RunnerState) -> None:
            change = runners.set_state(plane.database, plane.clock, BOSS, "berlin", state)
            asyncio.run_coroutine_threadsafe(change, loop).result()

        def away(page: Any) -> str:
            """The page while the runner is disabled."""
            switch("disabled")
            said = asked(page, "Ann")
            switch("enrolled")
            return said

        def steps(page: Any) -> dict[str, Any]:
            opened(page, link)
            found: dict[str, Any] = {**altered(page), "findings": sure(page), **public(page), "away": away(page)}
            page.route(at, lambda route: route.abort())
            found["unreached"] = asked(page, "Ann")
            page.unroute(at)
            page.context.clear_cookies()
            found["signed out"] = asked(page, "Ann")
            return found

        seen = await browser.walk(steps, dark=True)
    assert "was altered on its way, and is not shown" in seen["altered"]
    assert "does not bear the runner's signature" in seen["unsigned"]
    assert "Done in" in seen["ended"], "the page asked for another token by itself"
    assert [code for _, code in there.counted].count("expired") == 1
    assert "Eve" not in seen["altered"] + seen["unsigned"]
    assert (seen["again"], seen["other"], seen["elsewhere"]) == ("409", "403", "401")
    assert rome.counted == [(204, "preflight"), (401, "token")]
    assert seen["findings"] == []
    assert "allow “local network” in the settings of this site" in seen["blocked"]
    assert "Done in" in seen["granted"]
    assert "the runner berlin is disabled. Nothing was done." in seen["away"]
    assert "The runner was not reached" in seen["unreached"]
    assert "You are signed out" in seen["signed out"]
    scripts = [order for order in there.runner.actions.acted if order.action == "script.runPredefinedScript"]
    assert len(scripts) == 1
