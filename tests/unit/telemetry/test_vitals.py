"""Vitals: the worker notices its own trouble, and remembers when it was."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.clock import FakeClock
from worker.telemetry.vitals import MEMORY_SHORT, TICK, Vitals, open_descriptors


@asynccontextmanager
async def watching(clock: FakeClock, used: int = 10, limit: int = 1000) -> AsyncIterator[Vitals]:
    vitals = Vitals(clock, lambda: (used, limit))
    task = asyncio.ensure_future(vitals.run())
    await clock.settle()
    try:
        yield vitals
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_quiet_worker_has_no_trouble() -> None:
    clock = FakeClock()
    async with watching(clock) as vitals:
        await clock.advance(10)
        assert vitals.trouble_since(0) is None
        assert vitals.worst_lag == 0


async def test_a_late_loop_marks_what_ran_meanwhile_and_nothing_later() -> None:
    clock = FakeClock()
    async with watching(clock) as vitals:
        await clock.advance(1)
        before = clock.monotonic_ns()
        clock.stall(0.4)
        await clock.advance(TICK)
        after = clock.monotonic_ns()
        await clock.advance(1)
        assert "event loop was" in (vitals.trouble_since(before) or "")
        assert vitals.trouble_since(after + 1) is None
        assert 0.3 < vitals.worst_lag < 0.45


async def test_a_stepped_clock_is_noticed() -> None:
    clock = FakeClock()
    async with watching(clock) as vitals:
        clock.step_wall(-3600)
        await clock.advance(1)
        assert vitals.trouble_since(0) == "the worker's clock stepped by -3600.0 s"


async def test_descriptors_that_run_out_are_noticed() -> None:
    clock = FakeClock()
    async with watching(clock, used=990) as vitals:
        await clock.advance(2)
        assert vitals.trouble_since(0) == "the worker has 990 of 1000 file descriptors in use"
        assert vitals.shortage == "file descriptors"


async def test_descriptors_that_a_failed_run_lacked_are_counted_at_once() -> None:
    clock = FakeClock()
    vitals = Vitals(clock, lambda: (1000, 1000))
    vitals.look_at_descriptors()
    assert vitals.shortage == "file descriptors"
    assert vitals.trouble_since(0) == "the worker has 1000 of 1000 file descriptors in use"


def test_memory_that_a_run_lacked_is_a_shortage_for_some_seconds() -> None:
    clock = FakeClock()
    vitals = Vitals(clock, lambda: (3, 1000))
    vitals.ran_out_of_memory()
    assert vitals.trouble_since(0) == "the worker ran out of memory"
    clock.stall(MEMORY_SHORT - 1)
    assert vitals.shortage == "memory"
    clock.stall(1)
    assert vitals.shortage is None


def test_descriptors_of_which_none_is_left_to_count_them_are_all_in_use() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        assert open_descriptors() == (0, 0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, before[1]))
        assert open_descriptors() == (1, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_real_count_of_descriptors_is_plausible() -> None:
    used, limit = open_descriptors()
    assert 0 <= used < limit


async def test_a_run_that_ends_before_the_next_look_hears_of_a_held_loop() -> None:
    clock = FakeClock()
    async with watching(clock) as vitals:
        await clock.advance(1)
        began = clock.monotonic_ns()
        clock.stall(0.4)
        assert vitals.trouble_since(began) == "the worker's event loop was 300 ms late"
        assert vitals.trouble_since(clock.monotonic_ns()) is None, "it began afterwards"


async def test_a_run_that_ends_before_the_next_look_hears_of_a_stepped_clock() -> None:
    clock = FakeClock()
    async with watching(clock) as vitals:
        clock.step_wall(3600)
        assert vitals.trouble_since(0) == "the worker's clock stepped by 3600.0 s"


def test_vitals_that_have_not_looked_yet_know_of_no_trouble() -> None:
    clock = FakeClock()
    vitals = Vitals(clock)
    clock.stall(60)
    assert vitals.trouble_since(0) is None
