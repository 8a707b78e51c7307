"""`options.retry` with waits that are too long for a worker's slot: how often, after what time. No clock, no IO.

Fast ones (`Retry.is_fast`) are the worker's: it runs a test again before it says how the run went. Longer ones are the control
plane's: the failed execution comes in, its slot is free, and after the wait the run is given out again, to whoever has room.
"""

from __future__ import annotations

from dataclasses import dataclass

from worker.apitest.retry import Retry

LONGEST = 3_600_000
"""Milliseconds between two executions; definitions in use ask for up to 300,000. What asks for more gets this."""


@dataclass(frozen=True, slots=True)
class LongRetry:
    """At most *count* further executions of a failed run, each *interval* milliseconds after the one before."""

    count: int
    interval: int


NEVER = LongRetry(0, 0)


def of(retry: Retry | None) -> LongRetry:
    """The control plane's part of what a definition asks for: `NEVER` where it asks for nothing, or for a wait in the slot."""
    if retry is None or retry.is_fast:
        return NEVER
    return LongRetry(retry.count, min(round(retry.interval * 1000), LONGEST))
