"""The verdict on one run and its JSON: what is printed, sealed, stored and shown. Names are the reference system's v2 result."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from msgspec import Struct

from worker.outcome.failure import Failure, FailureCode
from worker.outcome.phases import Timings


class Status(Enum):
    PASSED = "passed"
    FAILED = "failed"
    MISSED = "missed"
    """The run could not start in its period; recorded, never dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptVariable:
    """A variable that a script has set, for the run and no part of a result. *secure*: its value must not be shown."""

    name: str
    value: str = field(repr=False)
    secure: bool


class AssertionResult(Struct, frozen=True, kw_only=True):
    """One assertion's outcome. *expected* is text (the reference system prints targets so), *actual* keeps its type, cut.

    *code* is set where a limit kept the assertion from being judged and the list of codes has a name for that limit; it is
    for the verdict and no part of the printed result. *log* is what a script wrote, *variables* what it set: those are for the
    run and no part of the printed result either.
    """

    type: str
    operator: str | None
    expected: str
    actual: str | int | float | bool | None
    valid: bool
    property: str | None = None
    target_path: str | None = None
    target_path_operator: str | None = None
    error_message: str | None = None
    code: FailureCode | None = None
    log: str | None = None
    variables: tuple[ScriptVariable, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Absent members are left out; `actual` and `valid` are always there."""
        pairs = {
            "type": self.type,
            "operator": self.operator,
            "property": self.property,
            "expected": self.expected,
            "target_path": self.target_path,
            "target_path_operator": self.target_path_operator,
            "error_message": self.error_message,
            "log": self.log,
        }
        return {k: v for k, v in pairs.items() if v is not None} | {"actual": self.actual, "valid": self.valid}


class BodyPreview(Struct, frozen=True, kw_only=True):
    """The beginning of a body as text. *is_cut*: there is more of it."""

    text: str
    is_cut: bool


class Verdict(Struct, frozen=True, kw_only=True):
    """The meaning of an observation: assertion by assertion, and the failure that decides.

    *preview* is set where the body had to be decoded in an evaluator, with the assertions on it.
    """

    failure: Failure | None
    assertions: tuple[AssertionResult, ...] = ()
    preview: BodyPreview | None = None

    @property
    def passed(self) -> bool:
        return self.failure is None


class Retried(Struct, frozen=True, kw_only=True):
    """The retries behind a result. *initial_id* is the job whose first execution failed; None for a run without a job.

    The result is that of the last execution, which alone decides: no other follows it.
    """

    initial_id: str | None
    count: int

    def as_json(self) -> dict[str, Any]:
        return {"initial_id": self.initial_id, "is_fast_retry": True, "is_last_retry": True, "retries": self.count}


class Result(Struct, frozen=True, kw_only=True):
    """One finished job. Times are UTC; *unhealthy* names the worker's own trouble while it ran, None if there was none."""

    test_public_id: str
    test_name: str
    test_subtype: str
    test_version: int
    status: Status
    timings: Timings = Timings()
    failure: Failure | None = None
    assertions: tuple[AssertionResult, ...] = ()
    resolution: dict[str, Any] | None = None
    response: dict[str, Any] | None = None
    scheduled_at: datetime | None = None
    leased_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    request: dict[str, Any] | None = None
    """The request that was sent, with the values of the run; None where nothing was."""
    unhealthy: str | None = None
    worker_id: str = ""
    worker_version: str = ""
    steps: tuple[dict[str, Any], ...] = ()
    """The rows of a multistep test, as JSON."""
    exited_on_step_success: bool = False
    retried: Retried | None = None

    def as_json(self) -> dict[str, Any]:
        """The `outcome` of a result message: times as epoch milliseconds or null. Every key is present but `request` and those of
        steps and of retries, which are where there were any.

        It is as large as what it tells; `bounds` cuts it to what is sent, and names in `cut` what that shortened.
        """
        whole: dict[str, Any] = {
            "test": {
                "public_id": self.test_public_id,
                "name": self.test_name,
                "subtype": self.test_subtype,
                "version": self.test_version,
            },
            "status": self.status.value,
            "failure": self.failure.as_json() if self.failure else None,
            "timings": self.timings.as_json(),
            "assertions": [assertion.as_json() for assertion in self.assertions],
            "dns_resolution": self.resolution,
            "response": self.response,
            "scheduled_at": epoch_milliseconds(self.scheduled_at),
            "leased_at": epoch_milliseconds(self.leased_at),
            "started_at": epoch_milliseconds(self.started_at),
            "finished_at": epoch_milliseconds(self.finished_at),
            "unhealthy": self.unhealthy,
            "location": {"worker_id": self.worker_id, "version": self.worker_version},
            "cut": [],
        }
        if self.request is not None:
            whole["request"] = self.request
        if self.steps:
            whole |= {"steps": list(self.steps), "exited_on_step_success": self.exited_on_step_success}
        return whole if self.retried is None else whole | self.retried.as_json()


def epoch_milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
