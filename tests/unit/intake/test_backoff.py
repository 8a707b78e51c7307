"""Backoff: exponential bounds, full jitter, and a Retry-After that cannot silence a worker."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.intake.backoff import MAX_RETRY_AFTER, Backoff, retry_after_seconds


def at_the_bound(_: float, high: float) -> float:
    return high


def test_the_bound_doubles_up_to_the_longest_wait() -> None:
    backoff = Backoff(at_the_bound, first=1, longest=10)
    assert [backoff.next() for _ in range(6)] == [1, 2, 4, 8, 10, 10]


def test_success_starts_over() -> None:
    backoff = Backoff(at_the_bound, first=1, longest=10)
    backoff.next()
    backoff.next()
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.next() == 1


@given(st.integers(0, 200), st.randoms(use_true_random=False))
def test_every_wait_lies_between_nothing_and_the_bound(failures: int, source: random.Random) -> None:
    backoff = Backoff(source.uniform, first=1, longest=60)
    waits = [backoff.next() for _ in range(failures)]
    assert all(0 <= wait <= min(60, 2**number) for number, wait in enumerate(waits))


def test_the_peer_may_ask_for_a_longer_wait_but_not_for_an_endless_one() -> None:
    backoff = Backoff(lambda low, _: low)
    assert backoff.next(retry_after=7) == 7
    assert backoff.next(retry_after=86400) == MAX_RETRY_AFTER
    assert backoff.next(retry_after=-5) == 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        (None, None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ("٣", None),
        ("9" * 4000, None),
    ],
)
def test_only_delay_seconds_are_read(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header) == seconds
