"""Bells: who waits hears one that rings, and is told apart from who waited in vain."""

from __future__ import annotations

import asyncio

from tests.support.waiting import PATIENCE
from worker.clock import SystemClock, heard


class ClockByHand(SystemClock):
    """Its sleepers sleep until *morning*."""

    def __init__(self) -> None:
        self.morning = asyncio.Event()
        self.woken = 0

    async def sleep(self, seconds: float) -> None:
        try:
            await self.morning.wait()
        except asyncio.CancelledError:
            self.woken += 1
            raise


async def test_a_bell_that_rings_is_heard_and_nobody_sleeps_on() -> None:
    bell, clock = asyncio.Event(), ClockByHand()
    waiting = asyncio.create_task(heard(bell, clock, 10))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    bell.set()
    assert await asyncio.wait_for(waiting, PATIENCE)
    await asyncio.sleep(0)
    assert clock.woken == 1


async def test_a_bell_that_has_rung_is_heard_at_once() -> None:
    bell = asyncio.Event()
    bell.set()
    assert await heard(bell, ClockByHand(), 10)


async def test_who_waits_in_vain_is_told_so() -> None:
    bell, clock = asyncio.Event(), ClockByHand()
    clock.morning.set()
    assert not await asyncio.wait_for(heard(bell, clock, 10), PATIENCE)


async def test_who_gives_up_leaves_no_sleeper_and_no_ring_behind() -> None:
    bell, clock = asyncio.Event(), ClockByHand()
    waiting = asyncio.create_task(heard(bell, clock, 10))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0)
    assert clock.woken == 1
    assert not bell.is_set()
