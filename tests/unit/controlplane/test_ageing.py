"""The time by which results grow old, against a walk through days of serving, absences and steps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controlplane.ageing import Ageing, aged

DAY = 86_400_000
RETENTION = 30 * DAY


class History:
    """One result a day of serving, and the days of serving that each has seen."""

    def __init__(self) -> None:
        self.now = 1000 * DAY
        self.ageing: Ageing | None = None
        self.served: dict[int, int] = {}

    def serve(self) -> dict[int, int]:
        """A day; what was dropped at its end."""
        self.now += DAY
        self.served = {at: served + DAY for at, served in self.served.items()}
        dropped = self.drop(passed=DAY)
        self.served[self.now] = 0
        return dropped

    def leap(self, days: int) -> dict[int, int]:
        """A step ahead, or an absence; what was dropped after it."""
        self.now += days * DAY
        return self.drop(passed=0)

    def drop(self, *, passed: int) -> dict[int, int]:
        oldest = min(self.served, default=None)
        self.ageing = aged(self.ageing, self.now, passed=passed, oldest=oldest, retention=RETENTION)
        assert self.ageing.moment <= self.now
        limit = self.ageing.moment - RETENTION
        dropped = {at: served for at, served in self.served.items() if at < limit}
        self.served = {at: served for at, served in self.served.items() if at not in dropped}
        return dropped


leaps = st.lists(st.tuples(st.booleans(), st.integers(1, 50)), max_size=60)


@given(leaps)
def test_no_result_is_dropped_before_it_has_seen_the_retention_of_serving(leaps: list[tuple[bool, int]]) -> None:
    history = History()
    for serving, days in leaps:
        for dropped in [history.serve() for _ in range(days)] if serving else [history.leap(days)]:
            assert all(served > RETENTION for served in dropped.values())


@given(st.lists(st.integers(1, 50), max_size=5), st.integers(1, 40))
def test_when_what_is_older_than_a_leap_has_gone_ages_are_counted_from_the_clock_again(
    leaps: list[int], before: int
) -> None:
    history = History()
    for _ in range(before):
        history.serve()
    for days in leaps:
        history.leap(days)
    for _ in range(65):
        history.serve()
    assert history.ageing is not None
    assert history.ageing.moment == history.now
    assert min(history.served) >= history.now - RETENTION - DAY


def test_a_restart_is_time_that_passed() -> None:
    before = Ageing(DAY, DAY, 0)
    assert aged(before, DAY + 60_000, passed=0, oldest=0, retention=RETENTION).moment == DAY + 60_000


def test_a_clock_that_was_set_back_is_followed() -> None:
    assert aged(Ageing(2 * DAY, 2 * DAY, DAY), DAY, passed=60_000, oldest=0, retention=RETENTION).moment == DAY
