"""Results as annotations of GitHub Actions: workflow commands (`::error file=…,title=…::MESSAGE`) on the standard output.

A runner obeys such commands wherever they stand in the output, also in what a test, a file or a target says. So this report stops
their processing at its beginning under a token that nobody can guess, and lifts the stop for its own lines alone.
https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from worker.apitest.files import Definition, Unusable
from worker.apitest.summary import failure
from worker.text import printable

MAX_TITLE = 100
MAX_MESSAGE = 1_000


class GitHubReport:
    """Annotates what failed as an error and remarks as warnings. *token* ends the stop: new and random for each run."""

    def __init__(self, show: Callable[[str], None], token: str) -> None:
        self._show = show
        self._stop, self._resume = f"::stop-commands::{token}", f"::{token}::"

    def begin(self, _definitions: Sequence[Definition]) -> None:
        self._show(self._stop)

    def refuse(self, unusable: Unusable) -> None:
        self._annotate(annotation("error", unusable.file, unusable.line, "not a test definition", unusable.reason))

    def remark(self, definition: Definition, sentence: str) -> None:
        self._annotate(annotation("warning", definition.file, definition.line, definition.place, sentence))

    def take(self, definition: Definition, outcome: dict[str, Any]) -> None:
        if outcome["status"] != "passed":
            title = f"{outcome['test']['name'] or definition.place} {outcome['status']}"
            said = failure(outcome["failure"]) or str(outcome["unhealthy"] or "")
            self._annotate(annotation("error", definition.file, definition.line, title, said))

    def end(self, _summary: str) -> None:
        self._show(self._resume)

    def _annotate(self, command: str) -> None:
        """Write it in one piece, so that nothing of another stream comes between."""
        self._show(f"{self._resume}\n{command}\n{self._stop}")


def annotation(level: str, file: str, line: int | None, title: str, message: str) -> str:
    """One workflow command. *level* is `error` or `warning`; `-`, standard input, is no file that GitHub could show."""
    places = {} if file == "-" else {"file": file.removeprefix("./"), **({} if line is None else {"line": str(line)})}
    properties = {name: printable(text) for name, text in places.items()} | {"title": printable(title, MAX_TITLE)}
    listed = ",".join(f"{name}={_property(text)}" for name, text in properties.items())
    return f"::{level} {listed}::{_data(printable(message, MAX_MESSAGE))}"


def _data(text: str) -> str:
    """Escaped as a runner undoes it; line breaks are gone before."""
    return text.replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
