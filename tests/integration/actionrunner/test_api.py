"""Runs over the public API: keys with scopes over actions, idempotency keys, waits, and the verbs of a person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.runnerplane import PlayedActions, RunnerPlane, played_runner, runner_plane
from tests.support.waiting import PATIENCE, until
from worker.actions.action import ActionError, ActionOutcome, ActionStatus, Order

ORDER = {"action": "data.jq", "runner": "berlin", "input": {"program": "."}}


@dataclass(slots=True)
class Caller:
    plane: RunnerPlane
    session: aiohttp.ClientSession
    key: str

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        sent = {"Authorization": f"Bearer {self.key}"} | {
            name.replace("_", "-"): text for name, text in headers.items()
        }
        url = f"{self.plane.url}/v1/runs{path}"
        async with self.session.request(method, url, json=body, headers=sent) as reply:
            return reply.status, await reply.json()


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


@pytest.fixture
async def caller(plane: RunnerPlane) -> AsyncIterator[Caller]:
    key = await plane.add_key("action/data.*")
    async with aiohttp.ClientSession() as session:
        yield Caller(plane, session, key)


async def test_a_run_is_ordered_and_waited_for_in_one_request(plane: RunnerPlane, caller: Caller) -> None:
    identity, _ = await plane.enrol()
    async with played_runner(plane, identity) as runner:
        status, run = await caller.call("POST", "?wait=60", ORDER)
        assert (status, run["state"], run["outputs"]) == (200, "succeeded", {"program": "."})
        assert run["by"]["kind"] == "key"
        [acted] = runner.actions.acted
        assert (acted.client, acted.caller) == ("api", f"key/{run['by']['id']}")


async def test_without_a_wait_a_run_is_accepted_and_read_later(plane: RunnerPlane, caller: Caller) -> None:
    identity, _ = await plane.enrol()
    status, run = await caller.call("POST", "", ORDER)
    assert (status, run["state"]) == (202, "queued")
    async with played_runner(plane, identity):
        status, run = await caller.call("GET", f"/{run['id']}?wait=60")
        assert (status, run["state"]) == (200, "succeeded")
    status, found = await caller.call("GET", "?limit=5")
    assert [one["id"] for one in found["runs"]] == [run["id"]]
    assert found["runs"][0]["outputs"] is None


async def test_a_wait_that_ends_first_says_how_it_stands(plane: RunnerPlane, caller: Caller) -> None:
    await plane.enrol()
    status, run = await caller.call("POST", "?wait=1", ORDER)
    assert (status, run["state"]) == (202, "queued")


async def test_the_same_key_and_body_are_one_run_and_another_body_is_a_conflict(
    plane: RunnerPlane, caller: Caller
) -> None:
    await plane.enrol()
    _, first = await caller.call("POST", "", ORDER, Idempotency_Key="job-7")
    _, again = await caller.call("POST", "", dict(reversed(ORDER.items())), Idempotency_Key="job-7")
    assert again["id"] == first["id"]
    status, refused = await caller.call("POST", "", ORDER | {"input": {}}, Idempotency_Key="job-7")
    assert status == 409
    assert "job-7" in refused["errors"][0]
    _, other = await caller.call("POST", "", ORDER, Idempotency_Key="job-8")
    assert other["id"] != first["id"]
    key = await plane.add_key("action/**", name="another")
    _, theirs = await Caller(plane, caller.session, key).call("POST", "", ORDER, Idempotency_Key="job-7")
    assert theirs["id"] != first["id"]


@pytest.mark.parametrize(
    ("scopes", "action", "allowed"),
    [
        (("action/http.*",), "http.request", True),
        (("action/http.*",), "data.jq", False),
        (("action/*",), "http.request", False),
        (("action/**",), "http.request", True),
        (("action/kubernetes.*.getPod",), "kubernetes.core.getPod", True),
        (("action/data.jq",), "data.jqx", False),
        (("read", "write", "trigger"), "data.jq", False),
    ],
)
async def test_a_key_orders_what_its_scopes_cover(
    plane: RunnerPlane, caller: Caller, scopes: tuple[str, ...], action: str, allowed: bool
) -> None:
    await plane.enrol()
    caller.key = await plane.add_key(*scopes, name="scoped")
    status, _ = await caller.call("POST", "", ORDER | {"action": action})
    assert status == (202 if allowed else 403)
    prefixed, _ = await caller.call("POST", "", ORDER | {"action": f"com.datadoghq.{action}"})
    assert prefixed == status


async def test_who_may_not_order_an_action_does_not_see_its_runs(plane: RunnerPlane, caller: Caller) -> None:
    await plane.enrol()
    _, run = await caller.call("POST", "", ORDER)
    caller.key = await plane.add_key("action/http.*", "read", name="other")
    assert (await caller.call("GET", f"/{run['id']}"))[0] == 404
    assert (await caller.call("DELETE", f"/{run['id']}"))[0] == 404
    assert (await caller.call("GET", ""))[1]["runs"] == []


async def test_a_run_is_cancelled_by_delete(plane: RunnerPlane, caller: Caller) -> None:
    await plane.enrol()
    _, run = await caller.call("POST", "", ORDER)
    assert (await caller.call("DELETE", f"/{run['id']}"))[1]["state"] == "cancelled"
    status, refused = await caller.call("DELETE", f"/{run['id']}")
    assert status == 400
    assert "it has ended" in refused["errors"][0]


async def test_an_unknown_end_is_resolved_and_a_failed_one_retried(plane: RunnerPlane, caller: Caller) -> None:
    identity, _ = await plane.enrol()

    async def lost(_order: Order) -> ActionOutcome:
        error = ActionError(code="ACTION", message="the answer was lost", may_have_run=True)
        return ActionOutcome(status=ActionStatus.UNKNOWN, error=error)

    actions = PlayedActions({"data.jq": lost})
    async with played_runner(plane, identity, actions):
        _, run = await caller.call("POST", "?wait=60", ORDER)
        assert (run["state"], run["error"]["may_have_run"]) == ("unknown", True)
        _, run = await caller.call("POST", f"/{run['id']}/resolve", {"status": "failed"})
        assert run["state"] == "failed"
        actions.plays = {}
        await caller.call("POST", f"/{run['id']}/retry")
        _, run = await caller.call("GET", f"/{run['id']}?wait=60")
        assert (run["state"], len(run["tasks"])) == ("succeeded", 2)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (ORDER | {"runner": "nobody"}, 404),
        (ORDER | {"action": "data jq"}, 403),
        (ORDER | {"input": []}, 400),
        (ORDER | {"within": 0}, 400),
        (ORDER | {"timeout": 3601}, 400),
        (ORDER | {"surprise": 1}, 400),
        ({"action": "data.jq"}, 400),
        (ORDER | {"input": {"x": "y" * 300_000}}, 400),
    ],
    ids=["runner", "action", "input", "within", "timeout", "member", "missing", "size"],
)
async def test_a_wish_that_is_not_valid_is_refused(
    plane: RunnerPlane, caller: Caller, body: dict[str, Any], status: int
) -> None:
    await plane.enrol()
    found, refused = await caller.call("POST", "", body)
    assert found == status
    assert refused["errors"]


async def test_who_waits_for_a_run_is_answered_when_the_control_plane_ends(plane: RunnerPlane, caller: Caller) -> None:
    identity, _ = await plane.enrol()
    actions = PlayedActions({"data.jq": forever})
    async with played_runner(plane, identity, actions), asyncio.timeout(PATIENCE):
        waiting = asyncio.create_task(caller.call("POST", f"?wait={2 * PATIENCE:.0f}", ORDER))
        await until(lambda: actions.acted)
        plane.looking.cancel()
        status, run = await waiting
        assert (status, run["state"]) == (202, "leased")


async def forever(_order: Order) -> ActionOutcome:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def test_runners_are_read_by_keys_that_read_and_by_no_others(plane: RunnerPlane, caller: Caller) -> None:
    identity, _ = await plane.enrol()
    async with played_runner(plane, identity) as runner:
        await until(lambda: runner.channel.last_signed_reply_ns)
        assert (await read(plane, caller, caller.key, ""))[0] == 403, "a key of actions alone"
        key = await plane.add_key("read", name="reader")
        status, listed = await read(plane, caller, key, "")
        assert (status, [one["name"] for one in listed["runners"]]) == (200, ["berlin"])
        status, one = await read(plane, caller, key, "/berlin")
        assert (status, one["state"], one["alive"][0]["instance"]) == (200, "healthy", runner.instance)
        assert (await read(plane, caller, key, "/paris"))[0] == 404
        assert identity.keys.opening.public.pem not in str(one)


async def read(plane: RunnerPlane, caller: Caller, key: str, path: str) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {key}"}
    async with caller.session.get(f"{plane.url}/v1/runners{path}", headers=headers) as reply:
        return reply.status, await reply.json()
