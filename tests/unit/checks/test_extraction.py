"""Values that steps take from responses: found as assertions find them, text as assertions write it, and never too large."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from tests.support.definitions import extracted, multistep, step
from tests.support.node import answers_of_node, needs_node
from tests.support.observed import LIMITS, http
from worker.apitest.definition import APITest
from worker.apitest.extraction import MAX_VALUE_BYTES, Extraction
from worker.apitest.observation import Observation
from worker.apitest.parse import parse
from worker.apitest.result import AssertionResult
from worker.checks.cost import cost_of, evaluate_bounded
from worker.checks.evaluate import evaluate
from worker.checks.evidence import AssertionLimits, Evidence
from worker.checks.judgement import JudgementError
from worker.checks.limits import BOUNDED_WORK
from worker.checks.pattern import capture
from worker.outcome.failure import FailureCode
from worker.outcome.phases import Timings

BODY = b'{"token": "abc", "n": 1.0, "deep": {"list": [{"id": 7}, {"id": 8}]}, "none": null, "yes": true}'
SEEN = http(
    BODY, status=201, headers=(("Location", "/orders/42"), ("X-A", "1"), ("x-a", "2"), ("X-JSON", '{"a": [5]}'))
)


def extraction_of(written: dict[str, Any]) -> Extraction:
    test = parse(multistep(step(extractedValues=[written])))
    action = test.steps[0].action
    assert isinstance(action, APITest)
    return action.extractions[0]


def result_of(written: dict[str, Any], seen: Observation = SEEN, limits: AssertionLimits = LIMITS) -> AssertionResult:
    """The result, the same in place where it may be found there."""
    asked = extraction_of(written)
    result = evaluate(asked, Evidence(seen, limits))
    if cost_of(asked, Evidence(seen, limits)) <= BOUNDED_WORK:
        assert evaluate_bounded(asked, Evidence(seen, limits)) == result
    return result


@pytest.mark.parametrize(
    ("parser", "value", "found"),
    [
        ("raw", "", BODY.decode()),
        ("json_path", "$.token", "abc"),
        ("json_path", "token", "abc"),
        ("json_path", "$.n", "1"),
        ("json_path", "$.none", "null"),
        ("json_path", "$.yes", "true"),
        ("json_path", "$.deep.list[1]", '{"id":8}'),
        ("json_path", "$..id", "7"),
        ("json_path", "$.deep.list[?(@.id > 7)].id", "8"),
        ("regex", '"token": "([a-z]+)"', "abc"),
        ("regex", '"token": "[a-z]+"', '"token": "abc"'),
        ("regex", "(x)?abc", "abc"),
        ("regex", "(?<name>ab)(c)", "ab"),
        ("regex", 'token(.*?)"', ""),
    ],
)
def test_a_value_of_the_body_is_text(parser: str, value: str, found: str) -> None:
    result = result_of(extracted("VALUE", parser, value))
    assert (result.valid, result.actual, result.error_message) == (True, found, None)


@pytest.mark.parametrize(
    ("body", "path", "found"),
    [
        (b"<a><b c='d'>e</b><b>f</b></a>", "//b", "e"),
        (b"<a><b c='d'>e</b></a>", "//b/@c", "d"),
        (b"<a><b>1</b><b>2</b></a>", "count(//b)", "2"),
    ],
)
def test_a_value_of_a_document_is_the_first_nodes_text(body: bytes, path: str, found: str) -> None:
    assert result_of(extracted("VALUE", "x_path", path), http(body, "text/xml")).actual == found


@pytest.mark.parametrize(
    ("field", "parser", "value", "found"),
    [
        ("location", "raw", "", "/orders/42"),
        ("Location", "regex", r"/orders/(\d+)", "42"),
        (" X-A ", "raw", "", "1, 2"),
        ("X-JSON", "json_path", "$.a[0]", "5"),
    ],
)
def test_a_value_of_a_header_ignores_its_letter_case(field: str, parser: str, value: str, found: str) -> None:
    assert result_of(extracted("VALUE", parser, value, source="http_header", field=field)).actual == found


def test_a_status_is_a_value() -> None:
    assert result_of(extracted("VALUE", source="http_status_code")).actual == "201"
    assert result_of(extracted("VALUE", "regex", "^(.)", source="http_status_code")).actual == "2"


def test_a_parser_may_be_left_out() -> None:
    written = {"name": "VALUE", "type": "http_header", "field": "location"}
    assert result_of(written).actual == "/orders/42"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (extracted("VALUE", "json_path", "$.nothing"), "'$.nothing' finds nothing"),
        (extracted("VALUE", "json_path", "$..nothing"), "'$..nothing' finds nothing"),
        (extracted("VALUE", "json_path", "$["), "this is not a valid JSONPath"),
        (extracted("VALUE", "regex", "nothing"), "'nothing' finds nothing"),
        (extracted("VALUE", "regex", "("), "the pattern is not a valid JavaScript regular expression"),
        (extracted("VALUE", "regex", "a" * 10_001), "the pattern has 10001 characters, more than 10000"),
        (extracted("VALUE", "x_path", "//a"), "the body is not valid XML"),
        (extracted("VALUE", source="http_header", field="X-B"), "there is no header X-B"),
    ],
)
def test_a_value_that_is_not_there_is_a_reason(written: dict[str, Any], reason: str) -> None:
    result = result_of(written)
    assert (result.valid, result.actual) == (False, None)
    assert str(result.error_message).startswith(reason)


def test_a_response_of_another_kind_has_no_such_values() -> None:
    result = result_of(extracted("VALUE"), Observation(timings=Timings()))
    assert (result.valid, result.error_message) == (False, "there is no HTTP response to look at")


@pytest.mark.parametrize("text", ["x", "é", "☃", "🌙"])
def test_a_value_has_a_largest_size(text: str) -> None:
    width = len(text.encode())
    fits = text * (MAX_VALUE_BYTES // width)
    assert result_of(extracted("VALUE"), http(fits.encode())).actual == fits
    result = result_of(extracted("VALUE"), http((fits + text).encode()))
    assert (
        result.error_message == f"the value has {len(fits.encode()) + width} bytes, more than the 50000 of a variable"
    )


def test_patterns_and_large_bodies_are_never_searched_in_place() -> None:
    for written in (
        extracted("VALUE", "regex", "a"),
        extracted("VALUE", "x_path", "//a"),
        extracted("VALUE", "json_path", "$..a"),
        extracted("VALUE", "regex", "a", source="http_header", field="location"),
    ):
        assert cost_of(extraction_of(written), Evidence(SEEN, LIMITS)) > BOUNDED_WORK
    large = http(b" " * 100_000)
    assert cost_of(extraction_of(extracted("VALUE")), Evidence(large, LIMITS)) > BOUNDED_WORK


def test_a_pattern_that_runs_for_ever_ends_at_its_limit() -> None:
    started = time.process_time()
    limits = replace(LIMITS, pattern_seconds=0.1)
    result = result_of(extracted("VALUE", "regex", "(a+)+$"), http(b"a" * 100 + b"b"), limits)
    assert (result.valid, result.code) == (False, FailureCode.TIMEOUT)
    assert time.process_time() - started < 5
    assert result_of(extracted("VALUE", "regex", "a"), http(b"ba"), limits).actual == "a", "the engine is there again"


CAPTURES = [
    ("a(b)?c", "xacx"),
    ("a(b)?c", "xabcx"),
    ("(?:a)(b)", "ab"),
    ("(a)|(b)", "b"),
    ("^$", ""),
    ("()", "abc"),
    (r"(\d+)-(\d+)", "12-34"),
    ("(?<year>\\d{4})", "in 2026"),
    ("nothing", "here"),
    ("(😀)", "a😀b"),
    ("[", "x"),
    ("(?<=a)(b)", "ab"),
    (r"(\s)", "a\nb"),
    ('(")', 'a"b'),
    (r"(\\)", "a\\b"),
]


def captured(pattern: str, text: str) -> str | None:
    try:
        return capture(pattern, text, 5.0)
    except JudgementError as error:
        return "not a pattern" if "not a valid JavaScript" in error.reason else error.reason


_EXEC = """cases.map(([source, text]) => {
    let found;
    try { found = new RegExp(source).exec(text); }
    catch (error) { if (error instanceof SyntaxError) return "not a pattern"; throw error; }
    return found && (found[1] === undefined ? found[0] : found[1]);
})"""


@needs_node
def test_a_capture_is_what_node_finds() -> None:
    found = [captured(pattern, text) for pattern, text in CAPTURES]
    assert found == answers_of_node(_EXEC, CAPTURES)
