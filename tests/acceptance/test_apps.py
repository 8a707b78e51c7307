"""Story 3 of private actions as a user lives it: publish an app, sign in by its link, and be answered by the runner itself."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.apptokens import PageRequest, digest, page_input
from tests.support.programs import ControlPlane
from tests.support.runnerprograms import RunnerProgram
from tests.support.servers.target import Target
from tests.support.visitors import PageVisitor
from worker.wire.signingkey import VerifyingKey

pytestmark = pytest.mark.acceptance

CANARY = "canary-8675309"
DESK = """
name: desk
runner: berlin
allow: ["user/*@corp.example"]
queries:
  customer:
    action: http.request
    connection: crm
    input: {verb: GET, url: "/v1/customers/{{ params.name }}"}
    params: {type: object, properties: {name: {type: string}}, required: [name]}
"""


@pytest.fixture
def runner(control_plane: ControlPlane, tmp_path: Path) -> Iterator[RunnerProgram]:
    create = ("--modes", "pull,push", "--host", "https://runner.corp.example")
    program = RunnerProgram(control_plane, tmp_path / "runner", create=create)
    try:
        yield program
    finally:
        program.kill()


async def minted(plane: ControlPlane, visitor: PageVisitor, text: str) -> dict[str, Any]:
    """What the page asks this site for."""
    headers = {"Origin": plane.url, "X-App-Page": "1"}
    async with (
        aiohttp.ClientSession(cookies=visitor.cookies, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
        session.post(
            f"{plane.url}/v1/apps/desk/queries/customer/token", json={"digest": digest(text)}, headers=headers
        ) as answer,
    ):
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


async def test_a_person_signs_in_by_a_link_and_is_answered_by_the_runner(
    control_plane: ControlPlane, runner: RunnerProgram, target: Target, tmp_path: Path
) -> None:
    plane = control_plane
    rules: list[dict[str, Any]] = [
        {"name": "desk", "allow": "http.request", "clients": ["app"], "when": {"url": {"paths": ["/v1/customers/*"]}}},
        {"name": "jq", "allow": "data.jq", "clients": ["cli"]},
    ]
    runner.allow(rules, {"crm": {"type": "http", "base_url": target.url}})
    program = runner.start()
    port = int(re.findall(r"requests of pages on 127\.0\.0\.1, port (\d+)", program.output)[0])
    file = tmp_path / "desk.yaml"
    file.write_text(DESK)
    assert "app 'desk' is version 1: 1 query on runner 'berlin'" in plane.command("app", "push", str(file))
    plane.command("user", "add", "alice@corp.example")
    link = plane.command("app", "link", "desk", "--user", "alice@corp.example", "--at", plane.url).strip()

    visitor = PageVisitor(plane.url)
    await visitor.get(link.removeprefix(plane.url))
    fields = dict(re.findall(r"(token|next)=([^&]*)", link.replace("%2F", "/")))
    entered = await visitor.send("/sign-in/link", fields)
    assert (entered.status, entered.to) == (303, "/apps/desk")
    page = await visitor.follow(entered)
    assert (page.status, page.heading) == (200, "desk")
    assert "connect-src 'self' https://runner.corp.example" in page.headers["Content-Security-Policy"]

    text = page_input({"name": CANARY})
    token = await minted(plane, visitor, text)
    assert token["url"] == "https://runner.corp.example/v1/actions/http.request"
    request = PageRequest(token=token["token"], text=text, path="/v1/actions/http.request")
    request.set("Origin", plane.url)
    answer = await request.send(port)
    assert answer.status == 200, answer.body
    assert answer.said["outputs"]["body"] == {"status": "ok"}
    assert answer.is_proven(VerifyingKey.from_jwk(token["runner_keys"][0], "ES256"), token["jti"])
    assert target.hits[f"/v1/customers/{CANARY}"] == 1
    assert (await request.send(port)).code == "used"

    up = page_input({"name": "../7"})
    token = await minted(plane, visitor, up)
    request.token, request.text = token["token"], up
    denied = await request.send(port)
    assert (denied.said["outcome"], denied.code) == ("failed", "INVALID_INPUT"), "the path stays the author's"
    assert target.hits.total() == 1
    pulled = runner.order("data.jq", {"program": ".+1", "value": 1})
    assert (pulled.returncode, json.loads(pulled.stdout)) == (0, {"value": 2}), "both modes in one process"

    program.signal(signal.SIGTERM)
    assert program.wait() == 0
    files = [path for path in plane.folder.rglob("controlplane*") if path.is_file()]
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]
    assert f'"task":"{token["jti"]}"' in program.output, "the runner's audit log has the id of the control plane's"
