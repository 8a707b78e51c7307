"""Turns: the order in which runs that wait are given out while slots are scarce. Arithmetic on milliseconds: no clock, no IO.

The oldest comes first. A scheduled test has one run in the queue, so that none can be in another's way; of a test that somebody
asked for many times there are many, all older than what comes due later. So a run waits from its own time or from when its test
was served last, whichever is later: one test's second run comes behind everybody's first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run of *test*, which waits since *since*."""

    test: str
    since: int


def in_turn(queue: Sequence[Waiting], served: Mapping[str, int], *, now: int) -> list[int]:
    """The indices of *queue* in the order of their turns. *served* tells of some tests when they were given out last."""
    before: Counter[str] = Counter()
    turns = []
    for index in sorted(range(len(queue)), key=lambda index: queue[index].since):
        run = queue[index]
        ahead = before[run.test]
        before[run.test] += 1
        last = now if ahead else served.get(run.test, run.since)
        turns.append((max(run.since, last), ahead, run.since, index))
    return [index for *_, index in sorted(turns)]
