"""Failures with keys: a window by address, what was good before, and a bound on memory."""

from __future__ import annotations

from controlplane.rest.failures import MOST_ADDRESSES, MOST_FAILURES, MOST_GOOD, WINDOW_NS, KeyFailures
from tests.support.clock import FakeClock

BAD, GOOD = b"bad", b"good"


def failed(failures: KeyFailures, address: str, times: int = MOST_FAILURES) -> None:
    for _ in range(times):
        failures.note(address, BAD)


def test_an_address_waits_for_the_rest_of_its_window() -> None:
    clock = FakeClock()
    failures = KeyFailures(clock)
    failed(failures, "a", MOST_FAILURES - 1)
    assert failures.wait("a", BAD) == 0
    clock.stall(15)
    failed(failures, "a", 1)
    assert failures.wait("a", BAD) == 45
    assert failures.wait("b", BAD) == 0
    clock.stall(45)
    assert failures.wait("a", BAD) == 0
    failed(failures, "a", 1)
    assert failures.wait("a", BAD) == 0, "a new window has begun"
    assert WINDOW_NS == 60 * 10**9


def test_a_key_that_was_good_does_not_wait_until_it_fails() -> None:
    failures = KeyFailures(FakeClock())
    failures.good(GOOD)
    failed(failures, "a")
    assert (failures.wait("a", GOOD), failures.wait("a", BAD)) == (0, 60)
    failures.note("a", GOOD)
    assert failures.wait("a", GOOD) == 60


def test_memory_is_bounded() -> None:
    failures = KeyFailures(FakeClock())
    failed(failures, "first")
    for number in range(MOST_ADDRESSES):
        failures.note(f"address {number}", BAD)
    assert failures.wait("first", BAD) == 0
    failures.good(GOOD)
    for number in range(MOST_GOOD):
        failures.good(str(number).encode())
    failed(failures, "a")
    assert failures.wait("a", GOOD) == 60
