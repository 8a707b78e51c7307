"""Durations as people read them."""

from __future__ import annotations

import pytest

from controlplane.commands.durations import ago, period


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(-5, "0 s ago"), (0, "0 s ago"), (59_999, "59 s ago"), (60_000, "1 min ago"), (3_599_999, "59 min ago"),
     (3_600_000, "1 h ago"), (86_400_000 * 3, "3 d ago")],
)  # fmt: skip
def test_an_age_is_told_in_its_largest_unit(milliseconds: int, text: str) -> None:
    assert ago(milliseconds) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (30_000, "30 s"),
        (90_000, "90 s"),
        (120_000, "2 min"),
        (5_400_000, "90 min"),
        (3_600_000, "1 h"),
        (172_800_000, "2 d"),
    ],
)
def test_a_period_is_told_exactly(milliseconds: int, text: str) -> None:
    assert period(milliseconds) == text
