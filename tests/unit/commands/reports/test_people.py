"""What people and programs read of a check: blocks or objects as they come, remarks aside, progress on a terminal."""

from __future__ import annotations

import io
import json
from functools import partial
from typing import Any

import pytest

from tests.support.outcomes import HOSTILE, incorrect, outcome
from worker.apitest.details import block
from worker.apitest.files import Definition, Unusable
from worker.commands.reports.people import JSONReport, PeopleReport, Progress

FOUND = [Definition(file="a.json", index=index, value={}) for index in range(3)]


def people(**options: Any) -> tuple[PeopleReport, list[str], list[str]]:
    shown: list[str] = []
    complaints: list[str] = []
    return PeopleReport(shown.append, complaints.append, block, **options), shown, complaints


def test_each_result_is_a_block_and_the_last_line_the_summary() -> None:
    report, shown, complaints = people()
    report.begin(FOUND[:1])
    report.remark(FOUND[0], "options.retry: not executed")
    report.take(FOUND[0], incorrect())
    report.end("1 test: 1 failed")
    assert shown == [block(incorrect()), "1 test: 1 failed"]
    assert complaints == ["a.json[0]: options.retry: not executed"]


def test_what_passed_is_left_out_where_only_failures_are_wanted() -> None:
    report, shown, _ = people(failures_only=True)
    report.begin(FOUND)
    report.take(FOUND[0], outcome())
    report.take(FOUND[1], incorrect())
    report.end("the end")
    assert shown == [block(incorrect()), "the end"]


class Screen(io.StringIO):
    """A terminal of one line that is written over: what stands on it, and what has stood there."""

    def line(self) -> str:
        return self.getvalue().rpartition("\033[K")[2].strip("\r")


def test_a_line_says_how_many_are_done_and_makes_room_for_what_stays() -> None:
    screen = Screen()
    stands: list[str] = []

    def show(text: str) -> None:
        stands.append(screen.line())

    report = PeopleReport(show, show, block, progress=Progress(screen))
    report.begin(FOUND)
    seen = [screen.line()]
    report.refuse(Unusable(file="b.json", reason="is not valid JSON"))
    for each, result in zip(FOUND, (outcome(), incorrect(), outcome()), strict=True):
        report.take(each, result)
        seen.append(screen.line())
    report.end("3 tests")
    assert seen == ["0 of 3 tests done", "1 of 3 tests done", "2 of 3 tests done, 1 failed", ""]
    assert stands == [""] * 5
    assert screen.getvalue().count("\n") == 0


def test_one_test_needs_no_progress() -> None:
    screen = Screen()
    report = PeopleReport(lambda _: None, lambda _: None, block, progress=Progress(screen))
    report.begin(FOUND[:1])
    report.take(FOUND[0], outcome())
    report.end("1 test")
    assert screen.getvalue() == ""


def test_programs_get_the_public_shape_with_the_name_of_the_test() -> None:
    shown: list[str] = []
    complaints: list[str] = []
    report = JSONReport(shown.append, complaints.append)
    report.begin(FOUND)
    report.refuse(Unusable(file="b.json", reason="is not valid JSON"))
    report.remark(FOUND[0], "said")
    report.take(FOUND[0], incorrect("Pay"))
    report.take(FOUND[1], outcome())
    report.end("2 tests")
    first, second = map(json.loads, shown)
    assert first["test"] == {"public_id": "", "name": "Pay", "subtype": "http", "version": 1}
    assert (first["status"], first["duration"], first["run_type"]) == ("failed", 34.7, "triggered")
    assert first["failure"]["code"] == "INCORRECT_ASSERTION"
    assert (second["status"], "failure" in second) == ("passed", False)
    assert complaints == ["b.json: is not valid JSON", "a.json[0]: said"]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", [partial(PeopleReport, render=block), JSONReport])
def test_what_a_definition_or_a_file_is_called_cannot_command_the_terminal(text: str, kind: Any) -> None:
    said: list[str] = []
    report = kind(said.append, said.append)
    report.refuse(Unusable(file=text, reason=text))
    report.remark(Definition(file=text, value={}), text)
    report.take(Definition(file=text, value={}), incorrect(text))
    assert len(said) == 3
    assert all(line.isprintable() for each in said for line in each.split("\n"))
    if kind is JSONReport:
        assert json.loads(said[-1])["test"]["name"] == text
