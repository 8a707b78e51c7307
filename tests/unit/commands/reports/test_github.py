"""Annotations as a runner reads them, and nothing else that it would obey, whatever is printed in between."""

from __future__ import annotations

import pytest

from tests.support.outcomes import HOSTILE, incorrect, outcome
from tests.support.workflow_commands import Command, obeyed
from worker.apitest.details import block
from worker.apitest.files import Definition, Unusable
from worker.commands.reports.github import GitHubReport, annotation
from worker.text import printable

TOKEN = "0123456789abcdef0123456789abcdef"


def reported(*results: tuple[Definition, dict[str, object]], unusable: Unusable | None = None, other: str = "") -> str:
    """The output of a check whose people's report stands between the annotations, and *other* text of anybody's."""
    lines: list[str] = []
    report = GitHubReport(lines.append, TOKEN)
    report.begin([definition for definition, _ in results])
    if unusable:
        report.refuse(unusable)
    for definition, result in results:
        report.remark(definition, "options.retry: not executed")
        report.take(definition, result)
        lines += [block(result), other]
    report.end("the end")
    return "\n".join(lines)


def test_a_failure_is_an_error_and_a_remark_a_warning() -> None:
    output = reported(
        (Definition(file="./tests/a.jsonl", line=7, value={}), incorrect("Pay: now, 100%")),
        (Definition(file="-", value={}), outcome("Shop")),
        unusable=Unusable(file="b.json", reason="is not valid JSON"),
    )
    assert obeyed(output) == [
        Command("error", {"file": "b.json", "title": "not a test definition"}, "is not valid JSON"),
        Command(
            "warning",
            {"file": "tests/a.jsonl", "line": "7", "title": "./tests/a.jsonl:7"},
            "options.retry: not executed",
        ),
        Command(
            "error",
            {"file": "tests/a.jsonl", "line": "7", "title": "Pay: now, 100% failed"},
            "INCORRECT_ASSERTION: []",
        ),
        Command("warning", {"title": "-"}, "options.retry: not executed"),
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_test_says_comes_back_as_it_is_and_is_never_obeyed(text: str) -> None:
    definition = Definition(file=text, value={})
    output = reported(
        (definition, incorrect(text, message=text)), unusable=Unusable(file=text, reason=text), other=text
    )
    commands = obeyed(output)
    assert [command.name for command in commands] == ["error", "warning", "error"]
    assert commands[0].data == printable(text)
    assert commands[2].properties["title"] == f"{printable(text)} failed"
    assert commands[2].properties["file"] == printable(text)


def test_without_the_stop_the_runner_would_have_obeyed() -> None:
    """The reader is one that finds such commands."""
    assert [command.name for text in HOSTILE for command in obeyed(text)] == ["error", "error", "error", "error"]


def test_the_escapes_are_those_of_the_documentation() -> None:
    assert annotation("error", "a,b:c%.json", 3, "x", "50%: a, b") == (
        "::error file=a%2Cb%3Ac%25.json,line=3,title=x::50%25: a, b"
    )
