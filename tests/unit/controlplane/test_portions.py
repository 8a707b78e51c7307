"""Portions of what a statement names."""

from __future__ import annotations

from controlplane.store.portions import MOST_NAMED, portions


def test_everything_is_named_once_in_its_order_and_never_too_much_at_a_time() -> None:
    named = list(range(2 * MOST_NAMED + 1))
    found = list(portions(named))
    assert [len(some) for some in found] == [MOST_NAMED, MOST_NAMED, 1]
    assert [one for some in found for one in some] == named


def test_nothing_makes_no_portion() -> None:
    assert list(portions([])) == []
