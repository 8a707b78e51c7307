"""What may run in place: bounded by a small input, without an engine. Everything else is for a process that can be killed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tests.support.definitions import json_path, json_schema, xpath
from tests.support.observed import LIMITS, assertion_of, dns, http, tcp
from worker.apitest.observation import Observation
from worker.checks.cost import cost_of, evaluate_bounded
from worker.checks.evidence import Evidence
from worker.checks.limits import BOUNDED_BODY, BOUNDED_WORK

SMALL = http(b'{"a":1}')
LARGE = http(b"x" * (BOUNDED_BODY + 1))
CODED = http(b"", encodings=("gzip",))
RARE = http(b"x", "text/plain; charset=big5")

STATUS = {"type": "statusCode", "operator": "is", "target": 200}
HEADER = {"type": "header", "property": "a", "operator": "lessThan", "target": 1}
CONTAINS = {"type": "body", "operator": "contains", "target": "x"}
HASH = {"type": "bodyHash", "operator": "sha256", "target": "x"}
MEMBER = json_path("$.a.b[0]", "is", 1)


@pytest.mark.parametrize(
    ("observation", "subtype", "assertion", "bounded"),
    [
        (SMALL, "http", STATUS, True),
        (LARGE, "http", STATUS, True),
        (CODED, "http", STATUS, True),
        (SMALL, "http", STATUS | {"operator": "matches"}, False),
        (SMALL, "http", HEADER, True),
        (LARGE, "http", HEADER, True),
        (SMALL, "http", HEADER | {"operator": "doesNotMatch"}, False),
        (SMALL, "http", {"type": "responseTime", "operator": "lessThan", "target": 1}, True),
        (SMALL, "http", CONTAINS, True),
        (LARGE, "http", CONTAINS, False),
        (CODED, "http", CONTAINS, False),
        (RARE, "http", CONTAINS, False),
        (SMALL, "http", CONTAINS | {"operator": "matches"}, False),
        (SMALL, "http", HASH, True),
        (LARGE, "http", HASH, False),
        (CODED, "http", HASH, False),
        (SMALL, "http", MEMBER, True),
        (LARGE, "http", MEMBER, False),
        (SMALL, "http", json_path("$..a", "is", 1), False),
        (SMALL, "http", json_path("$.a", "matches", "x"), False),
        (SMALL, "http", json_path("$.a[?(@.b)]", "is", 1), False),
        (SMALL, "http", xpath("//a", "is", 1), False),
        (SMALL, "http", json_schema("{}"), False),
        (SMALL, "http", {"type": "javascript", "code": "1"}, False),
        (SMALL, "http", {"type": "no such type", "operator": "is", "target": 1}, False),
        (tcp("refused"), "tcp", {"type": "connection", "operator": "is", "target": "refused"}, True),
        (dns(A=("192.0.2.1",)), "dns", {"type": "recordSome", "property": "A", "operator": "is", "target": "x"}, True),
        (
            dns(A=("192.0.2.1",)),
            "dns",
            {"type": "recordEvery", "property": "A", "operator": "matches", "target": "x"},
            False,
        ),
    ],
)
def test_only_bounded_work_runs_in_place(
    observation: Observation, subtype: str, assertion: dict[str, Any], bounded: bool
) -> None:
    parsed = assertion_of(subtype, assertion)
    assert (cost_of(parsed, Evidence(observation, LIMITS)) <= BOUNDED_WORK) is bounded
    in_place = evaluate_bounded(parsed, Evidence(observation, LIMITS))
    assert in_place.error_message != "a pattern is not judged in place" or not bounded


def test_an_assertion_that_is_not_bounded_is_not_judged_in_place_by_mistake() -> None:
    evidence = Evidence(SMALL, LIMITS)
    for assertion in (
        STATUS | {"operator": "matches"},
        json_path("$..a", "is", 1),
        xpath("/", "is", "x"),
        json_schema("{}"),
    ):
        result = evaluate_bounded(assertion_of("http", assertion), evidence)
        assert not result.valid
        assert "in place" in str(result.error_message)


def test_judging_in_place_loads_no_engine() -> None:
    program = (
        "import sys, worker.checks.cost, worker.checks.verdict, worker.checks.protocols.table, worker.apitest.parse;"
        "print(sorted({'quickjs', 'lxml', 'jsonpath', 'jsonpath_ng', 'jsonschema_rs'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"


def test_a_small_body_is_decoded_and_parsed_once_for_all_assertions() -> None:
    evidence = Evidence(SMALL, LIMITS)
    assert evidence.json() is evidence.json()
    assert evidence.text() is evidence.text()


def test_a_body_that_cannot_be_read_is_tried_once_for_all_assertions() -> None:
    evidence = Evidence(http(b"no json"), LIMITS)
    calls = []

    def make() -> object:
        calls.append(1)
        return evidence.json()

    results = [evaluate_bounded(assertion_of("http", MEMBER), evidence) for _ in range(3)]
    assert len({result.error_message for result in results}) == 1
    for _ in range(3):
        with pytest.raises(Exception, match="the body is not valid JSON"):
            evidence.once("tried", make)
    assert calls == [1]


LONG = "x" * BOUNDED_WORK


@pytest.mark.parametrize(
    ("observation", "subtype", "assertion"),
    [
        (SMALL, "http", HEADER | {"operator": "is", "target": LONG}),
        (SMALL, "http", CONTAINS | {"target": LONG}),
        (SMALL, "http", HASH | {"target": LONG}),
        (http(b"[]"), "http", json_path("$", "is", "[" + "1," * (BOUNDED_WORK // 2) + "1]")),
        (dns(A=("192.0.2.1",)), "dns", {"type": "recordSome", "property": "A", "operator": "is", "target": LONG}),
    ],
)
def test_a_target_of_an_authors_size_is_not_looked_at_in_place(
    observation: Observation, subtype: str, assertion: dict[str, Any]
) -> None:
    assert cost_of(assertion_of(subtype, assertion), Evidence(observation, LIMITS)) > BOUNDED_WORK


def test_a_target_counts_as_often_as_it_is_compared() -> None:
    one, many = (Evidence(http(headers=[("a", "x")] * number), LIMITS) for number in (1, 100))
    assertion = assertion_of("http", HEADER | {"operator": "is", "target": "x" * 1000})
    assert cost_of(assertion, many) - cost_of(assertion, one) >= 100 * 1000
    few, most = (dns(TXT=("x",) * number) for number in (1, 100))
    record = assertion_of("dns", {"type": "recordSome", "property": "TXT", "operator": "is", "target": "y" * 1000})
    assert cost_of(record, Evidence(most, LIMITS)) - cost_of(record, Evidence(few, LIMITS)) >= 99 * 1000


def test_every_assertion_costs_something() -> None:
    """So that ten thousand of the smallest are not judged in place either."""
    assert cost_of(assertion_of("http", STATUS), Evidence(SMALL, LIMITS)) * 10_000 > BOUNDED_WORK
