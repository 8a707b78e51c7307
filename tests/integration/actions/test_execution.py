"""The order of the checks, the files that change under a runner, and `explain` beside the execution itself."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.actions import RunnerOfOrders, allow_all, order, token_file
from tests.support.clock import FakeClock
from tests.support.servers.http import reply, serving
from worker.actionrunner.execution import NotStarted
from worker.actionrunner.judging import judge
from worker.actionrunner.localstate import LocalFiles, LocalPlaces, LocalState
from worker.actions.action import ActionOutcome, Effect

GET = {"verb": "GET", "url": "/"}


def code(outcome: ActionOutcome) -> str:
    return "" if outcome.error is None else outcome.error.code


def entry(tmp_path: Path, **members: Any) -> dict[str, Any]:
    credentials = {"file": token_file(tmp_path / "crm.json", token="s3cret-of-the-crm")}
    headers = {"Authorization": "Bearer {{ token }}"}
    return {"type": "http", "base_url": "http://127.0.0.1:1", "headers": headers, "credentials": credentials, **members}


async def test_the_earlier_check_wins(tmp_path: Path) -> None:
    """§4.4 from check 9 on: one fault a step, each with all later faults beside it."""
    rules = [{"name": "crm", "allow": "http.request", "connections": ["crm"], "when": {"verb": ["GET"]}}]
    connections = {"crm": entry(tmp_path), "db": {"type": "script", "file": "none.yaml"}}
    made = RunnerOfOrders(tmp_path, connections=connections, rules=rules)
    (tmp_path / "crm.json").unlink()
    faults: list[tuple[str, tuple[str, dict[str, Any]], dict[str, Any]]] = [
        ("MODE", ("http.nothing", {}), {"client": "app", "connection": "nowhere"}),
        ("UNKNOWN_ACTION", ("http.nothing", {}), {"connection": "nowhere"}),
        ("CONNECTION", ("http.request", {}), {"connection": "nowhere"}),
        ("CONNECTION", ("http.request", {}), {"connection": "db"}),
        ("CONNECTION", ("http.testConnection", {"x": 1}), {}),
        ("INVALID_INPUT", ("http.request", {"verb": "PUT"}), {"connection": "crm"}),
        ("INVALID_INPUT", ("http.request", {"verb": "PUT", "url": "/../x"}), {"connection": "crm"}),
        ("DENIED", ("http.request", {"verb": "PUT", "url": "/"}), {"connection": "crm"}),
        ("CREDENTIALS", ("http.request", GET), {"connection": "crm"}),
    ]
    for expected, arguments, facts in faults:
        assert code(await made.run(*arguments, **facts)) == expected
    assert made.effects == []


async def test_nothing_is_sent_where_the_start_cannot_be_written(tmp_path: Path) -> None:
    async def full_disk(_effect: Effect) -> None:
        raise NotStarted("JOURNAL", "the disk is full")

    async with serving(lambda seen: reply()) as server:
        connections = {"crm": entry(tmp_path, base_url=server.url(""))}
        made = RunnerOfOrders(tmp_path, connections=connections, rules=allow_all("http.*"))
        asked = order("http.request", GET, connection="crm")
        outcome = await made.execution.execute(asked, before_acting=full_disk)
    assert code(outcome) == "JOURNAL"
    assert server.seen == []


async def test_a_connection_is_busy_above_its_concurrency_and_free_again(tmp_path: Path) -> None:
    async with serving(lambda seen: reply()) as server:
        connections = {"crm": entry(tmp_path, base_url=server.url(""), concurrency=1)}
        made = RunnerOfOrders(tmp_path, connections=connections, rules=allow_all("http.*"))
        inner: list[ActionOutcome] = []

        async def meanwhile(_effect: Effect) -> None:
            inner.append(await made.run("http.request", GET, connection="crm"))

        asked = order("http.request", GET, connection="crm")
        outer = await made.execution.execute(asked, before_acting=meanwhile)
        again = await made.run("http.request", GET, connection="crm")
    assert [code(outer), code(inner[0]), code(again)] == ["", "BUSY", ""]


async def test_credentials_are_read_for_every_order(tmp_path: Path) -> None:
    async with serving(lambda seen: reply()) as server:
        connections = {"crm": entry(tmp_path, base_url=server.url(""))}
        made = RunnerOfOrders(tmp_path, connections=connections, rules=allow_all("http.*"))
        await made.run("http.request", GET, connection="crm")
        token_file(tmp_path / "crm.json", token="the-next-one")
        await made.run("http.request", GET, connection="crm")
        token_file(tmp_path / "crm.json", other="the-next-one")
        missing = await made.run("http.request", GET, connection="crm")
        (tmp_path / "crm.json").chmod(0o604)
        readable = await made.run("http.request", GET, connection="crm")
    assert [seen.header("authorization") for seen in server.seen] == ["Bearer s3cret-of-the-crm", "Bearer the-next-one"]
    assert [code(missing), code(readable)] == ["CREDENTIALS", "CREDENTIALS"]


class RewrittenPlaces(LocalPlaces):
    """The policy is written while it is being read: what was read of it is what it said before."""

    def read(self) -> LocalState:
        state = LocalPlaces.read(self)
        if not state.policy.rules:
            self.policy.write_text(json.dumps({"rules": allow_all("data.jq")}))
        return state


async def test_a_change_while_a_file_is_read_is_seen_with_the_next_look(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text('{"rules": []}')
    places = RewrittenPlaces(directory=tmp_path, connections=tmp_path / "c.yaml", policy=tmp_path / "policy.yaml")
    files = LocalFiles(places, FakeClock())
    assert files.state.policy.rules == ()
    await files.look()
    assert len(files.state.policy.rules) == 1


async def test_a_broken_policy_denies_all_and_mended_it_works(tmp_path: Path) -> None:
    """Check 25: looked at every two seconds; nothing is allowed five seconds after it broke."""
    clock = FakeClock()
    made = RunnerOfOrders(tmp_path, rules=allow_all("data.jq"), clock=clock)

    def decision() -> str | None:
        return judge(order("data.jq", {"program": "."}), {"pull"}, made.files.state).fault

    assert decision() is None
    (tmp_path / "policy.yaml").write_text("rules: [")
    await made.files.look()
    assert decision() is None  # it may be half written
    await clock.advance(6)
    await made.files.look()
    assert decision() == "DENIED"
    made.write({}, allow_all("data.jq"))
    await made.files.look()
    assert decision() is None
    made.write({}, [])
    await made.files.look()
    assert decision() == "DENIED"


ACTIONS = (
    "http.request",
    "com.datadoghq.http.request",
    "http.testConnection",
    "data.jq",
    "script.testConnection",
    "no.such",
)
INPUTS: tuple[dict[str, Any], ...] = (
    {},
    GET,
    {"verb": "PUT", "url": "/v1/x"},
    {"verb": "GET", "url": "/a/../b"},
    {"verb": "GET", "url": "http://127.0.0.1:1/v1/y"},
    {"verb": "GET", "url": "http://[::1/"},
    {"program": "."},
    {"program": 1},
)
RULES: tuple[dict[str, Any], ...] = (
    {"allow": "http.*"},
    {"allow": "**", "clients": ["api"]},
    {"allow": "http.request", "when": {"url": {"paths": ["/v1/**"]}}},
    {"allow": "http.request", "connections": ["crm"], "when": {"verb": ["GET"]}},
    {"deny": "http.request", "callers": ["key/*"]},
    {"deny": "**", "clients": ["hook"]},
    {"allow": "data.*"},
)


async def agree(tmp_path: Path, count: int) -> None:
    """What `judge` says, by which `explain` is made, is what becomes of the order, before anything is read or sent."""
    rng = random.Random(15)

    async def not_now(_effect: Effect) -> None:
        raise NotStarted("JOURNAL", "not now")

    connections = {"crm": entry(tmp_path), "shut": entry(tmp_path, allow={"actions": ["data.*"]})}
    for _ in range(count // 50):
        rules = [{"name": f"r{n}", **rule} for n, rule in enumerate(rng.sample(RULES, rng.randint(0, 4)))]
        made = RunnerOfOrders(tmp_path, connections=connections, rules=rules)
        for _ in range(50):
            asked = order(
                rng.choice(ACTIONS),
                rng.choice(INPUTS),
                connection=rng.choice((None, "crm", "crm", "shut", "nowhere")),
                client=rng.choice(("cli", "api", "hook", "app")),
                caller=rng.choice(("user/alice", "key/ci")),
            )
            explained = judge(asked, {"pull"}, made.files.state)
            outcome = await made.execution.execute(asked, before_acting=not_now)
            assert code(outcome) == (explained.fault or "JOURNAL"), asked


async def test_explain_and_execution_agree(tmp_path: Path) -> None:
    """Check 26, a part of it."""
    await agree(tmp_path, 500)


@pytest.mark.long
async def test_explain_and_execution_agree_on_ten_thousand_orders(tmp_path: Path) -> None:
    await agree(tmp_path, 10_000)
