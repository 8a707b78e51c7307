"""`checks.run`: an API test through the worker's own runner, made at its first use."""

from __future__ import annotations

from pathlib import Path

from tests.support.actions import RunnerOfOrders, allow_all
from tests.support.definitions import http_test
from tests.support.servers.http import reply, serving
from worker.actionrunner.testrunner import InsideTests
from worker.actions.action import ActionStatus


async def test_a_test_passes_fails_or_is_none(tmp_path: Path) -> None:
    made = RunnerOfOrders(tmp_path, rules=allow_all("checks.run"))
    async with (
        serving(lambda seen: reply(b"ok" if seen.target == "/ok" else b"", status="200 OK")) as server,
        InsideTests(made.doors, made.clock, 10.0) as tests,
    ):
        made = RunnerOfOrders(tmp_path, rules=allow_all("checks.run"), run_test=tests.run)
        definition = http_test(url=server.url("/ok"))
        passed = await made.run("checks.run", {"test": definition})
        failed = await made.run("checks.run", {"test": http_test(url="http://127.0.0.1:1/")})
        denied = await made.run("checks.run", {"test": http_test(url="http://169.254.169.254/")})
        invalid = await made.run("checks.run", {"test": {"type": "api"}})
    assert passed.status is ActionStatus.SUCCEEDED, passed
    assert passed.outputs is not None
    assert passed.outputs["status"] == "passed"
    assert failed.error is not None
    assert (failed.error.code, failed.error.detail) == ("ACTION", "CHECK")
    assert failed.outputs is not None
    assert failed.outputs["failure"]["code"] == "CONNREFUSED"
    assert "DENIED" in str(denied.error)
    assert invalid.error is not None
    assert invalid.error.detail == "INVALID_TEST"
