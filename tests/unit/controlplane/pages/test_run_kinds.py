"""The page of a run of each protocol and with each code of failure, as workers write their results."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from tests.support import observed
from tests.support.runpages import rendered
from worker.apitest.protocols.table import PROTOCOLS
from worker.apitest.result import Result, Status, Verdict
from worker.apitest.step_result import StepResult, StepStatus
from worker.checks.protocols.table import response_as_json
from worker.outcome.failure import Failure, FailureCode

SHOWN = {
    "http": ("firstByte", "body contains ready", "503", "Headers (1)", "Body", '{"status": "busy"}'),
    "tcp": ("tcp", "connection is established", "refused"),
    "dns": ("dns", "recordSome A is 192.0.2.9", "192.0.2.1", "NXDOMAIN"),
    "ssl": ("handshake", "certificate isInMoreThan 60", "Certificate (", "shop.test", "2027-01-15", "TLSv1.3"),
}
"""What each protocol's page tells of a run that an assertion failed."""
OBSERVED = {
    "http": observed.http(b'{"status": "busy"}', status=503),
    "tcp": observed.tcp("refused"),
    "dns": observed.dns(A=("192.0.2.1",), AAAA=()),
    "ssl": observed.ssl(),
}
ASSERTED: dict[str, dict[str, Any]] = {
    "http": {"type": "body", "operator": "contains", "target": "ready"},
    "tcp": {"type": "connection", "operator": "is", "target": "established"},
    "dns": {"type": "recordSome", "property": "A", "operator": "is", "target": "192.0.2.9"},
    "ssl": {"type": "certificate", "operator": "isInMoreThan", "target": 60},
}


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def run_of(subtype: str) -> Result:
    """A run whose one assertion does not hold, with all that the protocol observes."""
    observation, assertion = OBSERVED[subtype], ASSERTED[subtype]
    judged = observed.judged(observation, assertion)
    assert not judged.valid
    failure = Failure(FailureCode.INCORRECT_ASSERTION, "[]")
    test = observed.parsed_test(subtype, assertion)
    verdict = Verdict(failure=failure, assertions=(judged,))
    return Result(
        test_public_id="abc-def-ghi",
        test_name="Shop",
        test_subtype=subtype,
        test_version=1,
        status=Status.FAILED,
        timings=observation.timings,
        failure=failure,
        assertions=(judged,),
        response=response_as_json(test, observation, verdict),
    )


@pytest.mark.parametrize("subtype", PROTOCOLS)
def test_a_run_of_each_protocol_shows_what_was_expected_and_what_was_seen(subtype: str) -> None:
    shown = words(rendered(run_of(subtype).as_json()))
    for text in SHOWN[subtype]:
        assert text in shown, shown


def test_a_body_that_was_not_kept_is_said_to_be_none_of_the_result() -> None:
    """Workers keep a body where an assertion looks at it; who looks for it is told."""
    outcome = run_of("http").as_json()
    del outcome["response"]["body"]
    assert "The body, 18 bytes, is not kept: only an assertion on it keeps it." in words(rendered(outcome))
    assert "is not kept" not in words(rendered(run_of("http").as_json()))


@pytest.mark.parametrize("code", FailureCode)
def test_each_code_of_failure_is_shown_with_its_message(code: FailureCode) -> None:
    outcome = Result(
        test_public_id="abc-def-ghi",
        test_name="Shop",
        test_subtype="http",
        test_version=1,
        status=Status.FAILED,
        failure=Failure(code, "this & that"),
    )
    page = rendered(outcome.as_json())
    assert f'<p class="failure"><strong>{code.value}</strong> this &amp; that</p>' in page


def test_a_run_of_several_steps_leads_to_the_one_that_made_it_fail() -> None:
    """A step that may fail made nothing fail; what a step played has steps of its own."""
    failure = Failure(FailureCode.TIMEOUT, "no answer")
    played = StepResult(name="inner", subtype="http", status=StepStatus.FAILED, failure=failure)
    optional = StepResult(name="extra", subtype="http", status=StepStatus.FAILED, failure=failure, allow_failure=True)
    whole = StepResult(
        name="sign in", subtype="playSubTest", status=StepStatus.FAILED, failure=failure, steps=(played,)
    )
    outcome = Result(
        test_public_id="abc-def-ghi",
        test_name="Shop",
        test_subtype="multi",
        test_version=1,
        status=Status.FAILED,
        failure=failure,
        steps=tuple(step.as_json() for step in (optional, whole)),
    )
    page = rendered(outcome.as_json())
    ids = re.findall(r'<details id="([^"]*)"', page)
    assert ids == ["step-1", "step-2", "step-2-1"]
    links = re.findall(r'<a href="#(step-[^"]*)">(.*?)</a>', page)
    assert links == [("step-2", "See step 2: sign in"), ("step-2-1", "See step 1: inner")]
