"""The decision whether the end of a run of a test starts a workflow: once for each transition, and not too often.

A trigger looks at one location at a time: *after* failures in a row are a transition. What `cooldown` or `at_most` hold back is
not lost: it starts with the first run after them at which the test is still in that state. Missed and unhealthy runs are not
shown to this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionRule:
    """The transition that starts a run. Times are milliseconds; *most* runs in *per_ms*, any number where that is 0."""

    on: Literal["failed", "recovered"]
    after: int = 1
    cooldown_ms: int = 0
    most: int = 0
    per_ms: int = 0


@dataclass(frozen=True, slots=True)
class Streak:
    """A test at a location as a trigger sees it: *failures* in a row, `after` at most.

    *spent*: the next failure is none of them. They have started a run, or they are over and what they are to start is held back.
    """

    failures: int = 0
    spent: bool = False


def decide(
    rule: TransitionRule, before: Streak, *, passed: bool, now: int, starts: Sequence[int]
) -> tuple[Streak, bool]:
    """The streak after a run that *passed* or failed, and whether the workflow starts.

    *starts* are the moments at which this trigger started it before, at any location.
    """
    if rule.on == "failed":
        if passed:
            return Streak(), False
        failures = min(before.failures + 1, rule.after)
        due = failures >= rule.after and not before.spent and _allowed(rule, now, starts)
        return Streak(failures, before.spent or due), due
    if not passed:
        return Streak(1 if before.spent else min(before.failures + 1, rule.after)), False
    if before.failures < rule.after:
        return Streak(), False
    due = _allowed(rule, now, starts)
    return (Streak() if due else Streak(before.failures, spent=True)), due


def looks_back_ms(rule: TransitionRule) -> int:
    """Milliseconds for which earlier starts matter."""
    return max(rule.cooldown_ms, rule.per_ms)


def _allowed(rule: TransitionRule, now: int, starts: Sequence[int]) -> bool:
    if any(now - at < rule.cooldown_ms for at in starts):
        return False
    return not rule.per_ms or sum(1 for at in starts if now - at < rule.per_ms) < rule.most
