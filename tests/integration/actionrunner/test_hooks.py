"""Hooks over HTTP: what starts a run, what is the same request, and what is refused; and workflows by the public API."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from controlplane import epoch
from controlplane.service import runs, workflows
from controlplane.service.runs import RunView
from controlplane.store.tables import action_runs
from controlplane.store.workflowtables import hook_bodies, workflow_hooks
from tests.support.runnerplane import BOSS, RunnerPlane, played_runner, runner_plane
from worker.secret import Secret

SECRETS = {
    "GITHUB": "It's a Secret to Everybody",
    "SLACK": "8f742231b10e8888abcd99yyyzzz85a5",
    "CI": "correct horse battery",
}
DEFINITION = {
    "name": "flow",
    "runner": "berlin",
    "params": {"type": "object", "properties": {"what": {"type": "string", "maxLength": 20}}, "required": ["what"]},
    "triggers": [
        {"hook": {"verify": "hmac-sha256", "secret": "GITHUB"}, "params": {"what": "{{ trigger.ref }}"}},
        {"hook": {"verify": "slack", "secret": "SLACK"}, "params": {"what": "{{ trigger.text }}"}},
        {"hook": {"verify": "bearer", "secret": "CI"}, "params": {"what": "{{ trigger.what }}"}},
    ],
    "steps": [{"name": "act", "action": "data.jq", "input": {"program": ".", "value": "{{ params.what }}"}}],
}


@dataclass(slots=True)
class Sender:
    """Somebody who knows the workflow's hooks and secrets."""

    plane: RunnerPlane
    session: aiohttp.ClientSession
    hooks: dict[str, str]

    async def post(self, number: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        url = f"{self.plane.url}/hooks/{self.hooks[number]}"
        async with self.session.post(url, data=body, headers=headers) as reply:
            return reply.status, await reply.json()

    async def github(self, body: bytes, **headers: str) -> tuple[int, Any]:
        mac = hmac.new(SECRETS["GITHUB"].encode(), body, hashlib.sha256).hexdigest()
        return await self.post("0", body, {"X-Hub-Signature-256": f"sha256={mac}"} | headers)

    async def slack(self, fields: dict[str, str], *, late_s: int = 0) -> tuple[int, Any]:
        body = urlencode(fields).encode()
        time = str(epoch.milliseconds(self.plane.clock) // 1000 - late_s)
        signed = f"v0:{time}:".encode() + body
        mac = hmac.new(SECRETS["SLACK"].encode(), signed, hashlib.sha256).hexdigest()
        return await self.post("1", body, {"X-Slack-Request-Timestamp": time, "X-Slack-Signature": f"v0={mac}"})

    async def bearer(self, body: bytes, secret: str = SECRETS["CI"], **headers: str) -> tuple[int, Any]:
        return await self.post("2", body, {"Authorization": f"Bearer {secret}"} | headers)

    async def made(self) -> tuple[RunView, ...]:
        return await runs.list_newest(self.plane.database, BOSS, limit=100)

    @property
    def counted(self) -> dict[tuple[str, str], int]:
        return dict(self.plane.context.counters.hooks)


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


@pytest.fixture
async def sender(plane: RunnerPlane) -> AsyncIterator[Sender]:
    await plane.enrol()
    given = {name: Secret(text) for name, text in SECRETS.items()}
    pushed = await workflows.push(plane.database, plane.clock, BOSS, DEFINITION, given)
    async with aiohttp.ClientSession() as session:
        yield Sender(plane, session, pushed.stored.hooks)


async def test_a_hook_starts_a_run_with_what_it_says(plane: RunnerPlane, tmp_path: Path) -> None:
    identity, _ = await plane.enrol()
    given = {name: Secret(text) for name, text in SECRETS.items()}
    pushed = await workflows.push(plane.database, plane.clock, BOSS, DEFINITION, given)
    async with aiohttp.ClientSession() as session, played_runner(plane, identity) as runner:
        sender = Sender(plane, session, pushed.stored.hooks)
        status, told = await sender.github(b'{"ref": "main"}')
        assert status == 202
        view = await plane.ended(told["run"])
        assert (view.state, view.outcome and view.outcome["outputs"]["value"]) == ("succeeded", "main")
        [acted] = runner.actions.acted
        assert (acted.client, acted.caller) == ("hook", "hook/flow")
        status, told = await sender.slack({"text": "checkout", "trigger_id": "1", "token": "old-proof"})
        assert (status, told["response_type"]) == (200, "ephemeral")
        status, told = await sender.bearer(b'{"what": "this"}')
        assert status == 202
    for one in plane.folder.iterdir():
        if one.is_file():
            assert not any(text.encode() in one.read_bytes() for text in SECRETS.values())


async def test_the_same_signed_body_is_one_run_even_at_once(sender: Sender) -> None:
    told = await asyncio.gather(*(sender.github(b'{"ref": "main"}') for _ in range(8)))
    assert {status for status, _ in told} == {202}
    assert len({one["run"] for _, one in told}) == 1
    assert len(await sender.made()) == 1
    assert sender.counted == {("flow", "accepted"): 1, ("flow", "repeated"): 7}
    assert (await sender.github(b'{"ref": "main" }'))[0] == 202
    assert len(await sender.made()) == 2


async def test_after_ten_minutes_it_is_a_replay(sender: Sender) -> None:
    await sender.github(b'{"ref": "main"}')
    await sender.plane.write(hook_bodies, {"at": epoch.milliseconds(sender.plane.clock) - 601_000})
    assert (await sender.github(b'{"ref": "main"}'))[0] == 409
    assert sender.counted[("flow", "replayed")] == 1
    assert len(await sender.made()) == 1


async def test_what_is_not_proven_starts_nothing(sender: Sender) -> None:
    wrong = {"X-Hub-Signature-256": "sha256=" + "0" * 64}
    assert (await sender.post("0", b'{"ref": "main"}', wrong))[0] == 401
    assert (await sender.bearer(b'{"what": "x"}', "another secret"))[0] == 401
    assert (await sender.slack({"text": "x"}, late_s=301)) == (401, {"error": "the proof is too old"})
    sender.hooks["9"] = "0" * 32
    assert (await sender.post("9", b"{}", wrong)) == (401, {"error": "the proof does not hold"})
    assert sender.counted == {("flow", "wrong"): 2, ("flow", "stale"): 1, ("", "wrong"): 1}
    assert await sender.made() == ()


async def test_after_ten_failures_an_address_waits(sender: Sender) -> None:
    sender.hooks["9"] = "0" * 32
    told = [(await sender.post("9", b"{}", {}))[0] for _ in range(12)]
    assert told == [401] * 10 + [429] * 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[]", "the body is not a valid JSON object"),
        (b'{"what": 7}', "params: "),
        (b'{"what": "' + b"x" * 21 + b'"}', "params: "),
        (b'{"other": "x"}', "triggers[2].params.what: trigger.what is not there"),
    ],
)
async def test_what_the_workflow_cannot_take_is_refused(sender: Sender, body: bytes, said: str) -> None:
    status, told = await sender.bearer(body)
    assert status == 400
    assert told["error"].startswith(said)
    assert await sender.made() == ()


