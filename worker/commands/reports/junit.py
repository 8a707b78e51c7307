"""Results as a JUnit file, in the form that Jenkins' xUnit plugin (junit-10.xsd), GitLab and GitHub's reporters read.

A suite is a file of definitions, a case a test. A target that did not do what it should is a `failure`; a test that could not
be run is an `error`, one that an interrupt kept from running is `skipped`. XML knows no control characters: they are escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

from worker.apitest.details import block
from worker.apitest.files import Definition, Unusable
from worker.apitest.summary import failure
from worker.text import printable

NOT_RUN = frozenset({"INVALID_TEST", "REQUIRES_UPDATE", "INTERNAL_ERROR"})
"""Failure codes that say nothing of the target."""
_INTERRUPTED = "the check was interrupted before this test was done"
MAX_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """*verdict* is the element that says how it went, "" for a pass; *took* in whole milliseconds, as the form prints them;
    *started* in epoch milliseconds, 0 if it did not.
    """

    name: str
    place: str
    took: int = 0
    started: int = 0
    verdict: str = ""
    type: str = ""
    message: str = ""
    output: str = ""


@dataclass(slots=True)
class JUnitReport:
    """Keeps all results; *write* gets the document at the end."""

    write: Callable[[bytes], None]
    _expected: Sequence[Definition] = ()
    _suites: dict[str, list[_Case]] = field(default_factory=dict)
    _taken: set[int] = field(default_factory=set)

    def begin(self, definitions: Sequence[Definition]) -> None:
        self._expected = definitions

    def refuse(self, unusable: Unusable) -> None:
        place = unusable.file if unusable.line is None else f"{unusable.file}:{unusable.line}"
        self._add(
            unusable.file, _Case(name=place, place=place, verdict="error", type="UNUSABLE", message=unusable.reason)
        )

    def remark(self, _definition: Definition, _sentence: str) -> None:
        pass

    def take(self, definition: Definition, outcome: dict[str, Any]) -> None:
        self._taken.add(id(definition))
        self._add(definition.file, _case(definition, outcome))

    def end(self, _summary: str) -> None:
        for definition in self._expected:
            if id(definition) not in self._taken:
                name = _name_of(definition.value) or definition.place
                case = _Case(name=name, place=definition.place, verdict="skipped", message=_INTERRUPTED)
                self._add(definition.file, case)
        self.write(document(self._suites))

    def _add(self, file: str, case: _Case) -> None:
        self._suites.setdefault(file, []).append(case)


def _case(definition: Definition, outcome: dict[str, Any]) -> _Case:
    failed = outcome["failure"] or {}
    code = failed.get("code", "")
    return _Case(
        name=outcome["test"]["name"] or definition.place,
        place=definition.place,
        took=(round(outcome["timings"]["total"] * 10) + 5) // 10,
        started=outcome["started_at"] or 0,
        verdict="" if outcome["status"] == "passed" else "error" if code in NOT_RUN else "failure",
        type=code,
        message=failure(failed) if failed else "",
        output=block(outcome),
    )


def _name_of(value: object) -> str:
    name = value.get("name") if isinstance(value, dict) else None
    return name if isinstance(name, str) else ""


def document(suites: Mapping[str, Sequence[_Case]]) -> bytes:
    """The XML, UTF-8. Times are seconds to the millisecond, and those of a suite the sum of its cases'."""
    everything = [each for cases in suites.values() for each in cases]
    root = ET.Element("testsuites", {"name": "synthetics-worker check", **_totals(everything)})
    for file, cases in suites.items():
        skipped = str(sum(case.verdict == "skipped" for case in cases))
        attributes = {"name": _harmless(file), **_totals(cases), "skipped": skipped, **_stamp(cases)}
        suite = ET.SubElement(root, "testsuite", attributes)
        for case in cases:
            _append(suite, case)
    ET.indent(root)
    xml: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return xml + b"\n"


def _append(suite: ET.Element, case: _Case) -> None:
    attributes = {"name": _harmless(case.name), "classname": _harmless(case.place), "time": _seconds(case.took)}
    element = ET.SubElement(suite, "testcase", attributes)
    if case.verdict:
        kind = {"type": case.type} if case.type else {}
        ET.SubElement(element, case.verdict, {"message": printable(case.message), **kind})
    if case.output:
        ET.SubElement(element, "system-out").text = case.output


def _totals(cases: Sequence[_Case]) -> dict[str, str]:
    return {
        "tests": str(len(cases)),
        "failures": str(sum(case.verdict == "failure" for case in cases)),
        "errors": str(sum(case.verdict == "error" for case in cases)),
        "time": _seconds(sum(case.took for case in cases)),
    }


def _stamp(cases: Sequence[_Case]) -> dict[str, str]:
    """The start of the first run, in UTC; nothing where none was started."""
    started = [case.started for case in cases if case.started]
    if not started:
        return {}
    return {"timestamp": datetime.fromtimestamp(min(started) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")}


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03}"


def _harmless(text: str) -> str:
    return printable(text, MAX_NAME)
