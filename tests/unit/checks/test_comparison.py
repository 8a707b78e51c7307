"""Status, headers, body, response time and connection: type × operator, holding and failing, with the sentence that says why."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.support.observed import dns, http, judged, tcp
from worker.apitest.observation import Observation

HEADERS = (
    ("Server", "nginx/1.25"),
    ("Content-Length", "1234"),
    ("Set-Cookie", "a=1"),
    ("Set-Cookie", "b=2"),
    ("X-Empty", ""),
)
BODY = '{"status":"ok","name":"Müller"}'
PAGE = http(BODY.encode(), headers=HEADERS)


def header(name: str, operator: str, target: Any = None) -> dict[str, Any]:
    assertion = {"type": "header", "property": name, "operator": operator}
    return assertion if target is None else assertion | {"target": target}


def status(operator: str, target: Any) -> dict[str, Any]:
    return {"type": "statusCode", "operator": operator, "target": target}


def body(operator: str, target: Any) -> dict[str, Any]:
    return {"type": "body", "operator": operator, "target": target}


HOLDS: list[tuple[Observation, dict[str, Any], object]] = [
    (PAGE, status("is", 200), 200),
    (PAGE, status("is", "200"), 200),
    (PAGE, status("is", 200.0), 200),
    (PAGE, status("isNot", 500), 200),
    (PAGE, status("isNot", "500"), 200),
    (PAGE, status("matches", "20[04]"), 200),
    (PAGE, status("matches", "^2"), 200),
    (PAGE, status("matches", 200), 200),
    (PAGE, status("doesNotMatch", "5\\d\\d"), 200),
    (PAGE, header("content-type", "is", "application/json"), "application/json"),
    (PAGE, header("CONTENT-TYPE", "is", "application/json"), "application/json"),
    (PAGE, header("server", "isNot", "apache"), "nginx/1.25"),
    (PAGE, header("server", "contains", "nginx"), "nginx/1.25"),
    (PAGE, header("server", "doesNotContain", "apache"), "nginx/1.25"),
    (PAGE, header("server", "matches", "^nginx/\\d"), "nginx/1.25"),
    (PAGE, header("server", "doesNotMatch", "apache|iis"), "nginx/1.25"),
    (PAGE, header("x-powered-by", "doesNotExist"), None),
    (PAGE, header("content-length", "lessThan", 1235), "1234"),
    (PAGE, header("content-length", "lessThan", "1235"), "1234"),
    (PAGE, header("content-length", "lessThanOrEqual", 1234), "1234"),
    (PAGE, header("content-length", "moreThan", 1233.5), "1234"),
    (PAGE, header("content-length", "moreThanOrEqual", 1234), "1234"),
    (PAGE, header("content-length", "is", 1234), "1234"),
    (PAGE, header("x-empty", "is", ""), ""),
    (PAGE, header("set-cookie", "is", "b=2"), "b=2"),
    (PAGE, header("set-cookie", "contains", "a=1"), "a=1, b=2"),
    (PAGE, header("set-cookie", "is", "a=1, b=2"), "a=1, b=2"),
    (PAGE, header("set-cookie", "doesNotContain", "c="), "a=1, b=2"),
    (PAGE, body("contains", "Müller"), BODY),
    (PAGE, body("doesNotContain", "error"), BODY),
    (PAGE, body("is", BODY), BODY),
    (PAGE, body("isNot", ""), BODY),
    (PAGE, body("matches", '"status":\\s*"ok"'), BODY),
    (PAGE, body("doesNotMatch", "error|fail"), BODY),
    (PAGE, {"type": "responseTime", "operator": "lessThan", "target": 52.8}, 52.7),
    (PAGE, {"type": "responseTime", "operator": "lessThan", "target": "53"}, 52.7),
    (PAGE, {"type": "responseTime", "operator": "lessThan", "target": 53, "timingsScope": "all"}, 52.7),
    (PAGE, {"type": "responseTime", "operator": "lessThan", "target": 42, "timingsScope": "withoutDNS"}, 41.8),
    (tcp("established"), {"type": "connection", "operator": "is", "target": "established"}, "established"),
    (tcp("refused"), {"type": "connection", "operator": "is", "target": "refused"}, "refused"),
    (tcp("timeout"), {"type": "connection", "operator": "is", "target": "timeout"}, "timeout"),
    (tcp("established"), {"type": "responseTime", "operator": "lessThan", "target": 3.1}, 3.0),
    (dns(A=("192.0.2.1",)), {"type": "responseTime", "operator": "lessThan", "target": 15}, 14.5),
]

FAILS: list[tuple[Observation, dict[str, Any], object, str]] = [
    (PAGE, status("is", 204), 200, "the status is 200, not 204"),
    (PAGE, status("is", "204"), 200, "the status is 200, not '204'"),
    (PAGE, status("isNot", 200), 200, "the status is 200, which it must not be"),
    (PAGE, status("matches", "5\\d\\d"), 200, "the status does not match the pattern '5\\d\\d'"),
    (PAGE, status("doesNotMatch", "2.."), 200, "the status matches the pattern '2..'"),
    (PAGE, header("server", "is", "nginx"), "nginx/1.25", "header server is 'nginx/1.25', not 'nginx'"),
    (
        PAGE,
        header("server", "isNot", "nginx/1.25"),
        "nginx/1.25",
        "header server is 'nginx/1.25', which it must not be",
    ),
    (PAGE, header("server", "contains", "apache"), "nginx/1.25", "header server does not contain 'apache'"),
    (PAGE, header("server", "doesNotContain", "nginx"), "nginx/1.25", "header server contains 'nginx'"),
    (PAGE, header("server", "matches", "^apache"), "nginx/1.25", "header server does not match the pattern '^apache'"),
    (PAGE, header("server", "doesNotMatch", "x$|5$"), "nginx/1.25", "header server matches the pattern 'x$|5$'"),
    (PAGE, header("server", "doesNotExist"), "nginx/1.25", "header server is there: 'nginx/1.25'"),
    (PAGE, header("content-length", "lessThan", 1234), "1234", "header content-length is '1234', not less than 1234"),
    (PAGE, header("content-length", "lessThanOrEqual", 5), "1234", "header content-length is '1234', more than 5"),
    (PAGE, header("content-length", "moreThan", 1234), "1234", "header content-length is '1234', not more than 1234"),
    (
        PAGE,
        header("content-length", "moreThanOrEqual", 1235),
        "1234",
        "header content-length is '1234', less than 1235",
    ),
    (PAGE, header("server", "lessThan", 5), "nginx/1.25", "header server: 'nginx/1.25' is not a number"),
    (PAGE, header("set-cookie", "is", "c=3"), "a=1, b=2", "header set-cookie is 'a=1, b=2', not 'c=3'"),
    (PAGE, header("set-cookie", "isNot", "b=2"), "b=2", "header set-cookie is 'b=2', which it must not be"),
    (PAGE, header("set-cookie", "doesNotContain", "b"), "a=1, b=2", "header set-cookie contains 'b'"),
    (PAGE, body("contains", "error"), BODY, "the body does not contain 'error'"),
    (PAGE, body("doesNotContain", "ok"), BODY, "the body contains 'ok'"),
    (PAGE, body("is", "ok"), BODY, f"the body is '{BODY}', not 'ok'"),
    (PAGE, body("isNot", BODY), BODY, f"the body is '{BODY}', which it must not be"),
    (PAGE, body("matches", "^ok"), BODY, "the body does not match the pattern '^ok'"),
    (PAGE, body("doesNotMatch", "o."), BODY, "the body matches the pattern 'o.'"),
    (
        PAGE,
        {"type": "responseTime", "operator": "lessThan", "target": 52.7},
        52.7,
        "the response time in ms is 52.7, not less than 52.7",
    ),
    (
        PAGE,
        {"type": "responseTime", "operator": "lessThan", "target": 41, "timingsScope": "withoutDNS"},
        41.8,
        "the response time in ms without its look-up is 41.8, not less than 41",
    ),
    (
        tcp("refused"),
        {"type": "connection", "operator": "is", "target": "established"},
        "refused",
        "the connection is 'refused', not 'established'",
    ),
]


@pytest.mark.parametrize(("observation", "assertion", "actual"), HOLDS)
def test_an_assertion_that_holds_says_what_was_seen_and_no_reason(
    observation: Observation, assertion: dict[str, Any], actual: object
) -> None:
    result = judged(observation, assertion)
    assert (result.valid, result.actual, result.error_message, result.code) == (True, actual, None, None)
    assert (result.type, result.operator) == (assertion["type"], assertion["operator"])
    assert result.property == assertion.get("property")


@pytest.mark.parametrize(("observation", "assertion", "actual", "reason"), FAILS)
def test_an_assertion_that_fails_says_why(
    observation: Observation, assertion: dict[str, Any], actual: object, reason: str
) -> None:
    result = judged(observation, assertion)
    assert (result.valid, result.actual, result.error_message, result.code) == (False, actual, reason, None)


@pytest.mark.parametrize("operator", ["is", "isNot", "contains", "doesNotContain", "matches", "doesNotMatch"])
def test_a_missing_header_satisfies_nothing_but_its_absence(operator: str) -> None:
    result = judged(PAGE, header("x-powered-by", operator, "PHP"))
    assert (result.valid, result.actual, result.error_message) == (False, None, "there is no header x-powered-by")


@pytest.mark.parametrize("operator", ["lessThan", "lessThanOrEqual", "moreThan", "moreThanOrEqual"])
def test_a_missing_header_is_no_number(operator: str) -> None:
    assert judged(PAGE, header("age", operator, 5)).error_message == "there is no header age"


def test_expected_is_text_and_actual_keeps_its_type() -> None:
    result = judged(PAGE, status("is", 200)).as_json()
    assert result == {"type": "statusCode", "operator": "is", "expected": "200", "actual": 200, "valid": True}


@pytest.mark.parametrize(
    ("algorithm", "make"), [("md5", hashlib.md5), ("sha1", hashlib.sha1), ("sha256", hashlib.sha256)]
)
def test_a_body_hash_is_of_the_bytes_and_ignores_letter_case(algorithm: str, make: Any) -> None:
    digest = make(BODY.encode()).hexdigest()
    assertion = {"type": "bodyHash", "operator": algorithm, "target": digest.upper()}
    assert judged(PAGE, assertion).valid
    wrong = judged(PAGE, assertion | {"target": "a"})
    assert (wrong.valid, wrong.actual) == (False, digest)
    assert wrong.error_message == f"the body's {algorithm} is {digest}, not 'a'"


def test_a_long_body_is_shown_in_fifty_characters_when_it_is_as_wanted_and_cut_at_five_hundred_when_not() -> None:
    page = http(b"x" * 100_000)
    assert judged(page, body("contains", "xxx")).actual == "x" * 49 + "…"
    failed = judged(page, body("is", "y" * 100_000))
    assert isinstance(failed.actual, str)
    assert len(failed.actual) == 500
    assert len(failed.expected) == 500
    assert failed.error_message is not None
    assert len(failed.error_message) < 300


def test_control_characters_of_a_target_do_not_reach_the_sentence() -> None:
    result = judged(http(headers=[("X", "\x1b[31mred\x07")]), header("x", "is", "blue"))
    assert result.error_message == r"header x is '\x1b[31mred\x07', not 'blue'"


def test_a_pattern_stands_without_delimiters_and_flags() -> None:
    page = http(b"/OK/i")
    assert judged(page, body("matches", "/OK/i")).valid
    assert not judged(http(b"ok"), body("matches", "/OK/i")).valid
