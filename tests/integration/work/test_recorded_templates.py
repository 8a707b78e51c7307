"""Recorded definitions with templates, run against a loopback server, each distinct shape once.

What other parts of the language they ask for besides (certificates, proxies, scripts …) is taken out of them: this is about
templates alone.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.integration.work.runners import runner
from tests.support.jobs import job
from tests.support.recordings import RECORDED
from tests.support.shared import needs_shared

pytestmark = needs_shared

OTHERS = ("basicAuth", "certificate", "files", "proxy")
TEMPLATED = {
    case["shape"]: case["test"]
    for case in RECORDED
    if case["subtype"] == "http" and "{{ PROPERTY }}" in json.dumps(case["test"]["config"]["assertions"])
}


def alone(test: dict[str, Any], url: str) -> dict[str, Any]:
    """The test with its templates and without the rest, asking *url*."""
    config = test["config"]
    request = {name: value for name, value in config["request"].items() if name not in OTHERS} | {"url": url}
    templated = [each for each in config["assertions"] if "{{" in json.dumps(each)]
    options = {"tick_every": test["options"]["tick_every"]}
    inner = {"request": request, "assertions": templated, "configVariables": config["configVariables"]}
    return test | {"config": inner, "options": options}


@pytest.mark.parametrize(("content_type", "expected"), [("text/html", "passed"), ("text/plain", "failed")])
async def test_every_shape_of_them_reaches_its_verdict(content_type: str, expected: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: 0\r\n\r\n" % content_type.encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    assert len(TEMPLATED) == 33
    async with server, runner() as running:
        for test in TEMPLATED.values():
            leased = job(test=alone(test, url), variables={"unique_lower_alnum": "u1"})
            result = await running.carry_out(leased, running._clock.monotonic_ns())
            assert result.status.value == expected, (test["name"], result.failure)
            assert {each.property for each in result.assertions} == {"content-type"}
