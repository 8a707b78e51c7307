"""Counts of what one `serve` has done since its start: leases and their lateness, results, missed runs. No clock, no IO.

Metrics are made of them. They count what was committed, and are lost with the process, as counters may be.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator

LATENESS_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Upper bounds of the buckets: from the second between two pulls to periods that tests commonly have."""

NOTIFICATION_OUTCOMES = ("delivered", "retried", "given_up")
"""Of an attempt to tell somebody of something."""


class Lateness:
    """A histogram of the time from a run's due moment to its lease."""

    def __init__(self) -> None:
        self._buckets = [0] * (len(LATENESS_SECONDS) + 1)
        self.total_seconds = 0.0

    def observe(self, seconds: float) -> None:
        self._buckets[bisect_left(LATENESS_SECONDS, seconds)] += 1
        self.total_seconds += seconds

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """The number of leases up to each bound, as Prometheus writes the bounds."""
        count = 0
        for bound, more in zip((*LATENESS_SECONDS, float("inf")), self._buckets, strict=True):
            count += more
            yield "+Inf" if bound == float("inf") else str(bound), count


class Counters:
    """Counts by location, all of which are ids; `forget` drops those of locations that are gone."""

    def __init__(self) -> None:
        self.lateness: dict[str, Lateness] = {}
        self.results: Counter[tuple[str, str]] = Counter()
        """By location and status."""
        self.missed: Counter[tuple[str, str]] = Counter()
        """Runs, by location and reason."""
        self.pushed: Counter[str] = Counter()
        """Results by what was said of them."""
        self.notifications: Counter[str] = Counter(dict.fromkeys(NOTIFICATION_OUTCOMES, 0))
        """Attempts to tell somebody of something, by what became of them, all from 0: `increase` sees no first value."""
        self.waiting_notifications = 0
        """Notifications in the queue at the last look at it."""
        self.hooks: Counter[tuple[str, str]] = Counter()
        """Requests to hooks, by workflow and what came of them; those that show no workflow under the empty name."""

    def leased(self, location: str, late_ms: Iterable[int]) -> None:
        """Count first leases, each by how late it was."""
        known = self.lateness.get(location)
        if known is None:
            known = self.lateness[location] = Lateness()
        for late in late_ms:
            known.observe(max(late, 0) / 1000)

    def forget(self, kept: Iterable[str]) -> None:
        """Drop what is counted of locations other than *kept*."""
        there = frozenset(kept)
        for location in self.lateness.keys() - there:
            del self.lateness[location]
        for counted in (self.results, self.missed):
            for key in [key for key in counted if key[0] not in there]:
                del counted[key]
