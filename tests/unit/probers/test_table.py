"""Every protocol has all its parts: reader, assertions, judges, report, prober, examples in the tests, a place in the docs."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import orjson
import pytest

from tests.support.observed import EXAMPLES, parsed_test
from worker.apitest.assertion import Subject
from worker.apitest.observation import ProbeResponse
from worker.apitest.protocols.protocol import Protocol
from worker.apitest.protocols.table import PROTOCOLS
from worker.apitest.request import ProbeRequest
from worker.apitest.responses.table import RESPONSES
from worker.apitest.result import Verdict
from worker.checks.protocols.table import CHECKS, JUDGES, response_as_json
from worker.probers.table import PROBERS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "test-language.md").read_text()
IN_TIME = {"type": "responseTime", "operator": "lessThan", "target": 1000}

each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)


def test_no_two_rows_share_a_name_or_a_class() -> None:
    rows = PROTOCOLS.values()
    assert [protocol.name for protocol in rows] == list(PROTOCOLS)
    classes = Counter(kind for protocol in rows for kind in (protocol.request, protocol.response))
    assert set(classes.values()) == {1}
    assert {ProbeRequest, ProbeResponse}.isdisjoint(classes)


@each_protocol
def test_its_reader_makes_its_own_request_of_the_example_in_the_tests(protocol: Protocol) -> None:
    test = parsed_test(protocol.name, IN_TIME)
    assert (type(test.request), test.requires_update) == (protocol.request, ())


@each_protocol
def test_each_of_its_assertion_types_can_be_read_and_judged(protocol: Protocol) -> None:
    (checks,) = (row for row in CHECKS if row.response is protocol.response)
    compared = {Subject(name) for name, kind in protocol.assertions.items() if kind.operators}
    assert Subject.RESPONSE_TIME in compared
    assert set(checks.judges) == compared
    assert all(kind.operators or kind.composed or kind.read_whole for kind in protocol.assertions.values())


def test_a_subject_has_one_judge_whatever_the_protocol() -> None:
    assert set(JUDGES) == set(Subject)
    assert all(judge is JUDGES[subject] for row in CHECKS for subject, judge in row.judges.items())


@each_protocol
def test_its_response_has_a_report_that_is_json(protocol: Protocol) -> None:
    observation = EXAMPLES[protocol.name]
    assert type(observation.response) is protocol.response
    report = response_as_json(parsed_test(protocol.name, IN_TIME), observation, Verdict(failure=None))
    assert report
    assert orjson.loads(orjson.dumps(report)) == report


@each_protocol
def test_it_has_one_prober_of_the_one_signature(protocol: Protocol) -> None:
    (prober,) = (row for row in PROBERS if row.request is protocol.request)
    assert inspect.iscoroutinefunction(prober.probe)
    parameters = inspect.signature(prober.probe).parameters.values()
    assert [each.name.lstrip("_") for each in parameters if each.default is each.empty] == [
        "request",
        "door",
        "clock",
        "limits",
    ]


def test_nothing_has_a_row_that_is_not_a_protocol() -> None:
    assert [row.response for row in CHECKS] == [row.response for row in PROTOCOLS.values()] == list(RESPONSES)
    assert [row.request for row in PROBERS] == [protocol.request for protocol in PROTOCOLS.values()]


def test_a_worker_that_sees_no_ssl_test_imports_nothing_for_it() -> None:
    costly = {"worker.probers.ssl", "worker.probers.certificates", "worker.net.inspection", "worker.net.stapling"}
    code = "import sys; from worker.work import runner, tests; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "worker.probers.http" in done.stdout.split()
    assert costly & set(done.stdout.split()) == set()


@each_protocol
def test_its_prober_is_tried_on_real_servers(protocol: Protocol) -> None:
    assert (ROOT / "tests" / "integration" / "probers" / f"test_{protocol.name}.py").exists()


@each_protocol
def test_the_page_of_the_language_has_its_request_and_its_assertions(protocol: Protocol) -> None:
    rows = re.findall(rf"^\| {protocol.name} \|.*(?:\n\| +\|.*)*", PAGE, re.MULTILINE)
    assert len(rows) == 2, "one in the table of requests, one in that of assertions"
    words = set(re.findall(r"\w+", PAGE))
    assert set(protocol.assertions) <= words
    assert f"`{protocol.name}`" in next(line for line in PAGE.splitlines() if line.startswith("| `subtype` |"))
    assert f"`{protocol.name}`" in next(line for line in PAGE.splitlines() if line.startswith("- subtypes other than"))
