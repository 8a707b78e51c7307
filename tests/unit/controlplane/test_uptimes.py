"""Uptime by hand-made results: a failure of one location counts, and time that nothing is known of does not."""

from __future__ import annotations

import pytest

from controlplane.service.uptimes import BAD, GOOD, UNKNOWN, changes, share
from controlplane.store.statuschanges import Point


def points(*told: tuple[int, str, str]) -> list[Point]:
    return [Point(seconds * 1000, place, status) for seconds, place, status in told]


HISTORIES = {
    "nothing": ([], [], None),
    "all good": (points((10, "a", "passed"), (20, "a", "passed")), [(10, GOOD)], 100.0),
    "all bad": (points((0, "a", "failed")), [(0, BAD)], 0.0),
    "a quarter bad": (
        points((0, "a", "passed"), (50, "a", "failed"), (75, "a", "passed")),
        [(0, GOOD), (50, BAD), (75, GOOD)],
        75.0,
    ),
    "one of two locations": (
        points((0, "a", "passed"), (0, "b", "passed"), (60, "b", "failed"), (70, "a", "passed")),
        [(0, GOOD), (60, BAD)],
        60.0,
    ),
    "unknown time counts to neither side": (
        points((0, "a", "passed"), (20, "a", "missed"), (60, "a", "failed")),
        [(0, GOOD), (20, UNKNOWN), (60, BAD)],
        33.33,
    ),
}


@pytest.mark.parametrize(("told", "history", "percentage"), HISTORIES.values(), ids=HISTORIES)
def test_a_history_and_its_share(told: list[Point], history: list[tuple[int, int]], percentage: float | None) -> None:
    found = changes(told)
    assert found == history
    assert share(found, 100) == percentage
