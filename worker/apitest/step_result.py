"""The rows of a multistep test's result: one a step, in order, each with its own phases. Names are the reference system's."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

from msgspec import Struct

from worker.apitest.result import AssertionResult
from worker.outcome.failure import Failure
from worker.outcome.phases import Timings


class StepStatus(Enum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """The test had ended before it."""


class ExtractedValue(Struct, frozen=True, kw_only=True):
    """A variable that a step set; None for one whose value is secure: a result never holds it."""

    name: str
    value: str | None

    def as_json(self) -> dict[str, Any]:
        if self.value is None:
            return {"name": self.name, "secure": True}
        return {"name": self.name, "secure": False, "value": self.value}


class StepResult(Struct, frozen=True, kw_only=True):
    """One step's outcome. *steps* are the rows of the test that it played; *retries* are executions after the first."""

    name: str
    subtype: str
    status: StepStatus
    identifier: str = ""
    allow_failure: bool = False
    is_critical: bool = False
    failure: Failure | None = None
    assertions: tuple[AssertionResult, ...] = ()
    timings: Timings = Timings()
    resolution: dict[str, Any] | None = None
    response: dict[str, Any] | None = None
    request: dict[str, Any] | None = None
    extracted: tuple[ExtractedValue, ...] = ()
    retries: int = 0
    public_id: str = ""
    """Of the test that it played."""
    steps: tuple[StepResult, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Members that every row has, and of the others those that say something."""
        row: dict[str, Any] = {
            "name": self.name,
            "subtype": self.subtype,
            "status": self.status.value,
            "allow_failure": self.allow_failure,
            "is_critical": self.is_critical,
            "failure": self.failure.as_json() if self.failure else None,
            "assertions": [assertion.as_json() for assertion in self.assertions],
            "timings": self.timings.as_json(),
            "duration": self.timings.total_tenths / 10,
        }
        more: dict[str, Any] = {
            "id": self.identifier,
            "dns_resolution": self.resolution,
            "response": self.response,
            "request": self.request,
            "variables": {"extracted": [value.as_json() for value in self.extracted]} if self.extracted else None,
            "retry_count": self.retries,
            "sub_test": {"id": self.public_id} if self.public_id else None,
            "steps": [step.as_json() for step in self.steps],
        }
        return row | {name: value for name, value in more.items() if value}


def phases_of(rows: Sequence[StepResult]) -> Timings:
    """The phases of a test made of *rows*: one phase, the sum of all of them, so that the whole is the sum of its parts."""
    return Timings((("steps", sum(row.timings.total_tenths for row in rows)),)) if rows else Timings()
