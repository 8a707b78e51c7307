"""The clock that does not step: what it follows at once, what later, and what never."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.steady import HELD_SECONDS, STEP_SECONDS, SteadyClock
from tests.support.clock import FakeClock


@pytest.fixture
def machine() -> FakeClock:
    return FakeClock()


@pytest.fixture
def clock(machine: FakeClock) -> SteadyClock:
    return SteadyClock(machine)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.action for record in caplog.records]  # type: ignore[attr-defined]


def test_time_passes_and_slews_are_followed_at_once(clock: SteadyClock, machine: FakeClock) -> None:
    for _ in range(10):
        machine.stall(60)
        machine.step_wall(STEP_SECONDS / 2)
        assert clock.now() == machine.now()
    assert (clock.steps, clock.ignored_seconds, clock.held()) == (0, 0, None)


@pytest.mark.parametrize("step", [-86_400 * 40, -3600, -3, 3, 3600, 86_400 * 40])
def test_a_step_is_said_once_and_time_goes_on_as_before(
    clock: SteadyClock, machine: FakeClock, caplog: pytest.LogCaptureFixture, step: int
) -> None:
    before = clock.now()
    machine.step_wall(step)
    for passed in range(1, 290):
        machine.stall(1)
        assert clock.now() == before + timedelta(seconds=passed)
    assert (clock.steps, clock.ignored_seconds, clock.held()) == (1, step, None)
    assert said(caplog) == ["clock_stepped"]


def test_a_clock_that_returns_was_never_followed(
    clock: SteadyClock, machine: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    machine.step_wall(3600)
    clock.now()
    machine.stall(60)
    machine.step_wall(-3600)
    assert clock.now() == machine.now()
    machine.stall(HELD_SECONDS)
    assert (clock.held(), clock.ignored_seconds) == (None, 0)
    assert said(caplog) == ["clock_stepped", "clock_returned"]


def test_a_step_that_has_held_may_be_followed_in_whole_seconds(clock: SteadyClock, machine: FakeClock) -> None:
    machine.step_wall(-3600.3)
    clock.now()
    machine.stall(HELD_SECONDS)
    held = clock.held()
    assert held == timedelta(seconds=-3600)
    clock.follow(held)
    assert clock.now() == machine.now()
    assert (clock.held(), clock.ignored_seconds) == (None, 0)


def test_every_further_step_has_to_hold_anew(clock: SteadyClock, machine: FakeClock) -> None:
    for _ in range(5):
        machine.step_wall(600)
        clock.now()
        machine.stall(HELD_SECONDS - 1)
        assert clock.held() is None
    assert clock.steps == 5
    machine.stall(1)
    assert clock.held() == timedelta(seconds=3000)


def test_a_clock_that_steps_again_while_it_is_followed_is_ignored_again(clock: SteadyClock, machine: FakeClock) -> None:
    machine.step_wall(600)
    clock.now()
    machine.stall(HELD_SECONDS)
    held = clock.held()
    assert held is not None
    machine.step_wall(-600)
    clock.follow(held)
    assert clock.ignored_seconds == -600
    assert clock.now() - machine.now() == timedelta(seconds=600)


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(-(10**8), 10**8)), max_size=30))
def test_whatever_the_machine_says_time_passes_as_it_does(events: list[tuple[int, int]]) -> None:
    machine = FakeClock()
    clock = SteadyClock(machine)
    for passed, step in events:
        before = clock.now()
        machine.step_wall(step)
        machine.stall(passed)
        assert abs((clock.now() - before).total_seconds() - passed) <= STEP_SECONDS
