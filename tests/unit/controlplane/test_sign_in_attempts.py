"""Counting failed sign-ins: per account, per address, for a while, and within bounded memory."""

from __future__ import annotations

import pytest

from controlplane.errors import AttemptsError
from controlplane.service import attempts
from controlplane.service.attempts import MOST_PER_ACCOUNT, MOST_PER_ADDRESS, SignInAttempts, network_of
from tests.support.clock import FakeClock

MINE, OTHER = "192.0.2.1", "198.51.100.1"


def fail(counted: SignInAttempts, times: int, account: str, address: str) -> None:
    for _ in range(times):
        counted.check(account, address)
        counted.failed(account, address)


def test_an_account_is_closed_after_ten_failures_for_five_minutes_from_everywhere() -> None:
    counted = SignInAttempts(clock := FakeClock())
    fail(counted, MOST_PER_ACCOUNT, "ann", MINE)
    clock.stall(100)
    for address in (MINE, OTHER):
        with pytest.raises(AttemptsError) as refused:
            counted.check("ann", address)
        assert refused.value.seconds == 200
    counted.check("bob", MINE)
    clock.stall(200)
    fail(counted, MOST_PER_ACCOUNT, "ann", MINE)


def test_an_address_is_closed_after_thirty_failures_whatever_the_accounts() -> None:
    counted = SignInAttempts(FakeClock())
    for number in range(MOST_PER_ADDRESS):
        fail(counted, 1, f"user {number}", MINE)
    with pytest.raises(AttemptsError):
        counted.check("another", MINE)
    counted.check("another", OTHER)


def test_who_signed_in_from_an_address_is_not_kept_out_by_strangers_elsewhere() -> None:
    counted = SignInAttempts(FakeClock())
    counted.failed("ann", MINE)
    counted.succeeded("ann", MINE)
    fail(counted, MOST_PER_ACCOUNT, "ann", OTHER)
    counted.check("ann", MINE)
    with pytest.raises(AttemptsError):
        counted.check("ann", OTHER)


def test_who_signed_in_before_is_not_kept_out_by_strangers_behind_the_same_proxy() -> None:
    counted = SignInAttempts(FakeClock())
    counted.failed("ann", MINE)
    counted.succeeded("ann", MINE)
    for number in range(MOST_PER_ADDRESS):
        fail(counted, 1, f"user {number}", MINE)
    counted.check("ann", MINE)
    with pytest.raises(AttemptsError):
        counted.check("bob", MINE)


def test_guesses_from_an_address_that_an_account_knows_end_as_well() -> None:
    counted = SignInAttempts(FakeClock())
    counted.failed("ann", MINE)
    counted.succeeded("ann", MINE)
    fail(counted, MOST_PER_ACCOUNT, "ann", MINE)
    with pytest.raises(AttemptsError):
        counted.check("ann", MINE)


def test_a_success_takes_back_what_was_counted_before_its_outcome_was_known() -> None:
    counted = SignInAttempts(FakeClock())
    for number in range(2 * MOST_PER_ADDRESS):
        counted.check(f"user {number}", MINE)
        counted.failed(f"user {number}", MINE)
        counted.succeeded(f"user {number}", MINE)


def test_memory_is_bounded_and_the_longest_untouched_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MOST_COUNTS", 6)
    counted = SignInAttempts(FakeClock())
    fail(counted, MOST_PER_ACCOUNT, "ann", MINE)
    for number in range(3):
        fail(counted, 1, f"user {number}", OTHER)
    counted.check("ann", OTHER)
    assert len(counted._failures) == 6


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("nonsense", "nonsense"),
    ],
)
def test_an_ipv6_customer_is_one_whatever_the_address(address: str, network: str) -> None:
    assert network_of(address) == network
