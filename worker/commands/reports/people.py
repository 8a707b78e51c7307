"""Results for people: a block each as it comes, a line of progress on a terminal, a summary. And for programs: an object a line.

What a definition or a target says is made harmless where it is put into text (`apitest.details`, `text.printable`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from worker.apitest.files import Definition, Unusable
from worker.apitest.public_result import public_result
from worker.text import counted, json_line, printable

_ERASE = "\r\033[K"
MANY = 2
"""Tests from which on a line says how many of them are done."""


class Progress:
    """One line at the end of a terminal that is written over, and gone at the end. The cursor waits at its beginning, so that a
    line of somebody else's writes over it, too.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = False

    def show(self, text: str) -> None:
        self._stream.write(f"{_ERASE}{text}\r")
        self._stream.flush()
        self._shown = True

    def erase(self) -> None:
        """Make room for a line that stays."""
        if self._shown:
            self._stream.write(_ERASE)
            self._stream.flush()
            self._shown = False


class PeopleReport:
    """*show* prints a result or the summary, *complain* what is beside them, *render* makes text of an outcome.

    *failures_only* leaves out what passed. *progress* is None where nobody watches.
    """

    def __init__(
        self,
        show: Callable[[str], None],
        complain: Callable[[str], None],
        render: Callable[[dict[str, Any]], str],
        *,
        failures_only: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._show = show
        self._complain = complain
        self._render = render
        self._failures_only = failures_only
        self._progress = progress
        self._counts = Counter[str]()
        self._expected = 0

    def begin(self, definitions: Sequence[Definition]) -> None:
        self._expected = len(definitions)
        self._go_on()

    def refuse(self, unusable: Unusable) -> None:
        self._aside(str(unusable))

    def remark(self, definition: Definition, sentence: str) -> None:
        self._aside(f"{definition.place}: {sentence}")

    def take(self, _definition: Definition, outcome: dict[str, Any]) -> None:
        self._counts[outcome["status"]] += 1
        if not (self._failures_only and outcome["status"] == "passed"):
            self._make_room()
            self._show(self._render(outcome))
        self._go_on()

    def end(self, summary: str) -> None:
        self._make_room()
        self._show(summary)

    def _aside(self, text: str) -> None:
        self._make_room()
        self._complain(printable(text))
        self._go_on()

    def _make_room(self) -> None:
        if self._progress is not None:
            self._progress.erase()

    def _go_on(self) -> None:
        done = self._counts.total()
        if self._progress is None or self._expected < MANY or done >= self._expected:
            return
        failed = done - self._counts["passed"]
        self._progress.show(f"{done} of {counted(self._expected, 'test')} done{f', {failed} failed' if failed else ''}")


class JSONReport:
    """One object a line: the public v2 `result`, and in `test` which test it is of."""

    def __init__(
        self, show: Callable[[str], None], complain: Callable[[str], None], *, failures_only: bool = False
    ) -> None:
        self._show = show
        self._complain = complain
        self._failures_only = failures_only

    def begin(self, _definitions: Sequence[Definition]) -> None:
        pass

    def refuse(self, unusable: Unusable) -> None:
        self._complain(printable(str(unusable)))

    def remark(self, definition: Definition, sentence: str) -> None:
        self._complain(printable(f"{definition.place}: {sentence}"))

    def take(self, _definition: Definition, outcome: dict[str, Any]) -> None:
        if not (self._failures_only and outcome["status"] == "passed"):
            self._show(json_line({"test": outcome["test"], **public_result(outcome, run_type="triggered")}))

    def end(self, _summary: str) -> None:
        pass
