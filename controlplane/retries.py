"""`options.retry` with waits that are too long for a worker's slot: how often, after what time. No clock, no IO.

Waits of up to `IN_SLOT` are the worker's: it runs a test again before it says how the run went. Longer ones are the control
plane's: the failed execution comes in, its slot is free, and after the wait the run is given out again, to whoever has room.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

IN_SLOT = 5_000
"""Milliseconds: the reference system's longest wait for an API test."""
MOST = 10
"""Repetitions; the reference system's own limit is three. What asks for more gets these."""
LONGEST = 3_600_000
"""Milliseconds between two executions; definitions in use ask for up to 300,000. What asks for more gets this."""


@dataclass(frozen=True, slots=True)
class LongRetry:
    """At most *count* further executions of a failed run, each *interval* milliseconds after the one before."""

    count: int
    interval: int


NEVER = LongRetry(0, 0)


def read(definition: Mapping[str, object]) -> LongRetry:
    """The control plane's part of a valid *definition*: `NEVER` where there is none, or where the wait is a worker's."""
    options = definition.get("options")
    retry = options.get("retry") if isinstance(options, Mapping) else None
    if not isinstance(retry, Mapping):
        return NEVER
    count, interval = retry.get("count"), retry.get("interval")
    if not isinstance(count, int | float) or not isinstance(interval, int | float) or count < 1 or interval <= IN_SLOT:
        return NEVER
    return LongRetry(min(int(count), MOST), int(min(interval, LONGEST)))
