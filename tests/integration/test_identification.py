"""Who asks, from the options to what a target sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.definitions import api_test
from tests.support.servers.http import Seen, reply, serving
from worker import __version__, start
from worker.apitest.parse import parse
from worker.config.load import load_local

IN_TIME = {"type": "responseTime", "operator": "lessThan", "target": 60_000}


async def seen(folder: Path, *flags: str, public_id: str | None = "abc-def-ghi", **request: Any) -> Seen:
    """The request that a target sees when a test is run once under *flags*."""
    config = load_local(["--whitelistedRange.4=127.0.0.0/8", *flags], {}, certificates=str(folder)).config
    async with serving(reply()) as server:
        test = parse(api_test("http", IN_TIME, url=server.url(), **request) | {"public_id": public_id})
        assert [result.failure async for _, result in start.check(config, [test])] == [None]
        return server.seen[0]


async def test_a_target_sees_that_synthetic_traffic_comes_and_for_which_test(tmp_path: Path) -> None:
    request = await seen(tmp_path)
    assert request.header("User-Agent") == f"Synthetics/{__version__}"
    assert request.header("X-Synthetics-Test") == "abc-def-ghi"
    assert request.header("X-Synthetics-Origin") == "synthetics"


async def test_a_definition_without_an_id_sends_none(tmp_path: Path) -> None:
    request = await seen(tmp_path, public_id=None)
    assert request.header("X-Synthetics-Test") is None
    assert request.header("X-Synthetics-Origin") == "synthetics"


async def test_an_operator_names_the_traffic_as_his_firewall_knows_it(tmp_path: Path) -> None:
    request = await seen(
        tmp_path, "--userAgent=Datadog/Synthetics", '--identificationHeaders=["sec-datadog: API test, {publicId}"]'
    )
    assert request.header("User-Agent") == "Datadog/Synthetics"
    assert request.header("sec-datadog") == "API test, abc-def-ghi"
    assert request.header("X-Synthetics-Test") is None


@pytest.mark.parametrize("name", ["User-Agent", "user-agent", "X-Synthetics-Test", "x-synthetics-origin"])
async def test_what_a_test_sets_by_itself_wins(name: str, tmp_path: Path) -> None:
    request = await seen(tmp_path, headers={name: "its own"})
    assert [value for key, value in request.headers if key.lower() == name.lower()] == ["its own"]