async def test_a_greeting_is_answered_and_starts_nothing(sender: Sender) -> None:
    assert (await sender.github(b'{"zen": "x"}', **{"X-GitHub-Event": "ping"})) == (200, {"workflow": "flow"})
    assert await sender.made() == ()


async def test_a_bearer_may_name_its_request(sender: Sender) -> None:
    first = await sender.bearer(b'{"what": "x"}', **{"Idempotency-Key": "a"})
    assert await sender.bearer(b'{"what": "x"}', **{"Idempotency-Key": "a"}) == first
    assert (await sender.bearer(b'{"what": "y"}', **{"Idempotency-Key": "a"}))[0] == 409
    await sender.bearer(b'{"what": "x"}')
    await sender.bearer(b'{"what": "x"}')
    assert len(await sender.made()) == 3
    await sender.plane.write(action_runs, {"created_at": 1})
    assert (await sender.bearer(b'{"what": "y"}', **{"Idempotency-Key": "a"}))[0] == 202


async def test_a_hook_keeps_its_address_and_its_secret_when_the_file_is_pushed_again(sender: Sender) -> None:
    plane = sender.plane
    changed = DEFINITION | {"triggers": DEFINITION["triggers"][::-1]}  # type: ignore[index]
    pushed = await workflows.push(plane.database, plane.clock, BOSS, changed, {})
    assert [pushed.stored.hooks[n] for n in ("2", "1", "0")] == [sender.hooks[n] for n in ("0", "1", "2")]
    assert (await sender.github(b'{"ref": "main"}'))[0] == 202


