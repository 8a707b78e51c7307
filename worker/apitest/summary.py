"""A result in one line for people: outcome, name, phases, and why it failed. Used by both programs' command lines.

It reads the JSON of a result, which may come from a database or from another version, and prints what a target sent: control
characters are escaped, everything is cut, and nothing in it can raise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import orjson

from worker.text import printable, wrapped

MAX_REASON = 300
"""Characters of a reason: what fits three lines of a terminal."""
NAME_WIDTH = 34
MAX_PHASES = 12
"""Phases of one line; a run of ours has eight at most."""
_FAR = 1e12
"""Milliseconds that no run has taken: thirty years."""
INDENT = 4
"""Blanks before the second and later lines of a wrapped result."""

_MARKS = {"passed": "✓", "failed": "✗", "missed": "○"}
_COLOURS = {"passed": "32", "failed": "31", "missed": "33"}


def line(
    outcome: Mapping[str, Any],
    *,
    colour: bool = False,
    before: str = "",
    details: Sequence[str] = (),
    width: int | None = None,
) -> str:
    """`✓ passed  NAME   dns 0.4 · tcp 0.1 · firstByte 1.2 = 1.7 ms`, a failure's code and reason after it.

    *before* stands at the start, *details* after the name. With a *width*, the line is wrapped between words.
    """
    status = str(outcome.get("status", "unknown"))
    mark = f"{_MARKS.get(status, '?')} {printable(status, 10):<7}"
    test = outcome.get("test")
    name = printable(str(test.get("name") or test.get("public_id") or "?") if isinstance(test, Mapping) else "?", 60)
    parts = [before, f"{mark} {name:<{NAME_WIDTH}}", *details, phases(outcome.get("timings"))]
    reason = failure(outcome.get("failure"))
    if reason:
        parts.append(reason)
    if outcome.get("unhealthy"):
        trouble = printable(str(outcome["unhealthy"]), MAX_REASON)
        parts.append(trouble if status == "missed" else f"[unhealthy: {trouble}]")  # of a missed run it is the reason
    text = wrapped("  ".join(part for part in parts if part).rstrip(), width, indent=INDENT)
    if colour and status in _COLOURS:
        text = text.replace(mark, f"\033[{_COLOURS[status]}m{mark}\033[0m", 1)
    return text


def phases(timings: object) -> str:
    """`dns 0.4 · tcp 0.1 = 0.5 ms`, or nothing where no phase ran."""
    if not isinstance(timings, Mapping):
        return ""
    numbers = {str(name): _milliseconds(value) for name, value in timings.items() if isinstance(value, int | float)}
    total = numbers.pop("total", None)
    if total is None or not numbers:
        return ""
    shown = [f"{printable(name, 20)} {value}" for name, value in islice(numbers.items(), MAX_PHASES)]
    more = " · …" if len(numbers) > MAX_PHASES else ""
    return " · ".join(shown) + f"{more} = {total} ms"


def _milliseconds(value: float) -> str:
    return f"{value:.1f}" if 0 <= value < _FAR else "?"


def failure(value: object) -> str:
    """`CODE: reason`; the failed assertions in words where the message is their JSON."""
    if not isinstance(value, Mapping):
        return ""
    code, message = str(value.get("code", "")), str(value.get("message", ""))
    return f"{printable(code, 60)}: {printable(reason(code, message), MAX_REASON)}"


def reason(code: str, message: str) -> str:
    """A failure's *message* for people: the failed assertions in words, where it is their JSON."""
    assertions = _assertions(message) if code == "INCORRECT_ASSERTION" else []
    return "; ".join(_in_words(assertion) for assertion in assertions) or message


def _assertions(message: str) -> Sequence[Mapping[str, Any]]:
    try:
        value = orjson.loads(message)
    except orjson.JSONDecodeError:
        return []
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _in_words(assertion: Mapping[str, Any]) -> str:
    if assertion.get("errorMessage"):
        return str(assertion["errorMessage"])
    subject = f"{assertion.get('type', '?')} {assertion.get('property') or ''}".rstrip()
    return f"{subject} {assertion.get('operator', '')} {assertion.get('target', '')}: got {assertion.get('actual')!r}"
