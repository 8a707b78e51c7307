"""The pool that tasks and requests share: what each leaves the other, and what a waiting pull lends."""

from __future__ import annotations

import asyncio

import pytest

from worker.actionrunner.sharedslots import SharedSlots


def requests(slots: SharedSlots) -> int:
    """The number of requests that get a slot now."""
    count = 0
    while slots.take_for_request():
        count += 1
    return count


@pytest.mark.parametrize(
    ("size", "reserved", "most"), [(10, 2, 8), (10, 0, 10), (10, 9, 5), (2, 2, 1), (1, 2, 1), (3, 1, 2)]
)
def test_each_side_leaves_the_other_its_reserve(size: int, reserved: int, most: int) -> None:
    assert SharedSlots(size, reserved).take(1000) == most
    assert requests(SharedSlots(size, reserved)) == most


def test_saturated_pulls_leave_slots_to_people_and_the_other_way_round() -> None:
    slots = SharedSlots(10, 2)
    assert slots.redeem(slots.take(10)) == 8
    assert (slots.free, requests(slots), slots.taken) == (0, 2, 10)
    slots = SharedSlots(10, 2)
    assert (requests(slots), slots.take(10), slots.free) == (8, 2, 0)


def test_a_waiting_pull_lends_what_it_reserved() -> None:
    slots = SharedSlots(10, 2)
    promised = slots.take(10)
    assert requests(slots) == 8
    left = slots.redeem(promised)
    assert left == 2, "six were lent"
    slots.release(left)
    assert (slots.taken, slots.free) == (8, 2)


def test_what_runs_is_not_lent() -> None:
    slots = SharedSlots(10, 2)
    promised = slots.redeem(slots.take(10))
    assert promised == 8
    assert requests(slots) == 2
    slots.release(3)
    assert requests(slots) == 3


def test_redeeming_twice_takes_nothing_twice() -> None:
    slots = SharedSlots(4, 1)
    promised = slots.take(4)
    assert requests(slots) == 3
    left = slots.redeem(promised)
    assert slots.redeem(left) == left == 1


@pytest.mark.parametrize("count", [-1, 1])
def test_more_than_was_taken_cannot_come_back(count: int) -> None:
    slots = SharedSlots(4, 1)
    with pytest.raises(ValueError, match="given back"):
        slots.release(count)
    with pytest.raises(ValueError, match="given back"):
        slots.release_request()


async def test_whoever_waits_hears_of_a_slot_that_a_request_gives_back() -> None:
    slots = SharedSlots(2, 1)
    assert slots.redeem(slots.take(2)) == 1
    assert slots.take_for_request()
    waiting = asyncio.create_task(slots.wait_for_free())
    await asyncio.sleep(0)
    assert not waiting.done()
    slots.release()
    async with asyncio.timeout(60):
        await waiting
