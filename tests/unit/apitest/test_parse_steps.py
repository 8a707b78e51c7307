"""Multistep definitions: what steps may say, what is a mistake in them, and what is not there yet."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.definitions import STATUS, extracted, http_test, multistep, step, subtest, wait
from worker.apitest.definition import APIStep, APITest, StepSource, Wait
from worker.apitest.extraction import Extraction, ExtractionSource, Parser
from worker.apitest.parse import parse
from worker.apitest.parse_extraction import MOST_EXTRACTIONS
from worker.apitest.parse_steps import MOST_STEPS
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.retry import Retry
from worker.errors import TestError


def steps_of(*steps: dict[str, Any], **members: Any) -> tuple[APIStep, ...]:
    test = parse(multistep(*steps, **members))
    assert test.requires_update == ()
    assert test.request is None
    return test.steps


def mistakes(*steps: Any, **members: Any) -> tuple[str, ...]:
    with pytest.raises(TestError) as caught:
        parse(multistep(*steps, **members))
    return caught.value.errors


def request_of(read: APIStep) -> HTTPRequest:
    assert isinstance(read.action, APITest)
    assert isinstance(read.action.request, HTTPRequest)
    return read.action.request


def test_a_step_is_a_test_with_words_of_its_own() -> None:
    written = step(
        "Log in",
        "https://shop.test/login",
        STATUS,
        id="abc-def",
        allowFailure=True,
        isCritical=True,
        exitIfSucceed=True,
        retry={"count": 5, "interval": 1000},
        request={"persistCookies": True, "timeout": 10},
        extractedValues=[extracted("TOKEN", "json_path", "$.token", secure=True)],
    )
    (read,) = steps_of(written)
    assert (read.name, read.subtype, read.identifier) == ("Log in", "http", "abc-def")
    assert (read.allow_failure, read.is_critical, read.exit_if_succeed, read.persist_cookies) == (True,) * 4
    assert (read.retry, read.always_execute, read.source) == (Retry(count=5, interval=1.0), False, None)
    assert isinstance(read.action, APITest)
    assert request_of(read) == HTTPRequest(url="https://shop.test/login", timeout=10)
    assert len(read.action.assertions) == 1
    assert read.action.extractions == (
        Extraction(
            name="TOKEN", source=ExtractionSource.BODY, parser=Parser.JSON_PATH, expression="$.token", secure=True
        ),
    )


def test_a_step_with_templates_keeps_its_json_to_be_read_anew() -> None:
    plain, templated = step(), step(url="https://shop.test/{{ ORDER }}", request={"timeout": 5})
    options = {"follow_redirects": True}
    first, second = steps_of(plain, templated, options=options)
    assert first.source is None
    assert second.source == StepSource(step=templated, options=options, path="config.steps[1]")
    inner = multistep(templated, plain, public_id="inn-inn-inn")
    (played,) = steps_of(subtest("inn-inn-inn", subtest=inner))
    assert played.source is None
    assert isinstance(played.action, APITest)
    assert [each.source is None for each in played.action.steps] == [False, True]


def test_templates_stand_for_any_valid_text_until_they_are_replaced() -> None:
    assert mistakes(step(url="{{ URL }}", request={"method": "{{ METHOD }}", "timeout": "{{ NO }}"})) == (
        "config.steps[0].request.timeout: must be a number, not text",
    )


def test_a_step_goes_by_the_id_of_its_test() -> None:
    inner = multistep(step(), public_id="inn-inn-inn")
    first, second = steps_of(step(), subtest("inn-inn-inn", subtest=inner), public_id="out-out-out", version=3)
    assert isinstance(first.action, APITest)
    assert isinstance(second.action, APITest)
    (third,) = second.action.steps
    assert isinstance(third.action, APITest)
    assert [each.public_id for each in (first.action, second.action, third.action)] == [
        "out-out-out",
        "inn-inn-inn",
        "inn-inn-inn",
    ]
    assert first.action.version == 3


def test_a_step_needs_no_assertions_and_may_leave_them_out() -> None:
    without = {name: value for name, value in step().items() if name != "assertions"}
    for read in steps_of(step(), without):
        assert isinstance(read.action, APITest)
        assert read.action.assertions == ()


@pytest.mark.parametrize("seconds", [0, 1, 2.5, 180])
def test_a_wait_has_seconds(seconds: float) -> None:
    (read,) = steps_of(wait(seconds))
    assert read.action == Wait(seconds=seconds)


@pytest.mark.parametrize(
    ("options", "request_", "follows"),
    [
        ({}, {}, False),
        ({"follow_redirects": True}, {}, True),
        ({}, {"follow_redirects": True}, True),
        ({"follow_redirects": True}, {"follow_redirects": False}, False),
        ({"follow_redirects": False}, {"follow_redirects": True}, True),
    ],
)
def test_of_a_step_its_request_decides_and_else_the_test(
    options: dict[str, Any], request_: dict[str, Any], follows: bool
) -> None:
    (read,) = steps_of(step(request=request_), options=options)
    assert request_of(read).follow_redirects is follows


def test_steps_of_every_protocol_are_read() -> None:
    tcp = {"name": "c", "subtype": "tcp", "request": {"host": "shop.test", "port": 5432}, "assertions": []}
    dns = {"name": "d", "subtype": "dns", "request": {"host": "shop.test"}, "assertions": []}
    assert [read.subtype for read in steps_of(step(), tcp, dns, wait(1))] == ["http", "tcp", "dns", "wait"]


@pytest.mark.parametrize(
    ("written", "mistake"),
    [
        (step(subtype=None), "config.steps[0].subtype: is missing"),
        (step(subtype=""), "config.steps[0].subtype: is empty"),
        (step(request={"url": 5}), "config.steps[0].request.url: must be text, not a number"),
        (step(request={"method": "FETCH"}), "config.steps[0].request.method: must be one of GET,"),
        (
            step("a", "b", {"type": "latency"}),
            "config.steps[0].assertions[0].type: http tests have no latency assertions",
        ),
        (step("a", "b", *[STATUS] * 21), "config.steps[0].assertions: must hold at most 20 assertions, not 21"),
        (wait(181), "config.steps[0].value: must be from 0 to 180 seconds"),
        (wait(-1), "config.steps[0].value: must be from 0 to 180 seconds"),
        ({"subtype": "wait"}, "config.steps[0].value: is missing"),
        ({"subtype": "wait", "value": "1"}, "config.steps[0].value: must be a number, not text"),
        ({"subtype": "playSubTest"}, "config.steps[0].subtestPublicId: is missing"),
        (step(allowFailure="yes"), "config.steps[0].allowFailure: must be true or false, not text"),
        (step(retry={"count": 1, "interval": -1}), "config.steps[0].retry.interval: must not be negative"),
        (step(extractedValues={}), "config.steps[0].extractedValues: must be a list, not an object"),
        (
            step(extractedValues=[extracted("{A}")]),
            "config.steps[0].extractedValues[0].name: is not a valid name of a variable",
        ),
        (step(extractedValues=[{"type": "http_body"}]), "config.steps[0].extractedValues[0].name: is missing"),
        (step(extractedValues=[{"name": "ABC"}]), "config.steps[0].extractedValues[0].type: is missing"),
        (
            step(extractedValues=[extracted("ABC", source="http_header")]),
            "config.steps[0].extractedValues[0].field: is missing",
        ),
        (
            step(extractedValues=[extracted("ABC", "regex")]),
            "config.steps[0].extractedValues[0].parser.value: is missing",
        ),
        (
            step(extractedValues=[extracted("ABC", "x_path", "//a", source="http_header", field="a")]),
            "config.steps[0].extractedValues[0].parser.type: finds a value in a body alone",
        ),
        (
            step(extractedValues=[extracted("ABC"), extracted("ABC")]),
            "config.steps[0].extractedValues: holds the name 'ABC' more than once",
        ),
        (
            step(extractedValues=[extracted(f"ABC{number}") for number in range(MOST_EXTRACTIONS + 1)]),
            f"config.steps[0].extractedValues: must hold at most {MOST_EXTRACTIONS} values, not {MOST_EXTRACTIONS + 1}",
        ),
        ("text", "config.steps[0]: must be an object, not text"),
        (None, "config.steps[0]: is missing"),
    ],
)
def test_a_mistake_in_a_step_is_told_with_its_place(written: Any, mistake: str) -> None:
    (told,) = mistakes(written)
    assert told.startswith(mistake)


@pytest.mark.parametrize(
    ("config", "mistake"),
    [
        ({}, "config.steps: is missing"),
        ({"steps": []}, "config.steps: must hold at least one step"),
        ({"steps": {}}, "config.steps: must be a list, not an object"),
    ],
)
def test_a_multistep_test_has_steps(config: dict[str, Any], mistake: str) -> None:
    assert mistakes(config=config) == (mistake,)


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ({"name": "g", "subtype": "grpc"}, "config.steps[0].subtype: 'grpc' tests are not there yet"),
        (
            step(extractedValues=[extracted("ABC", source="grpc_message")]),
            "config.steps[0].extractedValues[0].type: values from 'grpc_message' are not there yet",
        ),
        (
            step(extractedValues=[extracted("ABC", "jq", ".a")]),
            "config.steps[0].extractedValues[0].parser.type: the parser 'jq' is not known",
        ),
        (
            subtest("abc-def-ghi"),
            "config.steps[0].subtestPublicId: the subtest 'abc-def-ghi' is not part of this definition",
        ),
    ],
)
def test_what_is_not_there_yet_is_named_and_no_step_is_run(written: dict[str, Any], what: str) -> None:
    test = parse(multistep(written, step()))
    assert (test.requires_update, test.steps) == ((what,), ())


def test_a_subtest_is_a_whole_multistep_test() -> None:
    inner = multistep(step("inner"), public_id="inn-inn-inn", options={"retry": {"count": 3}})
    (read,) = steps_of(subtest("inn-inn-inn", subtest=inner, alwaysExecute=True))
    assert isinstance(read.action, APITest)
    assert (read.always_execute, read.action.public_id, read.action.retry) == (True, "inn-inn-inn", None)
    assert [each.name for each in read.action.steps] == ["inner"]


def nested(levels: int) -> dict[str, Any]:
    """A test with *levels* of subtests below it."""
    test = multistep(step(), public_id=f"level-{levels}")
    for level in reversed(range(levels)):
        test = multistep(subtest(f"level-{level + 1}", subtest=test), public_id=f"level-{level}")
    return test


def test_subtests_go_two_levels_deep() -> None:
    assert parse(nested(2)).requires_update == ()
    with pytest.raises(TestError, match="subtests go 2 levels deep at most"):
        parse(nested(3))


def test_a_subtest_within_itself_is_a_mistake() -> None:
    inner = multistep(subtest("out-out-out"), public_id="inn-inn-inn")
    outer = mistakes(subtest("inn-inn-inn", subtest=inner), public_id="out-out-out")
    place = "config.steps[0].subtest.config.steps[0].subtestPublicId"
    assert outer == (f"{place}: the test 'out-out-out' plays itself",)


def test_a_test_of_one_request_is_played_as_a_test_of_one_step() -> None:
    inner = http_test("inner", "https://shop.test/{{ ORDER }}", options={"follow_redirects": True}) | {"public_id": "i"}
    inner["config"]["configVariables"] = [{"name": "ORDER", "type": "text", "pattern": "1"}]
    inner["config"]["request"]["persistCookies"] = True
    (read,) = steps_of(subtest("inn-inn-inn", subtest=inner))
    assert isinstance(read.action, APITest)
    assert (read.action.request, read.action.assertions, read.action.public_id) == (None, (), "i")
    assert [variable.name for variable in read.action.variables] == ["ORDER"]
    (only,) = read.action.steps
    assert (only.name, only.subtype, only.persist_cookies) == ("inner", "http", True)
    assert request_of(only).follow_redirects
    assert only.source == StepSource(
        step=inner["config"], options=inner["options"], path="config.steps[0].subtest.config"
    )


def test_mistakes_of_a_subtest_of_one_request_stand_where_its_author_wrote_them() -> None:
    inner = http_test("inner", subtype="icmp", assertions=[{"type": "statusCode", "operator": "is"}])
    test = parse(multistep(subtest("inn-inn-inn", subtest=inner)))
    assert test.requires_update == ("config.steps[0].subtest.subtype: 'icmp' tests are not there yet",)
    inner["subtype"] = "http"
    assert mistakes(subtest("inn-inn-inn", subtest=inner)) == (
        "config.steps[0].subtest.config.assertions[1].target: is missing",
    )


def test_steps_are_counted_with_those_of_subtests() -> None:
    assert len(steps_of(*[wait(0)] * MOST_STEPS)) == MOST_STEPS
    inner = multistep(*[wait(0)] * (MOST_STEPS - 1))
    assert len(steps_of(subtest("abc-def-ghi", subtest=inner))) == 1
    (told,) = mistakes(subtest("abc-def-ghi", subtest=inner), wait(0))
    assert told == f"config.steps: must hold at most 100 steps, those of subtests counted, not {MOST_STEPS + 1}"
