"""Phases, attempts and what is left of the time, on a clock that only the test moves."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tests.support.clock import FakeClock
from worker.net.deadline import Deadline
from worker.net.recorder import Recorder
from worker.outcome.resolution import Attempt, Resolution

SECOND = 1_000_000_000


def at(clock: FakeClock, seconds: float = 10) -> Recorder:
    return Recorder(clock, Deadline(clock, seconds))


async def test_phases_follow_one_another_without_a_gap() -> None:
    clock = FakeClock()
    seen = at(clock)
    for phase, seconds in (("dns", 0.25), ("tcp", 0.5), ("ssl", 1.0)):
        seen.start(phase)
        assert (seen.running, seen.latest) == (phase, phase)
        await clock.advance(seconds)
    seen.stop()
    assert seen.phases == {"dns": SECOND // 4, "tcp": SECOND // 2, "ssl": SECOND}
    assert (seen.running, seen.latest) == (None, "ssl")
    assert seen.timings().as_json() == {"dns": 250.0, "tcp": 500.0, "ssl": 1000.0, "total": 1750.0}


async def test_what_passes_after_a_stop_is_in_no_phase() -> None:
    clock = FakeClock()
    seen = at(clock)
    seen.start("dns")
    await clock.advance(1)
    seen.stop()
    await clock.advance(5)
    seen.stop()
    assert seen.phases == {"dns": SECOND}


async def test_a_phase_that_runs_twice_adds_up_in_its_first_place() -> None:
    clock = FakeClock()
    seen = at(clock)
    for phase in ("dns", "tcp", "dns"):
        seen.start(phase)
        await clock.advance(1)
    seen.stop()
    assert list(seen.phases.items()) == [("dns", 2 * SECOND), ("tcp", SECOND)]


async def test_a_phase_ends_when_the_answer_came_and_not_when_it_was_read() -> None:
    clock = FakeClock()
    seen = at(clock)
    seen.start("firstByte")
    await clock.advance(2)
    first = clock.stamp()
    await clock.advance(1)  # the loop is busy
    seen.start("download", first)
    await clock.advance(0.5)
    last = clock.stamp()
    await clock.advance(1)
    seen.stop(last)
    assert seen.phases == {"firstByte": 2 * SECOND, "download": SECOND * 3 // 2}


async def test_lateness_within_a_phase_is_in_none() -> None:
    clock = FakeClock()
    seen = at(clock)
    seen.start("ssl")
    await clock.advance(1)
    came = clock.stamp()
    await clock.advance(0.25)
    seen.exclude(came)
    await clock.advance(1)
    seen.start("firstByte")
    await clock.advance(0.5)
    seen.stop()
    assert seen.phases == {"ssl": 2 * SECOND, "firstByte": SECOND // 2}
    assert seen.remaining() == 10 - 2.5


async def test_without_a_stamp_arrival_is_when_it_was_read() -> None:
    clock = FakeClock()
    seen = at(clock)
    seen.start("dns")
    await clock.advance(1)
    seen.exclude(None)
    seen.stop(None)
    assert seen.phases == {"dns": SECOND}


@pytest.mark.parametrize(("step", "measured"), [(-3600, 2), (3600, 0)])
async def test_a_clock_that_is_set_meanwhile_makes_no_phase_negative_or_endless(step: float, measured: int) -> None:
    clock = FakeClock()
    seen = at(clock)
    seen.start("firstByte")
    await clock.advance(2)
    came = clock.stamp()
    clock.step_wall(step)
    seen.stop(came)
    assert seen.phases == {"firstByte": measured * SECOND}


async def test_no_more_is_excluded_than_the_phase_has_taken() -> None:
    clock = FakeClock()
    seen = at(clock)
    seen.start("dns")
    await clock.advance(1)
    seen.start("tcp")
    await clock.advance(1)
    seen.exclude_ns(5 * SECOND)
    seen.exclude_ns(-SECOND)
    seen.stop()
    assert seen.phases == {"dns": SECOND, "tcp": 0}


async def test_the_time_that_remains_runs_out() -> None:
    clock = FakeClock()
    seen = at(clock, 3)
    await clock.advance(1)
    assert seen.remaining() == 2
    assert seen.detached().remaining() == 2
    await clock.advance(3)
    assert seen.remaining() == -1


async def test_attempts_are_written_down_and_the_last_one_is_what_was_dialled() -> None:
    clock = FakeClock()
    seen = at(clock)
    assert seen.resolution() is None
    seen.server = "192.0.2.53"
    for text, error in (("192.0.2.1", "no answer"), ("2001:db8::1", None)):
        began = seen.now_ns()
        await clock.advance(0.0123)
        seen.attempted(ip_address(text), 443, began, error)
    assert seen.resolution() == Resolution(
        server="192.0.2.53",
        address="2001:db8::1",
        port=443,
        attempts=(
            Attempt(address="192.0.2.1", port=443, elapsed_tenths=123, error="no answer"),
            Attempt(address="2001:db8::1", port=443, elapsed_tenths=123),
        ),
    )


def test_what_a_detached_recorder_sees_is_not_written_here() -> None:
    seen = at(FakeClock())
    detached = seen.detached()
    detached.start("dns")
    detached.stop()
    detached.server = "192.0.2.53"
    assert (seen.phases, seen.server, seen.latest) == ({}, None, None)
