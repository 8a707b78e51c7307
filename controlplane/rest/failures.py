"""Failures: how often an address showed keys that open nothing. After too many, its keys are not even looked up for a while, but
for those that opened something before, so that nobody behind a shared proxy is kept out by a neighbour.

Bounded in memory: the address that failed longest ago is forgotten first, and so is the key.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from worker.clock import Clock

MOST_FAILURES = 10
"""Of one address in `WINDOW_NS`: a person who mistypes needs fewer."""
WINDOW_NS = 60 * 1_000_000_000
MOST_ADDRESSES = 10_000
"""Addresses that are remembered: a megabyte."""
MOST_GOOD = 1_000
"""Keys that are remembered as good."""


@dataclass(slots=True)
class _Count:
    since: int
    failures: int


class KeyFailures:
    """Counts failures by address, in windows of `WINDOW_NS`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: OrderedDict[str, _Count] = OrderedDict()
        self._good: OrderedDict[bytes, None] = OrderedDict()

    def wait(self, address: str, key: bytes) -> int:
        """Seconds that an address should wait before its *key*, a hash, is looked up; 0 while it need not."""
        count = self._counts.get(address)
        if count is None or count.failures < MOST_FAILURES or key in self._good:
            return 0
        left = count.since + WINDOW_NS - self._clock.monotonic_ns()
        return max(0, -(-left // 1_000_000_000))

    def good(self, key: bytes) -> None:
        """Remember that *key*, a hash, opened something."""
        self._good[key] = None
        self._good.move_to_end(key)
        if len(self._good) > MOST_GOOD:
            self._good.popitem(last=False)

    def note(self, address: str, key: bytes) -> None:
        """Count a failure of *address* with *key*, which is good no more."""
        self._good.pop(key, None)
        now = self._clock.monotonic_ns()
        count = self._counts.pop(address, None)
        if count is None or now - count.since >= WINDOW_NS:
            count = _Count(now, 0)
        count.failures += 1
        self._counts[address] = count
        if len(self._counts) > MOST_ADDRESSES:
            self._counts.popitem(last=False)
