"""The JUnit file: in the form that Jenkins' xUnit plugin accepts, with counts and times that add up, and harmless."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from lxml import etree

from tests.support.outcomes import HOSTILE, incorrect, outcome
from worker.apitest.files import Definition, Unusable
from worker.commands.reports.junit import JUnitReport

SAID = {"type", "message"}
CHILDREN: dict[str, set[str]] = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase", "system-out", "system-err", "testsuite"},
    "testcase": {"skipped", "error", "failure", "system-out", "system-err"},
}
ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "time", "skipped", "timestamp", "hostname", "id", "file"},
    "testcase": {"name", "time", "classname", "group"},
    "skipped": SAID,
    "error": SAID,
    "failure": SAID,
}
"""The elements and attributes of junit-10.xsd, the schema of Jenkins' xUnit plugin."""
TIME = re.compile(r"[0-9]*(\.[0-9]{0,3})?")
"""Its form of times."""
REQUIRED = {"testsuite": {"name", "tests", "failures", "errors"}, "testcase": {"name"}}


def parsed(write: bytes) -> Any:
    """The root element, once everything in it is what the schema allows."""
    root = etree.fromstring(write, etree.XMLParser(resolve_entities=False, no_network=True))
    assert root.tag == "testsuites"
    for element in root.iter():
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
        assert TIME.fullmatch(element.get("time", "0"))
        assert REQUIRED.get(element.tag, set()) <= set(element.attrib) <= ATTRIBUTES.get(element.tag, set())
    return root


def written(*told: tuple[Definition, dict[str, Any] | None], unusable: Unusable | None = None) -> Any:
    documents: list[bytes] = []
    report = JUnitReport(documents.append)
    report.begin([definition for definition, _ in told])
    if unusable:
        report.refuse(unusable)
    for definition, result in told:
        if result is not None:
            report.remark(definition, "not executed")
            report.take(definition, result)
    assert documents == []
    report.end("the end")
    (document,) = documents
    return parsed(document)


def definition(file: str, index: int | None = None, value: object = None) -> Definition:
    return Definition(file=file, index=index, value=value)


INVALID = {"code": "INVALID_TEST", "message": "config: is missing"}


def test_a_file_is_a_suite_and_a_test_a_case() -> None:
    root = written(
        (definition("a.json", 0), outcome("Shop")),
        (definition("a.json", 1), incorrect("Pay")),
        (definition("b.json"), outcome("Broken", "failed", failure=INVALID, timings={"total": 0.0}, started_at=None)),
        (definition("b.json", 1, {"name": "Late"}), None),
        unusable=Unusable(file="c.json", line=3, reason="is not valid JSON"),
    )
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "time")} == {
        "tests": "5",
        "failures": "1",
        "errors": "2",
        "time": "0.070",
    }
    assert [(suite.get("name"), suite.get("tests"), suite.get("skipped")) for suite in root] == [
        ("c.json", "1", "0"),
        ("a.json", "2", "0"),
        ("b.json", "2", "1"),
    ]
    assert root[1].get("timestamp") == "2026-11-27T03:00:00"
    assert [(case.get("name"), case.get("classname"), case.get("time")) for case in root.iter("testcase")] == [
        ("c.json:3", "c.json:3", "0.000"),
        ("Shop", "a.json[0]", "0.035"),
        ("Pay", "a.json[1]", "0.035"),
        ("Broken", "b.json", "0.000"),
        ("Late", "b.json[1]", "0.000"),
    ]
    verdicts = [
        (each.tag, each.get("type"), each.get("message"))
        for case in root.iter("testcase")
        for each in case
        if each.tag != "system-out"
    ]
    assert verdicts == [
        ("error", "UNUSABLE", "is not valid JSON"),
        ("failure", "INCORRECT_ASSERTION", "INCORRECT_ASSERTION: []"),
        ("error", "INVALID_TEST", "INVALID_TEST: config: is missing"),
        ("skipped", None, "the check was interrupted before this test was done"),
    ]
    assert "    ✗ header content-type contains json\n" in root[1][1].findtext("system-out")


def test_times_add_up_exactly() -> None:
    timings = [{"dns": each, "total": each} for each in (0.4, 0.5, 1234567.8)]
    root = written(*((definition("a.json", n), outcome(timings=each)) for n, each in enumerate(timings)))
    cases = [Decimal(case.get("time")) for case in root.iter("testcase")]
    assert sum(cases) == Decimal(root.get("time")) == Decimal(root[0].get("time")) == Decimal("1234.569")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_breaks_the_document_or_hides_in_it(text: str) -> None:
    root = written(
        (definition(text, value={"name": text}), incorrect(text, message=text)),
        (definition(text, 1, {"name": text}), None),
        unusable=Unusable(file=text, reason=text),
    )
    cases = list(root.iter("testcase"))
    assert len(cases) == 3
    values = [value for element in root.iter() for value in (element.text or "", *element.attrib.values())]
    assert all(line.isprintable() for value in values for line in value.split("\n"))


def test_nothing_at_all_is_a_document() -> None:
    assert len(written()) == 0
