"""The interface between `check` and whoever reads its results: one call for each thing that happened, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from worker.apitest.files import Definition, Unusable


class Report(Protocol):
    """A reader of one check. `begin` comes first, `end` last, also when the check is interrupted; the others as they come."""

    def begin(self, definitions: Sequence[Definition], /) -> None:
        """Hear of everything that is going to be run."""
        ...

    def refuse(self, unusable: Unusable, /) -> None:
        """Hear of input that holds no definition."""
        ...

    def remark(self, definition: Definition, sentence: str, /) -> None:
        """Hear of a part of a definition that the test is run without, or that looks misspelt."""
        ...

    def take(self, definition: Definition, outcome: dict[str, Any], /) -> None:
        """Hear of a result: the JSON of `Result`."""
        ...

    def end(self, summary: str, /) -> None:
        """Hear that nothing more comes. Raises ConfigError where what was asked for cannot be written."""
        ...


class Reports:
    """Several reports as one; each hears of everything, in their order."""

    def __init__(self, reports: Sequence[Report]) -> None:
        self._reports = reports

    def begin(self, definitions: Sequence[Definition]) -> None:
        for report in self._reports:
            report.begin(definitions)

    def refuse(self, unusable: Unusable) -> None:
        for report in self._reports:
            report.refuse(unusable)

    def remark(self, definition: Definition, sentence: str) -> None:
        for report in self._reports:
            report.remark(definition, sentence)

    def take(self, definition: Definition, outcome: dict[str, Any]) -> None:
        for report in self._reports:
            report.take(definition, outcome)

    def end(self, summary: str) -> None:
        for report in self._reports:
            report.end(summary)
