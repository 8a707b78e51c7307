"""The end of a run's time, on a clock that only the test moves: the worker's lateness is no part of it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import FakeClock
from worker.net.deadline import Deadline
from worker.net.recorder import Recorder

SECOND = 1_000_000_000
MILLISECONDS = st.integers(min_value=0, max_value=400).map(lambda number: number / 1000)


@given(st.lists(st.tuples(MILLISECONDS, MILLISECONDS), max_size=20))
def test_only_what_the_peers_took_counts_wherever_the_loop_was_held(waits: list[tuple[float, float]]) -> None:
    """Each wait: how long the peer took, and for how long after that the loop did not come to read."""

    async def run() -> None:
        clock = FakeClock()
        deadline = Deadline(clock, 10)
        recorder = Recorder(clock, deadline)
        for number, (peer, held) in enumerate(waits):
            recorder.start(("dns", "ssl", "firstByte")[number % 3])
            clock.stall(peer)
            came = clock.stamp()
            clock.stall(held)
            recorder.exclude(came)
        taken = sum(peer for peer, _ in waits)
        assert deadline.remaining() == pytest.approx(10 - taken, abs=1e-6)
        assert deadline.trouble is None
        recorder.stop()
        assert sum(recorder.phases.values()) == pytest.approx(taken * SECOND, abs=1000)

    asyncio.run(run())


@pytest.mark.parametrize("how", ["start", "stop", "exclude", "excuse"])
async def test_every_way_to_tell_of_a_late_reading_gives_it_back(how: str) -> None:
    clock = FakeClock()
    deadline = Deadline(clock, 3)
    recorder = Recorder(clock, deadline)
    recorder.start("firstByte")
    clock.stall(1)
    came = clock.stamp()
    clock.stall(1)
    getattr(recorder, how)(*(("download",) if how == "start" else ()), came)
    assert deadline.remaining() == 2


async def test_no_moment_is_given_back_twice() -> None:
    clock = FakeClock()
    deadline = Deadline(clock, 10)
    clock.stall(2)
    deadline.excuse_ns(SECOND)
    deadline.excuse_ns(SECOND)
    clock.stall(1)
    deadline.excuse_ns(3 * SECOND)
    assert deadline.remaining() == 10 - 1
    deadline.excuse_ns(-SECOND)
    assert deadline.remaining() == 10 - 1


async def test_as_much_as_the_limit_is_given_back_and_then_the_worker_is_in_trouble() -> None:
    clock = FakeClock()
    deadline = Deadline(clock, 2)
    for _ in range(5):
        clock.stall(1)
        deadline.excuse_ns(SECOND)
    assert deadline.remaining() == -1
    assert deadline.trouble == "the worker itself was 2000 ms late in all during the run"


async def test_a_clock_that_is_set_gives_back_no_more_than_has_passed() -> None:
    clock = FakeClock()
    deadline = Deadline(clock, 10)
    clock.stall(1)
    deadline.excuse_ns(3600 * SECOND)
    assert deadline.remaining() == 10
