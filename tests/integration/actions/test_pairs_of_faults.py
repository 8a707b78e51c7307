"""Check 9, for the checks 9 to 19 of an order: each fault has its code, and of two faults the earlier one is told."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from tests.support.actions import RunnerOfOrders, order, token_file
from tests.support.servers.http import Seen, Server, reply, serving
from worker.actionrunner.execution import NotStarted
from worker.actions.action import Effect

MOST = 2000
"""Bytes of an output."""
FAULTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("mode", "MODE", {"client": "app"}),
    ("action", "UNKNOWN_ACTION", {"action": "http.nothing"}),
    ("no such connection", "CONNECTION", {"connection": "nowhere"}),
    ("unusable connection", "CONNECTION", {"connection": "broken"}),
    ("schema", "INVALID_INPUT", {"extra": {"unknown": 1}}),
    ("policy", "DENIED", {"verb": "DELETE"}),
    ("rate", "BUSY", {"caller": "user/busy"}),
    ("credentials", "CREDENTIALS", {"connection": "without"}),
    ("journal", "JOURNAL", {"journal": "full"}),
    ("target", "ACTION", {"url": "/500"}),
    ("select", "SELECT", {"select": "error("}),
    ("size", "OUTPUT_TOO_LARGE", {"url": "/large"}),
)
"""Name, code, and what makes it of an order that has none, in the order of the checks."""
GOOD: dict[str, Any] = {
    "action": "http.request",
    "client": "cli",
    "connection": "crm",
    "extra": {},
    "verb": "GET",
    "caller": "user/alice",
    "journal": "writes",
    "url": "/good",
    "select": None,
}


def answer(seen: Seen) -> bytes:
    if seen.target == "/500":
        return reply(status="500 Internal Server Error")
    return reply(b"x" * (10 * MOST if seen.target == "/large" else 10))


def runner_of(tmp_path: Path, server: Server) -> RunnerOfOrders:
    base = {"type": "http", "base_url": f"http://127.0.0.1:{server.port}", "headers": {"X-Token": "{{ token }}"}}
    connections = {
        "crm": {**base, "credentials": {"file": token_file(tmp_path / "crm.json", token="s3cret-of-the-crm")}},
        "without": {**base, "credentials": {"file": str(tmp_path / "gone.json")}},
        "broken": {"type": "http"},
    }
    rules: list[dict[str, Any]] = [
        {"name": "no", "deny": "http.request", "when": {"verb": ["DELETE"]}},
        {"name": "seldom", "allow": "**", "callers": ["user/busy"], "rate": {"max": 1, "per": "1h"}},
        {"name": "yes", "allow": "**", "callers": ["user/alice"]},
    ]
    return RunnerOfOrders(tmp_path, connections=connections, rules=rules, max_output_bytes=MOST)


async def code_of(runner: RunnerOfOrders, facts: dict[str, Any]) -> str:
    async def start(_effect: Effect) -> None:
        if facts["journal"] == "full":
            raise NotStarted("JOURNAL", "the disk is full")

    asked = order(
        facts["action"],
        {"verb": facts["verb"], "url": facts["url"], **facts["extra"]},
        connection=facts["connection"],
        client=facts["client"],
        caller=facts["caller"],
        select=facts["select"],
    )
    outcome = await runner.execution.execute(asked, before_acting=start)
    return "" if outcome.error is None else outcome.error.code


async def test_a_fault_has_its_code_and_of_two_the_earlier_one_is_told(tmp_path: Path) -> None:
    async with serving(answer) as server:
        runner = runner_of(tmp_path, server)
        assert await code_of(runner, GOOD) == ""
        assert await code_of(runner, {**GOOD, "caller": "user/busy"}) == "", "its one order of the hour"
        for name, code, change in FAULTS:
            assert await code_of(runner, GOOD | change) == code, name
        tried = 0
        for (first, code, change), (second, _, later) in itertools.combinations(FAULTS, 2):
            if not change.keys() & later.keys():
                tried += 1
                assert await code_of(runner, GOOD | later | change) == code, f"{first}, then {second}"
        assert tried > 55
