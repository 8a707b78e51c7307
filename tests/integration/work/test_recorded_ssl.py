"""SSL tests that the reference system's own clients recorded, run from definition to result against a server on loopback."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.work.runners import runner
from tests.support.certificates import DAY, issue
from tests.support.recordings import RECORDED
from tests.support.servers.tcp import Listener
from tests.support.shared import needs_shared
from worker.apitest.parse import parse
from worker.apitest.result import Result, Status
from worker.outcome.failure import FailureCode

HOST = "127.0.0.1"
CASES = [case["test"] for case in RECORDED if case["subtype"] == "ssl"]


def here(definition: dict[str, Any], port: int) -> dict[str, Any]:
    """The same test of a server on loopback; a port that came from a variable is the server's."""
    moved = deepcopy(definition)
    moved["config"]["request"] |= {"host": HOST, "port": port}
    return moved


async def run_all(ends: timedelta, names: list[str], path: Path) -> list[Result]:
    own = issue("shop", names=names, ends=ends)
    async with Listener(tls=own.serving(path)) as target, runner() as running:
        return [await running.run(parse(here(case, target.port))) for case in CASES]


@needs_shared
async def test_each_passes_where_its_certificate_lasts_long_enough(tmp_path: Path) -> None:
    results = await run_all(60 * DAY, [HOST], tmp_path / "own.pem")
    assert len(results) == 12
    assert [result.failure for result in results] == [None] * 12
    for result in results:
        assert result.status is Status.PASSED
        assert list(result.timings.as_json()) == ["tcp", "handshake", "total"]
        assert result.response is not None
        assert result.response["certificate_fault"]["code"] == "DEPTH_ZERO_SELF_SIGNED_CERT"
        assert result.response["certificate"]["subject"]["CN"] == "shop"


@needs_shared
async def test_each_fails_by_its_assertion_where_its_certificate_ends_soon(tmp_path: Path) -> None:
    for result in await run_all(5 * DAY, [HOST], tmp_path / "own.pem"):
        assert result.failure is not None
        assert result.failure.code is FailureCode.INCORRECT_ASSERTION
        (judged,) = result.assertions
        assert isinstance(judged.actual, float)
        assert 4.9 < judged.actual <= 5


@needs_shared
async def test_another_name_is_accepted_only_by_those_that_ignore_everything(tmp_path: Path) -> None:
    results = await run_all(60 * DAY, ["elsewhere.test"], tmp_path / "own.pem")
    ignoring = [bool(case["options"].get("ignore_certificate_validation")) for case in CASES]
    assert [result.status is Status.PASSED for result in results] == ignoring
    assert {result.failure.code for result in results if result.failure} == {FailureCode.SSL}


@pytest.mark.parametrize("operator", ["matches", "doesNotMatch"])
async def test_a_refused_certificate_is_in_the_result_and_no_pattern_is_judged(operator: str, tmp_path: Path) -> None:
    own = issue("shop", names=[HOST])
    assertion = {"type": "property", "property": "subject.CN", "operator": operator, "target": "^shop$"}
    definition: dict[str, Any] = {
        "type": "api",
        "subtype": "ssl",
        "name": "x",
        "config": {"request": {"host": HOST}, "assertions": [assertion]},
        "options": {},
    }
    async with Listener(tls=own.serving(tmp_path / "own.pem")) as target, runner() as running:
        refused = await running.run(parse(here(definition, target.port)))
        definition["options"] = {"accept_self_signed": True}
        accepted = await running.run(parse(here(definition, target.port)))
    assert refused.failure is not None
    assert (refused.failure.code, refused.assertions) == (FailureCode.SSL, ())
    assert refused.response is not None
    assert refused.response["certificate"]["subject"] == {"O": "Shop", "CN": "shop", "altName": f"IP Address:{HOST}"}
    assert (accepted.status is Status.PASSED) is (operator == "matches")
