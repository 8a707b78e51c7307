"""The reports that a command line asks for, put together; and what of it cannot be had at once."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from worker.apitest.details import block
from worker.commands.reports.github import GitHubReport
from worker.commands.reports.junit import JUnitReport
from worker.commands.reports.people import JSONReport, PeopleReport, Progress
from worker.commands.reports.report import Report, Reports
from worker.errors import ConfigError
from worker.program.file import in_the_way, replace_file
from worker.text import quoted

STREAM = "-"
_MODE = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The part of a command line that is about reports. *junit* is a path, `-`, or "" for none."""

    as_json: bool = False
    failures_only: bool = False
    github: bool = False
    junit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The two streams. *show* takes a line for people or programs, *complain* one beside them, *pour* bytes for a program."""

    show: Callable[[str], None]
    complain: Callable[[str], None]
    pour: Callable[[bytes], None]
    colour: bool = False
    width: int | None = None
    progress: Progress | None = None


def mistakes(wanted: Wanted) -> Iterator[ConfigError]:
    """Everything that would come out mixed, or could not be written in the end: better told before the tests run."""
    if wanted.as_json and wanted.github:
        yield ConfigError(
            "cannot be combined with --json: both write to standard output", option="github", place="flag"
        )
    if wanted.as_json and wanted.junit == STREAM:
        yield ConfigError("is standard output, which --json writes to", option="junit", place="flag")
    if wanted.junit not in ("", STREAM):
        reason = _unwritable(Path(wanted.junit))
        if reason:
            yield ConfigError(f"{quoted(wanted.junit)} {reason}", option="junit", place="flag")


def chosen(wanted: Wanted, output: Output) -> Report:
    """The report of one check. GitHub's is the first: from there on nothing that others print is a command.

    Complaints are on the same stream then: a runner reads two streams in no order.
    """
    reports: list[Report] = []
    complain = output.show if wanted.github else output.complain
    if wanted.github:
        reports.append(GitHubReport(output.show, secrets.token_hex(16)))
    if wanted.as_json:
        reports.append(JSONReport(output.show, complain, failures_only=wanted.failures_only))
    else:
        render = partial(block, colour=output.colour, width=output.width)
        people = PeopleReport(
            output.show, complain, render, failures_only=wanted.failures_only, progress=output.progress
        )
        reports.append(people)
    if wanted.junit:
        reports.append(JUnitReport(output.pour if wanted.junit == STREAM else partial(_write, wanted.junit)))
    return Reports(reports)


def _unwritable(path: Path) -> str:
    other = in_the_way(path)
    if other is not None:
        return f"is {other}, not a regular file; `-` is standard output"
    return "" if path.parent.is_dir() else "is in a folder that does not exist"


def _write(place: str, document: bytes) -> None:
    try:
        replace_file(Path(place), document, _MODE)
    except OSError as error:
        raise ConfigError(f"{quoted(place)} cannot be written: {error.strerror}", option="junit") from None
