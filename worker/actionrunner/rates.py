"""Rates and concurrency of rules and connections, counted over time that the caller tells. What is remembered is bounded."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import orjson

from worker.actionrunner.localpolicy import AskedOrder, LocalRule
from worker.errors import SyntheticsError

MOST_KEYS: Final = 10_000
"""Combinations of values that are counted apart; beyond it a rule with a rate lets nothing new through."""
_Key: TypeAlias = tuple[str, bytes]


class BusyError(SyntheticsError):
    """An order that has to wait for others: too many of its kind, or too many at once."""


class Usage:
    """The orders that were let through, by rule and connection."""

    def __init__(self) -> None:
        self._times: dict[_Key, deque[float]] = {}
        self._running: Counter[str] = Counter()

    @contextmanager
    def taken(self, asked: AskedOrder, rule: LocalRule, bounds: Mapping[str, int], now: float) -> Iterator[None]:
        """Count *asked* against the rate of *rule*, and against *bounds*, which say how many may run at once under each name.

        *now* is in seconds. Raises BusyError, and then nothing was counted.
        """
        for name, most in bounds.items():
            if self._running[name] >= most:
                raise BusyError(f"{name} has {most} orders under way, as many as it may")
        self._count(asked, rule, now)
        self._running.update(bounds.keys())
        try:
            yield
        finally:
            self._running.subtract(bounds.keys())

    def _count(self, asked: AskedOrder, rule: LocalRule, now: float) -> None:
        rate = rule.rate
        if rate is None:
            return
        key = (rule.name, orjson.dumps([_value(asked.given, field) for field in rate.by]))
        times = self._times.get(key)
        if times is None:
            if len(self._times) >= MOST_KEYS:
                self._forget(now)
            if len(self._times) >= MOST_KEYS:
                raise BusyError(f"the rule {rule.name} has a rate, and too many of its kinds were let through lately")
            times = self._times[key] = deque()
        while times and times[0] <= now - rate.seconds:
            times.popleft()
        if len(times) >= rate.most:
            wait = times[0] + rate.seconds - now
            raise BusyError(
                f"the rule {rule.name} allows {rate.most} in {rate.seconds:g} s; the next one in {wait:.0f} s"
            )
        times.append(now)

    def _forget(self, now: float) -> None:
        """Drop what is older than the longest rate that can be written."""
        self._times = {key: times for key, times in self._times.items() if times and times[-1] > now - 86_400}


def _value(given: Mapping[str, Any], field: str) -> Any:
    value: Any = given
    for step in field.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
