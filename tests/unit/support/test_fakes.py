"""The fakes keep the promises that other tests build on."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.clock import FakeClock
from tests.support.intake import FakeIntake
from worker.wire.messages import Jobs, Pull, ResultItem, raw


async def test_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    clock = FakeClock()
    woken: list[tuple[str, int]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic_ns()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("late", 2))
        group.create_task(sleeper("early", 1))
        await clock.advance(5)
    assert woken == [("early", 1_000_000_000), ("late", 2_000_000_000)]
    assert clock.monotonic_ns() == 5_000_000_000


async def test_a_sleeper_that_sleeps_again_wakes_within_the_same_advance() -> None:
    clock = FakeClock()
    wakings = 0

    async def ticker() -> None:
        nonlocal wakings
        while True:
            await clock.sleep(1)
            wakings += 1

    task = asyncio.ensure_future(ticker())
    await clock.advance(10)
    task.cancel()
    assert wakings == 10


async def test_wall_time_follows_monotonic_time_until_it_is_stepped() -> None:
    clock = FakeClock()
    before = clock.now()
    await clock.advance(1.5)
    assert (clock.now() - before).total_seconds() == 1.5
    clock.step_wall(-60)
    assert (clock.now() - before).total_seconds() == -58.5
    assert clock.monotonic_ns() == 1_500_000_000


async def test_a_stall_wakes_sleepers_late() -> None:
    clock = FakeClock()
    seen: list[int] = []

    async def sleeper() -> None:
        await clock.sleep(1)
        seen.append(clock.monotonic_ns())

    task = asyncio.ensure_future(sleeper())
    await clock.settle()
    clock.stall(3)
    await clock.advance(0)
    await task
    assert seen == [3_000_000_000]


async def test_the_intake_answers_in_turn_and_accepts_by_default() -> None:
    intake = FakeIntake()
    intake.jobs.extend([Jobs(more=True), RuntimeError("no")])
    pull = Pull(version=1, concurrency=1, free_slots=1, keys=("k",))
    assert (await intake.pull(pull)).more
    with pytest.raises(RuntimeError):
        await intake.pull(pull)
    assert await intake.pull(pull) == Jobs()
    item = ResultItem(result="r", job="j", lease="l", outcome=raw({}))
    assert (await intake.push([item])).accepted == ("r",)
    assert intake.pushes == [[item]]
