"""Which failure counts, and the message that goes with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from tests.support.definitions import api_test, json_path, json_schema, xpath
from tests.support.observed import LIMITS, TIMINGS, http, parsed_test, tcp
from worker.apitest.observation import Observation
from worker.apitest.parse import parse
from worker.apitest.responses.http import HTTPResponse
from worker.apitest.responses.tcp import TCPConnection
from worker.apitest.result import Verdict
from worker.checks.evaluate import evaluate
from worker.checks.evidence import AssertionLimits, Evidence
from worker.checks.verdict import conclude
from worker.outcome.failure import Failure, FailureCode
from worker.outcome.phases import Timings

STATUS = {"type": "statusCode", "operator": "is", "target": 200}
BODY = {"type": "body", "operator": "contains", "target": "ok"}


def verdict(
    observation: Observation, *assertions: dict[str, Any], limits: AssertionLimits | None = None, **request: Any
) -> Verdict:
    subtype = "tcp" if isinstance(observation.response, TCPConnection) else "http"
    test = parsed_test(subtype, *assertions, **request)
    evidence = Evidence(observation, limits or LIMITS)
    return conclude(test, observation, [evaluate(assertion, evidence) for assertion in test.assertions])


def listed(verdict: Verdict) -> list[dict[str, Any]]:
    assert verdict.failure is not None
    assert verdict.failure.code is FailureCode.INCORRECT_ASSERTION
    members: list[dict[str, Any]] = orjson.loads(verdict.failure.message)
    return members


def test_a_run_passes_when_every_assertion_holds() -> None:
    passed = verdict(http(b"ok"), STATUS, BODY)
    assert passed.passed
    assert [result.valid for result in passed.assertions] == [True, True]


def test_failed_assertions_are_listed_as_json_in_the_message() -> None:
    page = http(b'{"a":[1,2]}', status=503, headers=[("Server", "x")])
    failed = verdict(
        page,
        STATUS,
        BODY,
        {"type": "header", "property": "server", "operator": "is", "target": "nginx"},
        {"type": "header", "property": "x-id", "operator": "contains", "target": 7},
        {"type": "responseTime", "operator": "lessThan", "target": 1000},
        json_path("$.a[*]", "moreThan", 1, "everyElementMatches"),
        xpath("//a", "is", "x"),
        json_schema('{"type":"array"}', "2019-09"),
        {"type": "bodyHash", "operator": "md5", "target": "a"},
    )
    assert [len(failed.assertions), failed.passed] == [9, False]
    members = listed(failed)
    assert members[0] == {
        "type": "statusCode",
        "operator": "is",
        "target": 200,
        "actual": 503,
        "valid": False,
        "errorMessage": "the status is 503, not 200",
    }
    assert members[2]["property"] == "server"
    assert (members[3]["target"], members[3]["actual"]) == (7, None)
    assert members[4]["target"] == {
        "jsonPath": "$.a[*]",
        "operator": "moreThan",
        "targetValue": 1,
        "elementsOperator": "everyElementMatches",
    }
    assert members[5]["target"] == {"xPath": "//a", "operator": "is", "targetValue": "x"}
    assert members[6]["target"] == {"jsonSchema": '{"type":"array"}', "metaSchema": "draft-2019-09"}
    assert [member["type"] for member in members] == [
        *("statusCode", "body", "header", "header", "body", "body", "body", "bodyHash"),
    ]


def test_a_probe_that_failed_decides_and_nothing_is_said_of_half_a_response() -> None:
    failure = Failure(FailureCode.TIMEOUT, "no answer within 60 s")
    response = HTTPResponse(url="https://shop.test/", status=200, http_version="1.1", headers=(), body=b"o")
    observation = Observation(timings=TIMINGS, failure=failure, response=response)
    assert verdict(observation, STATUS, BODY) == Verdict(failure=failure)
    assert conclude(parsed_test("http", STATUS), Observation(timings=Timings(), failure=failure), ()).failure is failure


def connection(outcome: str, code: FailureCode | None) -> Observation:
    failure = None if code is None else Failure(code, "the connection failed")
    return Observation(timings=TIMINGS, failure=failure, response=TCPConnection(outcome=outcome))


REFUSED = connection("refused", FailureCode.CONNREFUSED)
UNANSWERED = connection("timeout", FailureCode.TIMEOUT)


@pytest.mark.parametrize(
    ("observation", "assertions", "code"),
    [
        (tcp("established"), ["established"], None),
        (REFUSED, ["refused"], None),
        (UNANSWERED, ["timeout"], None),
        (REFUSED, ["established"], FailureCode.INCORRECT_ASSERTION),
        (UNANSWERED, ["refused"], FailureCode.INCORRECT_ASSERTION),
        (tcp("established"), ["refused"], FailureCode.INCORRECT_ASSERTION),
        (REFUSED, [], FailureCode.CONNREFUSED),
        (UNANSWERED, [], FailureCode.TIMEOUT),
    ],
)
def test_how_a_connection_ended_may_be_what_the_test_demands(
    observation: Observation, assertions: list[str], code: FailureCode | None
) -> None:
    demands = [{"type": "connection", "operator": "is", "target": outcome} for outcome in assertions]
    judged = verdict(observation, *demands, {"type": "responseTime", "operator": "lessThan", "target": 1000})
    assert (judged.failure and judged.failure.code) is code


def test_a_name_that_was_not_found_is_no_outcome_of_a_connection() -> None:
    failure = Failure(FailureCode.DNS, "no such name")
    test = parsed_test("tcp", {"type": "connection", "operator": "is", "target": "refused"})
    assert conclude(test, Observation(timings=Timings(), failure=failure), ()).failure is failure


def test_a_limit_has_its_own_code_when_nothing_else_failed() -> None:
    large = verdict(http(b"ok" * 10), STATUS, BODY, limits=replace(LIMITS, max_body_bytes=10))
    assert large.failure == Failure(
        FailureCode.BODY_TOO_LARGE, "the body is larger than the 10 bytes that an assertion may look at"
    )
    slow = verdict(
        http(b"a" * 40),
        {"type": "body", "operator": "matches", "target": "(a+)+b"},
        limits=replace(LIMITS, pattern_seconds=0.05),
    )
    assert slow.failure == Failure(FailureCode.TIMEOUT, "the body: the pattern was not done within 50 ms")


def test_an_assertion_that_does_not_hold_counts_more_than_a_limit() -> None:
    members = listed(verdict(http(b"ok" * 10, status=500), BODY, STATUS, limits=replace(LIMITS, max_body_bytes=10)))
    assert [member["errorMessage"] for member in members] == [
        "the body is larger than the 10 bytes that an assertion may look at",
        "the status is 500, not 200",
    ]


def test_a_body_beyond_the_limit_matters_only_to_assertions_that_read_it() -> None:
    assert verdict(http(b"ok" * 10), STATUS, limits=replace(LIMITS, max_body_bytes=10)).passed


def test_a_test_that_needs_a_newer_version_ends_so_and_names_what_is_missing() -> None:
    test = parsed_test("http", STATUS, STATUS | {"operator": "resembles"}, httpVersion="http3")
    failure = conclude(test, Observation(timings=Timings()), ()).failure
    assert failure == Failure(
        FailureCode.REQUIRES_UPDATE,
        "config.assertions[1].operator: the operator 'resembles' is not known; "
        "config.request.httpVersion: the HTTP version 'http3' is not known: did you mean 'http2'?",
    )


def test_a_test_of_another_kind_ends_so_too() -> None:
    test = parse(api_test("http", STATUS) | {"subtype": "websocket"})
    failure = conclude(test, Observation(timings=Timings()), ()).failure
    assert failure == Failure(FailureCode.REQUIRES_UPDATE, "subtype: 'websocket' tests are not there yet")


def test_a_test_that_keeps_the_body_to_itself_shows_nothing_of_it() -> None:
    page = http(b'{"token":"s3cret"}')
    assertions = (BODY, json_path("$.token", "is", "x"), json_path("$.token", "contains", "s3"), STATUS)
    judged = verdict(page, *assertions, noSavingResponseBody=True)
    assert judged.failure is not None
    assert "s3cret" not in judged.failure.message + repr(judged.assertions)
    assert [result.valid for result in judged.assertions] == [True, False, True, True]
    assert judged.assertions[3].actual == 200
    large = verdict(page, BODY, limits=replace(LIMITS, max_body_bytes=3), noSavingResponseBody=True)
    assert large.failure is not None
    assert large.failure.code is FailureCode.BODY_TOO_LARGE


def test_long_texts_are_cut_in_the_message_too_and_it_stays_json() -> None:
    page = http(b"x" * 100_000)
    members = listed(verdict(page, *[{"type": "body", "operator": "is", "target": "y" * 100_000}] * 20))
    assert len(members) == 20
    assert {len(member[name]) for member in members for name in ("target", "actual")} == {500}
