"""A report that keeps what it hears, for tests of whoever calls one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from worker.apitest.files import Definition, Unusable


class Heard:
    """Every call, in lists of its own; *order* has the names of all of them."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.expected: Sequence[Definition] = ()
        self.unusable: list[Unusable] = []
        self.remarks: list[str] = []
        self.outcomes: list[dict[str, Any]] = []
        self.places: list[str] = []
        self.summary = ""

    def begin(self, definitions: Sequence[Definition]) -> None:
        self.order.append("begin")
        self.expected = definitions

    def refuse(self, unusable: Unusable) -> None:
        self.order.append("refuse")
        self.unusable.append(unusable)

    def remark(self, definition: Definition, sentence: str) -> None:
        self.order.append("remark")
        self.remarks.append(f"{definition.place}: {sentence}")

    def take(self, definition: Definition, outcome: dict[str, Any]) -> None:
        self.order.append("take")
        self.outcomes.append(outcome)
        self.places.append(definition.place)

    def end(self, summary: str) -> None:
        self.order.append("end")
        self.summary = summary
