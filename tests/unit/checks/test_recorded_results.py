"""Results that the reference system recorded, judged again from what they recorded."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.observed import LIMITS
from tests.support.recordings import RECORDED_RESULTS
from tests.support.shared import needs_shared
from worker.apitest.observation import Observation
from worker.apitest.parse import parse
from worker.apitest.responses.http import HTTPResponse
from worker.checks.evaluate import evaluate
from worker.checks.evidence import Evidence
from worker.checks.verdict import conclude
from worker.outcome.failure import Failure, FailureCode
from worker.outcome.phases import Timings

PHASES = ("redirect", "dns", "tcp", "ssl", "firstByte", "download")


def timings(recorded: dict[str, float]) -> Timings:
    return Timings(tuple((phase, round(recorded[phase] * 10)) for phase in PHASES if phase in recorded))


def observed(result: dict[str, Any]) -> Observation:
    """What the recording says was seen; headers as its assertions print them."""
    failure = result.get("failure")
    headers = [
        (assertion["property"], assertion["actual"])
        for assertion in result.get("assertionResults", ())
        if assertion["type"] == "header"
    ]
    response = None
    if "httpStatusCode" in result:
        response = HTTPResponse(
            url="", status=result["httpStatusCode"], http_version="1.1", headers=tuple(headers), body=b""
        )
    return Observation(
        timings=timings(result["timings"]),
        failure=None if failure is None else Failure(FailureCode(failure["code"]), failure["message"]),
        response=response,
    )


@needs_shared
def test_recorded_assertion_results_are_reached_again() -> None:
    full = [recording["result"] for recording in RECORDED_RESULTS if recording["kind"] == "full"]
    assert len(full) == 2
    for recording in full:
        result, test = recording["result"], parse(recording["check"])
        observation = observed(result)
        evidence = Evidence(observation, LIMITS)
        judged = [evaluate(assertion, evidence) for assertion in test.assertions] if observation.response else []
        assert [one.as_json() for one in judged] == result.get("assertionResults", [])
        verdict = conclude(test, observation, judged)
        assert verdict.passed is result["passed"]
        assert (verdict.failure and verdict.failure.as_json()) == result.get("failure")


@needs_shared
@pytest.mark.parametrize("margin", [0.1, -0.1])
def test_recorded_response_times_are_compared_to_the_printed_tenth(margin: float) -> None:
    summaries = [recording["result"]["result"] for recording in RECORDED_RESULTS if recording["kind"] == "summary"]
    assert len(summaries) == 150
    for summary in summaries:
        total = summary["timings"]["total"]
        target = round(total + margin, 1)
        test = parse(
            {
                "type": "api",
                "config": {
                    "request": {"method": "GET", "url": "https://shop.test/"},
                    "assertions": [{"type": "responseTime", "operator": "lessThan", "target": target}],
                },
            }
        )
        result = evaluate(test.assertions[0], Evidence(observed(summary), LIMITS))
        assert (result.actual, result.valid) == (total, margin > 0)
