"""Slots: permits are bounded, taking never waits, and what was not taken cannot come back."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.agent.slots import Slots


def test_taking_yields_what_is_free_and_no_more() -> None:
    slots = Slots(3)
    assert [slots.take(2), slots.take(2), slots.take(2)] == [2, 1, 0]


def test_taking_a_negative_number_takes_nothing() -> None:
    slots = Slots(3)
    assert slots.take(-1) == 0
    assert slots.free == 3


def test_giving_back_more_than_was_taken_is_refused() -> None:
    slots = Slots(2)
    slots.take(1)
    with pytest.raises(ValueError, match="2 permits given back, 1 taken"):
        slots.release(2)


def test_a_worker_without_slots_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Slots(0)


async def test_waiting_ends_when_a_permit_comes_back() -> None:
    slots = Slots(1)
    slots.take(1)
    waiting = asyncio.ensure_future(slots.wait_for_free())
    await asyncio.sleep(0)
    assert not waiting.done()
    slots.release()
    await asyncio.wait_for(waiting, 1)
    assert slots.free == 1


async def test_a_cancelled_wait_leaves_the_permits_as_they_were() -> None:
    slots = Slots(1)
    slots.take(1)
    waiting = asyncio.ensure_future(slots.wait_for_free())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    slots.release()
    assert slots.take(1) == 1


@given(size=st.integers(1, 50), steps=st.lists(st.tuples(st.booleans(), st.integers(0, 60))))
def test_free_and_taken_always_add_up_to_the_size(size: int, steps: list[tuple[bool, int]]) -> None:
    slots = Slots(size)
    model = 0
    for take, count in steps:
        if take:
            model += slots.take(count)
        elif count <= model:
            slots.release(count)
            model -= count
        assert (slots.taken, slots.free) == (model, size - model)
        assert 0 <= slots.free <= size
