"""Outcomes as workers push them → what is stored: JSON whose size, depth and numbers everybody can read. Decisions on values.

What cannot be stored as it came keeps its verdict: a run that a target made too large to tell is a run all the same, and asking
for it again would end no better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import orjson

from worker.apitest.bounds import verdict_alone
from worker.apitest.summary import reason

MAX_OUTCOME_BYTES = 1024 * 1024
"""One result; workers cut theirs to a quarter of it."""

MAX_TOLD = 500
"""Characters of a failure's code, its message and a worker's trouble beside the outcome: enough for a notification."""

LONGEST_MS = 24 * 3600 * 1000.0
"""A run that says that it took longer says nothing: no worker lets one take more than ten minutes a step."""


class _Failure(msgspec.Struct, frozen=True):
    code: str
    message: str


class _Verdict(msgspec.Struct, frozen=True):
    """The members that an outcome must have to be stored."""

    status: Literal["passed", "failed", "missed"]
    failure: _Failure | None = None


@dataclass(frozen=True, slots=True)
class ReadOutcome:
    """*text* is JSON that any reader takes: numbers are finite, levels at most 254. *cut* says that only the verdict is left.

    *duration_ms* is the sum of the run's phases, None where it tells none. *code* and *message* are the failure's, in
    words, *unhealthy* the worker's own trouble; each is cut, and empty where there is none.
    """

    status: str
    text: str
    cut: bool = False
    duration_ms: float | None = None
    code: str = ""
    message: str = ""
    unhealthy: str = ""


def read(data: bytes) -> ReadOutcome | str:
    """The outcome to store, or a sentence on why it is none."""
    try:
        verdict = msgspec.json.decode(data, type=_Verdict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"not an outcome: {str(error)[:200]}"
    failure = verdict.failure
    code, message = ("", "") if failure is None else (_told(failure.code), _told(reason(failure.code, failure.message)))
    rewritten = _rewritten(data) if len(data) <= MAX_OUTCOME_BYTES else None
    if rewritten is not None:
        text, timings, unhealthy = rewritten
        duration = _total(timings)
        return ReadOutcome(
            verdict.status, text, duration_ms=duration, code=code, message=message, unhealthy=_told(unhealthy)
        )
    left: dict[str, Any] = verdict_alone({"status": verdict.status, "failure": msgspec.to_builtins(verdict.failure)})
    return ReadOutcome(
        verdict.status, orjson.dumps(left | {"cut": ["outcome"]}).decode(), cut=True, code=code, message=message
    )


def _told(value: Any) -> str:
    """The beginning of a text in an outcome; empty for anything else."""
    return value[:MAX_TOLD] if isinstance(value, str) else ""


def _total(timings: Any) -> float | None:
    total = timings.get("total") if isinstance(timings, dict) else None
    if isinstance(total, bool) or not isinstance(total, int | float) or not 0 <= total <= LONGEST_MS:
        return None
    return float(total)


def _rewritten(data: bytes) -> tuple[str, Any, Any] | None:
    """The same JSON as a careful writer puts it, its timings and its trouble; None for what such a writer does not write."""
    try:
        outcome = orjson.loads(data)
        text = orjson.dumps(outcome).decode()
    except (ValueError, TypeError):  # orjson's errors of reading and of writing
        return None
    return (text, outcome.get("timings"), outcome.get("unhealthy")) if len(text) <= MAX_OUTCOME_BYTES else None
