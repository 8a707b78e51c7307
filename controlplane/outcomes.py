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

MAX_OUTCOME_BYTES = 1024 * 1024
"""One result; workers cut theirs to a quarter of it."""

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
class Outcome:
    """*text* is JSON that any reader takes: numbers are finite, levels at most 254. *cut* says that only the verdict is left.

    *duration_ms* is the sum of the run's phases, None where it tells none.
    """

    status: str
    text: str
    cut: bool = False
    duration_ms: float | None = None


def read(data: bytes) -> Outcome | str:
    """The outcome to store, or a sentence on why it is none."""
    try:
        verdict = msgspec.json.decode(data, type=_Verdict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"not an outcome: {str(error)[:200]}"
    rewritten = _rewritten(data) if len(data) <= MAX_OUTCOME_BYTES else None
    if rewritten is not None:
        text, timings = rewritten
        return Outcome(verdict.status, text, duration_ms=_total(timings))
    left: dict[str, Any] = verdict_alone({"status": verdict.status, "failure": msgspec.to_builtins(verdict.failure)})
    return Outcome(verdict.status, orjson.dumps(left | {"cut": ["outcome"]}).decode(), cut=True)


def _total(timings: Any) -> float | None:
    total = timings.get("total") if isinstance(timings, dict) else None
    if isinstance(total, bool) or not isinstance(total, int | float) or not 0 <= total <= LONGEST_MS:
        return None
    return float(total)


def _rewritten(data: bytes) -> tuple[str, Any] | None:
    """The same JSON as a careful writer puts it, and its timings; None for numbers, texts or levels that it does not write."""
    try:
        outcome = orjson.loads(data)
        text = orjson.dumps(outcome).decode()
    except (ValueError, TypeError):  # orjson's errors of reading and of writing
        return None
    return (text, outcome.get("timings")) if len(text) <= MAX_OUTCOME_BYTES else None
