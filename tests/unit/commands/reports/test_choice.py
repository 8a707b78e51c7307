"""Which reports a command line gets, where they write, and what cannot be had at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.outcomes import incorrect
from worker.apitest.files import Definition
from worker.commands.reports.choice import Output, Wanted, chosen, mistakes
from worker.errors import ConfigError

FOUND = Definition(file="a.json", value={})


class Streams:
    def __init__(self) -> None:
        self.shown: list[str] = []
        self.poured: list[bytes] = []
        self.output = Output(show=self.shown.append, complain=lambda _: None, pour=self.poured.append)

    def tell(self, wanted: Wanted) -> None:
        report = chosen(wanted, self.output)
        report.begin([FOUND])
        report.take(FOUND, incorrect())
        report.end("the end")


def told(**wanted: Any) -> Streams:
    streams = Streams()
    streams.tell(Wanted(**wanted))
    return streams


def test_people_get_blocks_and_programs_objects() -> None:
    assert told().shown[-1] == "the end"
    assert [json.loads(line)["status"] for line in told(as_json=True).shown] == ["failed"]


def test_a_junit_file_is_written_beside_what_people_read(tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    streams = told(junit=str(file))
    assert streams.shown[-1] == "the end"
    assert streams.poured == []
    assert b"<testsuites " in file.read_bytes()
    assert [each.name for each in tmp_path.iterdir()] == ["junit.xml"]


def test_a_dash_is_the_stream() -> None:
    streams = told(junit="-")
    assert b"<testsuites " in b"".join(streams.poured)


def test_nothing_that_people_read_is_a_command_for_github_and_the_token_is_another_each_time() -> None:
    first, second = (told(github=True).shown for _ in range(2))
    assert first[0].startswith("::stop-commands::")
    assert first[0] != second[0]
    assert first[-2] == f"::{first[0].removeprefix('::stop-commands::')}::"
    assert first[-1] == "the end"


def test_for_github_complaints_are_on_the_stream_of_the_annotations() -> None:
    streams = Streams()
    report = chosen(Wanted(github=True), streams.output)
    report.begin([])
    report.remark(FOUND, "options.retry: not executed")
    assert streams.shown[-1] == "a.json: options.retry: not executed"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted(as_json=True, github=True), "github: cannot be combined with --json"),
        (Wanted(as_json=True, junit="-"), "junit: is standard output, which --json writes to"),
        (Wanted(junit="/dev/null/j.xml"), 'junit: "/dev/null/j.xml" is in a folder that does not exist'),
        (Wanted(junit="/dev/null"), 'junit: "/dev/null" is a device, not a regular file'),
    ],
)
def test_what_cannot_be_had_is_told_before_anything_runs(wanted: Wanted, words: str) -> None:
    (mistake,) = mistakes(wanted)
    assert str(mistake).startswith(words)


def test_what_can_be_had_is_no_mistake(tmp_path: Path) -> None:
    for wanted in (Wanted(), Wanted(github=True, junit="-"), Wanted(as_json=True, junit=str(tmp_path / "j.xml"))):
        assert list(mistakes(wanted)) == []


def test_a_file_that_cannot_be_written_in_the_end_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    streams = Streams()
    report = chosen(Wanted(junit=str(folder / "j.xml")), streams.output)
    report.begin([FOUND])
    folder.rmdir()
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        report.end("the end")
