"""The rate at which one person's pages may ask for tokens: ten a second, in this process. No clock of its own, no IO."""

from __future__ import annotations

from worker.clock import Clock

PER_SECOND = 10
MOST_PERSONS = 10_000
"""Remembered at a time; beyond it those who asked longest ago are forgotten, and so let in."""


class MintRates:
    """A bucket of `PER_SECOND` for each name, which fills in a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full_at_ns: dict[str, int] = {}

    def take(self, name: str) -> bool:
        """Count one token of *name*; False where there were too many."""
        now, step = self._clock.monotonic_ns(), 1_000_000_000 // PER_SECOND
        full_at = max(now, self._full_at_ns.pop(name, now)) + step
        allowed = full_at - now <= PER_SECOND * step
        self._full_at_ns[name] = full_at if allowed else full_at - step
        if len(self._full_at_ns) > MOST_PERSONS:
            del self._full_at_ns[next(iter(self._full_at_ns))]
        return allowed
