"""Suspicions about members: those that people mistype, and none about what the reference system itself writes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.definitions import STATUS, api_test, extracted, http_test, multistep, step, subtest
from tests.support.recordings import RECORDED
from worker.apitest.parse import parse
from worker.apitest.spelling import misspelt, parse_spelled
from worker.errors import TestError

BOOKKEEPING = {
    "status": "live",
    "creator": {"name": "n", "email": "e", "handle": "h"},
    "created_at": "2026-01-01",
    "modified_at": "2026-01-01",
    "monitor_id": 7,
    "org_id": 1,
    "overall_state": 0,
    "stepCount": {"assertions": 1, "subtests": 0, "total": 1},
}
"""Members that exports of the reference system hold at the top and nothing here reads."""
OPTIONS = {
    "accept_self_signed": False,
    "checkCertificateRevocation": True,
    "ci": {"executionRule": "blocking"},
    "device_ids": [],
    "min_failure_duration": 0,
    "min_location_failed": 1,
    "monitor_name": "m",
    "monitor_options": {"renotify_interval": 0},
    "monitor_priority": 3,
    "restricted_roles": [],
    "noScreenshot": True,
}
REQUEST = {
    "allow_insecure": False,
    "bodyType": "text/plain",
    "certificateDomains": [],
    "numberOfPackets": 4,
    "persistCookies": False,
    "servername": "s",
    "service": "s",
    "message": "m",
    "metadata": {},
    "compressedProtoFile": "x",
    "isMessageBase64Encoded": False,
}


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        (http_test(message=None, messages="m"), "$: the member 'messages' is not known: did you mean 'message'?"),
        (
            http_test(options={"tickEvery": 60}),
            "options: the member 'tickEvery' is not known: did you mean 'tick_every'?",
        ),
        (
            api_test("http", STATUS, header={"A": "b"}),
            "config.request: the member 'header' is not known: did you mean 'headers'?",
        ),
        (
            api_test("http", STATUS, body="x", bodytype="text/plain"),
            "config.request: the member 'bodytype' is not known: did you mean 'bodyType'?",
        ),
        (
            api_test("tcp", {"type": "connection", "operator": "is", "targt": "established", "target": None}),
            "config.assertions[0]: the member 'targt' is not known: did you mean 'target'?",
        ),
    ],
)
def test_a_letter_or_the_case_wrong_is_suspected(whole: dict[str, Any], expected: str) -> None:
    assert expected in misspelt(whole)


def test_one_reading_tells_both_the_test_and_what_looks_misspelt() -> None:
    odd = api_test("http", STATUS, header={"A": "b"})
    assert parse_spelled(odd) == (parse(odd), misspelt(odd))
    assert misspelt(odd)


def test_one_reading_finds_the_mistakes_of_a_plain_one() -> None:
    wrong = api_test("http", STATUS, method=1, header={"A": "b"})
    with pytest.raises(TestError) as plain:
        parse(wrong)
    with pytest.raises(TestError) as spelled:
        parse_spelled(wrong)
    assert spelled.value.errors == plain.value.errors == ("config.request.method: must be text, not a number",)


@pytest.mark.parametrize("subtype", ["http", "tcp", "dns"])
def test_what_exports_hold_besides_is_none(subtype: str) -> None:
    whole = api_test(subtype, {"type": "responseTime", "operator": "lessThan", "target": 1000}, **REQUEST)
    assert misspelt(whole | BOOKKEEPING | {"options": OPTIONS}) == ()


def test_no_recorded_definition_is_suspected() -> None:
    assert {case["id"]: misspelt(case["test"]) for case in RECORDED if misspelt(case["test"])} == {}


@pytest.mark.parametrize(
    "value", [None, [], "x", {"config": []}, {"a" * 100_000: 1}, {f"tick_evry{n}": 1 for n in range(10_000)}]
)
def test_any_json_is_looked_through_within_bounds(value: object) -> None:
    assert len(misspelt(value)) <= 101


def test_members_of_steps_are_looked_through_too() -> None:
    odd = step(alowFailure=True, extractedValues=[extracted("A", "regex", "x", secur=True)])
    inner = multistep(step(extractedValue=[]), public_id="inn-inn-inn")
    assert misspelt(multistep(odd, subtest("inn-inn-inn", subtest=inner))) == (
        "config.steps[0]: the member 'alowFailure' is not known: did you mean 'allowFailure'?",
        "config.steps[0].extractedValues[0]: the member 'secur' is not known: did you mean 'secure'?",
        "config.steps[1].subtest.config.steps[0]: the member 'extractedValue' is not known: did you mean 'extractedValues'?",
    )


def test_names_that_a_header_or_a_parameter_may_have_are_nobodys() -> None:
    assert misspelt(api_test("http", STATUS, headers={"timout": "1"}, query={"urll": "1"})) == ()


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        (api_test("http", STATUS | {"operator": "iz"}), "the operator 'iz' is not known"),
        (
            api_test("http", STATUS | {"operator": "lesThan"}),
            "the operator 'lesThan' is not known: did you mean 'lessThan'?",
        ),
        (
            api_test("http", STATUS | {"type": "statuscode"}),
            "the assertion type 'statuscode' is not known: did you mean 'statusCode'?",
        ),
        (http_test(subtype="htttp"), "'htttp' tests are not there yet: did you mean 'http'?"),
    ],
)
def test_a_word_that_is_not_known_comes_with_the_one_that_was_probably_meant(
    whole: dict[str, Any], expected: str
) -> None:
    (sentence,) = parse(whole).requires_update
    assert sentence.partition(": ")[2] == expected
