"""A stored outcome → the reference system's result: version 1, and version 2 as the API tells it. Pure: JSON in and out.

A number that must be an integer there is one here; what has another shape than its readers expect is left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from worker.apitest.public_result import public_result
from worker.apitest.retry import retry_of

PASSED, TRIGGERED, NO_DATA = 0, 1, 2
"""The `status` of version 1."""
_V1_STATUS = {"passed": PASSED, "failed": TRIGGERED, "missed": NO_DATA}


class RunType(Enum):
    """The reason of a run; the values are version 2's. The number is version 1's: those of the other kinds were never seen."""

    SCHEDULED = "scheduled"
    TRIGGERED = "triggered"
    CI = "ci"

    @property
    def number(self) -> int:
        return 0 if self is RunType.SCHEDULED else 3


def version_2(
    outcome: Mapping[str, Any], *, number: str, run: RunType, triggered_at: int | None, ended_at: int
) -> dict[str, Any]:
    """The `result` object of version 2. *ended_at* stands where the run itself has no end, because it did not take place.

    `scheduled_at`, `leased_at` and `reported_at` are ours: when it should have begun, was given out, and was stored.
    """
    shown = public_result(outcome, result_id=number, run_type=run.value)
    found = {"finished_at": ended_at, "duration": 0, "tunnel": False} | shown  # clients wait for `finished_at`
    found |= {name: when for name in ("scheduled_at", "leased_at") if (when := _whole(outcome.get(name))) is not None}
    found["reported_at"] = ended_at
    if triggered_at is not None:
        found["triggered_at"] = triggered_at
    if (failure := failure_of(outcome)) is not None:
        found["failure"] = failure
    return found


def version_1(outcome: Mapping[str, Any], *, run: RunType) -> dict[str, Any]:
    """The `result` object of version 1, as a single result has it."""
    response, resolution = _object(outcome, "response"), _object(outcome, "dns_resolution")
    test, failure = _object(outcome, "test"), failure_of(outcome)
    found: dict[str, Any] = {
        "eventType": "finished",
        "passed": outcome.get("status") == "passed",
        "runType": run.number,
        "tunnel": False,
        "timings": _object(outcome, "timings"),
        "assertionResults": [_assertion_1(one) for one in _list(outcome, "assertions")],
        "resolutionAttempts": _list(resolution, "attempts"),
    }
    optional = {
        "subtype": test.get("subtype"),
        "failure": failure,
        "error": None if failure is None else failure["message"],
        "httpStatusCode": _whole(response.get("status_code")),
        "responseSize": _whole(response.get("body_size")),
        "responseHeaders": response.get("headers"),
        "responseBody": response.get("body"),
        "resolvedIp": resolution.get("resolved_ip"),
        "dnsServer": resolution.get("server"),
        "unhealthy": outcome.get("unhealthy"),
    }
    return found | {name: value for name, value in optional.items() if value is not None}


def summary_1(outcome: Mapping[str, Any], *, run: RunType) -> dict[str, Any]:
    """The `result` object of version 1, as a list of results has it."""
    failure = failure_of(outcome)
    return {
        "passed": outcome.get("status") == "passed",
        "timings": _object(outcome, "timings"),
        "runType": run.number,
        "tunnel": False,
        "errorMessage": None if failure is None else failure["message"],
    }


def status_1(outcome: Mapping[str, Any]) -> int:
    return _V1_STATUS.get(str(outcome.get("status")), NO_DATA)


def check_time(outcome: Mapping[str, Any], stored_at: int) -> int:
    """The moment at which the run began, in epoch milliseconds; where it did not, that at which it should have, or was stored."""
    times = (_whole(outcome.get(name)) for name in ("started_at", "scheduled_at"))
    return next((when for when in times if when is not None), stored_at)


def duration(outcome: Mapping[str, Any]) -> int:
    """Milliseconds from the start to the end of a run, 0 where there was none."""
    started, finished = _whole(outcome.get("started_at")), _whole(outcome.get("finished_at"))
    return 0 if started is None or finished is None else max(0, finished - started)


@dataclass(frozen=True, slots=True)
class MadeRetries:
    """The retries of a run on demand: *most* that its definition asks for, *made* so many; None before its first end."""

    made: int | None
    most: int | None


def made_retries(outcome: Mapping[str, Any] | None, attempt: int | None, definition: Mapping[str, Any]) -> MadeRetries:
    """The retries that a worker made within a run, or the executions before its result's *attempt*, where waits are long."""
    asked = retry_of(definition)
    if asked is None:
        return MadeRetries(None, None)
    if outcome is None or attempt is None:
        return MadeRetries(None, asked.count)
    return MadeRetries(_whole(outcome.get("retries")) or 0 if asked.is_fast else attempt - 1, asked.count)


def failure_of(outcome: Mapping[str, Any]) -> dict[str, str] | None:
    """Code and message of a run that did not pass. One that did not happen says why, as trouble of ours."""
    failure = outcome.get("failure")
    if isinstance(failure, Mapping):
        return {"code": str(failure.get("code", "UNKNOWN")), "message": _line(failure.get("message", ""))}
    if outcome.get("status") == "missed":
        return {"code": "INTERNAL_ERROR", "message": _line(outcome.get("unhealthy") or "the run did not take place")}
    return None


def _line(text: object) -> str:
    """*text* without the control characters that no XML can hold: clients write reports of it."""
    return "".join(c if c in "\t\n" or ord(c) >= 32 else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def _assertion_1(assertion: Any) -> dict[str, Any]:
    names = ("type", "operator", "property", "expected", "actual", "valid")
    return {name: assertion[name] for name in names if name in assertion} if isinstance(assertion, Mapping) else {}


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _object(outcome: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = outcome.get(name)
    return dict(value) if isinstance(value, Mapping) else {}


def _list(outcome: Mapping[str, Any], name: str) -> list[Any]:
    value = outcome.get(name)
    return list(value) if isinstance(value, list) else []
