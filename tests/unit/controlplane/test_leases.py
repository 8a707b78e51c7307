"""Leases: the holder of a job, and the end of one that nobody holds. Random events on a real store: integration tests."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.leases import (
    LEASE_TTL,
    MAX_DELIVERIES,
    MAX_FAILED,
    STALL,
    Grace,
    JobState,
    LeasedJob,
    ended,
    is_lease_of,
    lease_of,
    read_lease,
    returned,
    state,
)
from worker.wire import messages

NOW = 1_767_323_045_000
JOB = "1b671a64-40d5-491e-99b0-da01ff1f3341"


def job(
    *,
    until: int = NOW + 60_000,
    delivery: int = 1,
    released: int = 0,
    worker: str | None = "w",
    seen: int | None = NOW,
) -> LeasedJob:
    return LeasedJob(id=JOB, until=until, delivery=delivery, released=released, worker=worker, worker_seen=seen)


@given(st.text(min_size=1), st.integers(1, 999))
def test_a_lease_names_its_job_and_delivery(name: str, delivery: int) -> None:
    assert read_lease(lease_of(name, delivery)) == (name, delivery)


@pytest.mark.parametrize("lease", ["", ".", ".1", "job", "job.", "job.x", "job.-1", "job.1000", "job.²", "job.1 "])
def test_what_is_no_lease_of_ours_names_nothing(lease: str) -> None:
    assert read_lease(lease) is None
    assert not is_lease_of(lease, "job", 3)


@pytest.mark.parametrize(
    ("lease", "given_out"),
    [(f"{JOB}.0", False), (f"{JOB}.1", True), (f"{JOB}.2", True), (f"{JOB}.3", False), ("other.1", False)],
)
def test_only_deliveries_that_were_made_have_leases(lease: str, given_out: bool) -> None:
    assert is_lease_of(lease, JOB, 2) is given_out


def test_a_job_is_held_as_long_as_its_worker_is_seen() -> None:
    expiry = NOW - LEASE_TTL
    assert state(job(seen=expiry), now=NOW, expiry=expiry) is JobState.HELD
    assert state(job(seen=expiry - 1), now=NOW, expiry=expiry) is JobState.OFFERED


def test_a_run_that_is_going_on_is_held_beyond_its_period() -> None:
    assert state(job(until=NOW - 1, delivery=MAX_FAILED), now=NOW, expiry=NOW - LEASE_TTL) is JobState.HELD


def test_a_job_that_was_given_back_is_offered_until_its_period_ends_and_missed_then() -> None:
    back = job(worker=None, seen=None)
    assert state(back, now=back.until - 1, expiry=0) is JobState.OFFERED
    assert state(back, now=back.until, expiry=0) is JobState.MISSED


def test_a_job_whose_worker_vanished_is_lost_at_the_end_of_its_period() -> None:
    gone = job(until=NOW, seen=NOW - 10 * LEASE_TTL)
    assert state(gone, now=NOW, expiry=NOW - LEASE_TTL) is JobState.LOST


def test_a_fourth_delivery_is_not_made() -> None:
    expiry = NOW - LEASE_TTL
    for worker, seen in (("w", expiry - 1), (None, None)):
        assert state(job(delivery=2, worker=worker, seen=seen), now=NOW, expiry=expiry) is JobState.OFFERED
        assert state(job(delivery=3, worker=worker, seen=seen), now=NOW, expiry=expiry) is JobState.LOST


def test_a_delivery_that_was_given_back_has_not_failed() -> None:
    expiry = NOW - LEASE_TTL
    for deliveries in range(1, MAX_DELIVERIES):
        back = job(delivery=deliveries, released=deliveries, worker=None, seen=None)
        assert state(back, now=NOW, expiry=expiry) is JobState.OFFERED
        gone = job(delivery=deliveries + 1, released=deliveries, seen=expiry - 1)
        assert state(gone, now=NOW, expiry=expiry) is (
            JobState.OFFERED if deliveries + 1 < MAX_DELIVERIES else JobState.LOST
        )
    assert state(job(delivery=12, released=9, seen=expiry - 1), now=NOW, expiry=expiry) is JobState.LOST


def test_a_job_that_everybody_gives_back_is_missed_before_its_deliveries_cannot_be_counted_on_the_wire() -> None:
    back = job(delivery=MAX_DELIVERIES, released=MAX_DELIVERIES, worker=None, seen=None)
    assert state(back, now=NOW, expiry=0) is JobState.MISSED
    assert MAX_FAILED < MAX_DELIVERIES
    (delivery,) = [field for field in msgspec.structs.fields(messages.Job) if field.name == "delivery"]
    assert get_args(delivery.type)[1].le == MAX_DELIVERIES


def test_nothing_expires_for_one_lease_after_a_start() -> None:
    grace = Grace(NOW)
    moments = range(NOW, NOW + LEASE_TTL, 1_000)
    assert [grace.expiry(moment) for moment in moments] == [0] * len(moments)
    assert grace.expiry(NOW + LEASE_TTL) == NOW


@pytest.mark.parametrize("jump", [STALL + 1, 3_600_000, -1, -3_600_000], ids=["stall", "forward", "back", "far back"])
def test_nothing_expires_for_one_lease_after_an_absence(jump: int) -> None:
    grace = Grace(NOW)
    now = NOW
    for _ in range(30):
        now += 1_000
        grace.expiry(now)
    assert grace.expiry(now) == now - LEASE_TTL

    now += jump
    assert grace.expiry(now) == 0
    for _ in range(14):
        now += 1_000
        assert grace.expiry(now) == 0
    now += 1_000
    assert grace.expiry(now) == now - LEASE_TTL


def test_nothing_expires_for_one_lease_after_a_heartbeat_that_could_not_be_recorded() -> None:
    grace = Grace(NOW - LEASE_TTL)
    assert grace.expiry(NOW) == 0, "nobody looked at the clock for a lease's time"
    moments = range(NOW, NOW + 2 * LEASE_TTL, 1_000)
    for moment in moments:
        grace.interrupted()
        assert grace.expiry(moment) == 0
    assert grace.expiry(moments[-1] + 1_000) == 0
    for moment in range(moments[-1] + 2_000, moments[-1] + LEASE_TTL, 1_000):
        assert grace.expiry(moment) == 0
    assert grace.expiry(moments[-1] + LEASE_TTL) == moments[-1]


def test_an_unknown_worker_holds_its_job_only_while_nothing_expires() -> None:
    assert state(job(seen=None), now=NOW, expiry=0) is JobState.HELD
    assert state(job(seen=None), now=NOW, expiry=NOW - LEASE_TTL) is JobState.OFFERED


def test_a_pull_shows_what_was_released_and_what_never_arrived() -> None:
    back = returned(
        [("a", 1), ("b", 2), ("c", 1), ("d", 2)],
        holding=["a.1", "d.1", "unknown.1"],
        release=["b.2", "a.9"],
    )
    assert back.released == ("b",)
    assert back.unanswered == ("c", "d")  # d is held under a delivery that has been replaced


def test_what_never_arrived_fails_nobody_but_a_worker_that_cannot_open_it_or_died_of_it() -> None:
    def failed(**how: Any) -> bool:
        return returned([("a", 1)], holding=(), release=(), **how).failed

    assert not failed()
    assert not failed(degraded="outbox")
    assert failed(degraded="decryption")
    assert failed(restarted=True)


def test_the_jobs_of_finished_leases_are_those_that_have_ended() -> None:
    assert ended(["a.1", "b.12", "no lease", ""]) == {"a", "b"}


def test_what_is_both_held_and_released_is_released() -> None:
    back = returned([("a", 1)], holding=["a.1"], release=["a.1"])
    assert (back.released, back.unanswered) == (("a",), ())
