"""The share of an evaluator in a container's limit of memory: enough for bodies at their bound, told in a real control group."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.control_group import limited_memory
from tests.support.observed import LIMITS
from worker.apitest.assertion import Assertion, JSONPathAssertion, Operator, XPathAssertion
from worker.apitest.observation import Observation
from worker.apitest.responses.http import HTTPResponse
from worker.clock import SystemClock
from worker.evaluators.bounds import share_of_memory
from worker.evaluators.pool import Evaluators
from worker.outcome.phases import Timings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("content_type", "body", "assertion"),
    [
        (
            "application/json",
            b"[1," + b"{}," * 1_630_000 + b"{}]",
            JSONPathAssertion(path="$[0]", operator=Operator.IS, target=1),
        ),
        (
            "application/json",
            b"[" + b'{"a":1},' * 610_000 + b"{}]",
            JSONPathAssertion(path="$[0].a", operator=Operator.IS, target=1),
        ),
        (
            "application/xml",
            b"<r>" + b"<a/>" * 1_220_000 + b"</r>",
            XPathAssertion(path="count(//a)", operator=Operator.IS, target=1_220_000),
        ),
        ("text/html", b"<a>x</a>" * 610_000, XPathAssertion(path="count(//a)", operator=Operator.IS, target=610_000)),
    ],
    ids=["JSON", "JSON with members", "XML", "HTML"],
)
async def test_bodies_at_their_bound_fit_into_the_share_of_a_container_of_one_gibibyte(
    content_type: str, body: bytes, assertion: Assertion
) -> None:
    memory = share_of_memory(1024 * MIB, 3, 10 * 2 * 5_000_000)
    headers = (("content-type", content_type),)
    response = HTTPResponse(url="http://a/", status=200, http_version="1.1", headers=headers, body=body)
    limits = replace(LIMITS, pattern_seconds=10.0)
    async with Evaluators(1, limits, SystemClock(), memory_bytes=memory) as pool:
        evaluation = await pool.evaluate("a", (assertion,), Observation(timings=Timings(), response=response))
    assert [result.error_message for result in evaluation.results] == [None]


def test_a_start_tells_evaluators_what_they_may_take_in_its_group_and_says_where_it_is_too_little() -> None:
    root = Path(__file__).parents[3]
    code = (
        "import logging, sys; from pathlib import Path; Path(sys.argv[1]).write_text('0')\n"
        "logging.basicConfig(stream=sys.stdout, format='%(action)s')\n"
        "from worker.config.load import load_local; from worker import start\n"
        "print(start._memory_of_evaluators(load_local([], {}).config) // 1024**2)"
    )

    def told(limit: int) -> list[str]:
        with limited_memory(limit) as group:
            command = [sys.executable, "-c", code, str(group.procs)]
            return subprocess.run(
                command, cwd=root, stdout=subprocess.PIPE, text=True, timeout=60, check=True
            ).stdout.split()

    assert told(1024 * MIB) == ["277"]
    assert told(256 * MIB) == ["memory_short", "64"]
