"""The time to wait after a failure: exponential with full jitter. A duration is returned; nobody sleeps here."""

from __future__ import annotations

from collections.abc import Callable

MAX_RETRY_AFTER = 60.0
"""Seconds. A longer Retry-After, or one that nobody signed, would let a proxy in the way silence a location."""


class Backoff:
    """Grows from *first* to *longest* seconds; each wait is uniform between 0 and the current bound ("full jitter").

    *uniform* is `random.uniform` or a test's own. A Retry-After counts up to *longest_asked* seconds.
    """

    def __init__(
        self,
        uniform: Callable[[float, float], float],
        *,
        first: float = 1.0,
        longest: float = 60.0,
        longest_asked: float = MAX_RETRY_AFTER,
    ) -> None:
        self._uniform = uniform
        self._first = first
        self._longest = longest
        self._longest_asked = longest_asked
        self._failures = 0

    @property
    def failures(self) -> int:
        return self._failures

    def next(self, retry_after: float | None = None, *, at_least: float = 0.0) -> float:
        """Count one more failure and return the seconds to wait; never less than what the peer asked for (capped)."""
        bound = min(self._longest, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        wait = max(at_least, self._uniform(0.0, bound))
        if retry_after is None:
            return wait
        return max(wait, min(max(retry_after, 0.0), self._longest_asked))

    def reset(self) -> None:
        self._failures = 0


def retry_after_seconds(value: str | None) -> float | None:
    """The delay-seconds form of Retry-After (RFC 9110 §10.2.3). The date form needs a common clock and is ignored."""
    if value is None or not value.isascii() or not value.isdigit() or len(value) > 9:
        return None
    return float(value)