async def test_a_paused_workflow_and_a_planted_hook_start_nothing(sender: Sender) -> None:
    plane = sender.plane
    async with plane.database.write() as connection:
        [row] = (await connection.execute(workflow_hooks.select().limit(1))).all()
        await connection.execute(workflow_hooks.insert().values(id="f" * 32, workflow_id=row.workflow_id))
    sender.hooks["9"] = "f" * 32
    assert (await sender.post("9", b'{"what": "x"}', {"Authorization": f"Bearer {SECRETS['CI']}"}))[0] == 401
    await workflows.set_paused(plane.database, plane.clock, BOSS, "flow", paused=True)
    assert (await sender.github(b'{"ref": "main"}')) == (409, {"error": "the workflow is paused"})
    assert await sender.made() == ()


async def test_a_body_that_is_too_large_is_not_read(sender: Sender) -> None:
    url = f"{sender.plane.url}/hooks/{sender.hooks['0']}"
    async with sender.session.post(url, data=io.BytesIO(b" " * (1024 * 1024 + 1))) as reply:
        assert reply.status == 413


async def test_requests_to_hooks_are_counted(sender: Sender) -> None:
    await sender.github(b'{"ref": "main"}')
    async with sender.session.get(f"{sender.plane.url}/metrics") as reply:
        text = await reply.text()
    assert 'synthetics_controlplane_hooks_total{result="accepted",workflow="flow"} 1.0' in text


async def test_a_workflow_is_started_by_a_key_that_names_it(sender: Sender) -> None:
    plane = sender.plane
    key = await plane.add_key("workflow/flow")
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "job-7"}
    url = f"{plane.url}/v1/runs"
    wish = {"workflow": "flow", "params": {"what": "sha"}}
    async with sender.session.post(url, json=wish, headers=headers) as reply:
        assert reply.status == 202
        run = await reply.json()
    assert (run["workflow"], run["action"], run["state"]) == ("flow", None, "queued")
    assert [(step["name"], step["state"]) for step in run["steps"]] == [("act", "queued")]
    async with sender.session.post(url, json=wish, headers=headers) as reply:
        assert (await reply.json())["id"] == run["id"]
    async with sender.session.post(url, json=wish | {"params": {"what": "other"}}, headers=headers) as reply:
        assert reply.status == 409
    async with sender.session.post(url, json=wish | {"runner": "x"}, headers=headers) as reply:
        assert reply.status == 400
    async with sender.session.post(url, json={"action": "data.jq", "runner": "berlin"}, headers=headers) as reply:
        assert reply.status == 403
    other = {"Authorization": f"Bearer {await plane.add_key('workflow/other-*', name='other')}"}
    async with sender.session.post(url, json=wish, headers=other) as reply:
        assert reply.status == 403
    async with sender.session.get(f"{url}/{run['id']}", headers=other) as reply:
        assert reply.status == 404
    async with sender.session.get(f"{url}?limit=5", headers=headers) as reply:
        assert [json.dumps(one["workflow"]) for one in (await reply.json())["runs"]] == ['"flow"']
