"""Limits on a loop that is held: what has come to the kernel in time is served before the limit has its word."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from tests.integration.net.way import CLOCK
from worker.net.deadline import Deadline
from worker.net.readiness import readable
from worker.net.stamps import request_stamps
from worker.net.stream import Connection

LIMIT = 0.1
HELD = 0.3
"""Seconds for which a test holds the loop: the limit's end falls into it."""


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection, ours and the peer's, whose arrivals are stamped."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        its, _ = listener.accept()
    with ours, its:
        ours.setblocking(False)
        request_stamps(ours)
        yield ours, its


def hold_loop() -> None:
    time.sleep(HELD)


async def receive_timed(stream: Connection, deadline: Deadline, at_most: int = 65_536) -> bytes:
    data = await stream.receive(at_most)
    assert stream.arrived is not None
    deadline.excuse_ns(CLOCK.age_ns(stream.arrived))
    return data


async def test_an_answer_that_came_while_the_loop_was_held_is_in_time(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, its = pair
    stream = Connection(ours)
    deadline = Deadline(CLOCK, LIMIT)
    try:
        async with deadline.limit():
            asyncio.get_running_loop().call_soon(its.send, b"in time")
            asyncio.get_running_loop().call_soon(hold_loop)
            assert await stream.receive() == b"in time"
    finally:
        stream.close()


async def test_all_that_has_come_is_served_though_it_takes_many_readings(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, its = pair
    stream = Connection(ours)
    deadline = Deadline(CLOCK, LIMIT)
    sent = its.send(bytes(100_000))
    received = 0
    try:
        async with deadline.limit():
            asyncio.get_running_loop().call_soon(hold_loop)
            while received < sent:
                received += len(await receive_timed(stream, deadline, 1000))
    finally:
        stream.close()


async def test_a_peer_that_goes_on_sending_after_the_end_is_cut_off(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Each reading finds something; it came too late."""
    ours, its = pair
    stream = Connection(ours)
    deadline = Deadline(CLOCK, LIMIT)
    until = time.monotonic() + 60 * LIMIT

    async def read_on() -> None:
        async with deadline.limit():
            while time.monotonic() < until:
                its.send(b"more")
                await receive_timed(stream, deadline)

    try:
        with pytest.raises(TimeoutError):
            await read_on()
    finally:
        stream.close()


async def test_a_silent_peer_is_told_so_by_a_loop_that_was_held(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = pair

    async def wait() -> None:
        async with Deadline(CLOCK, LIMIT).limit():
            asyncio.get_running_loop().call_soon(hold_loop)
            await readable(ours)

    with pytest.raises(TimeoutError):
        await wait()


async def test_the_shorter_of_two_limits_ends_alone() -> None:
    deadline = Deadline(CLOCK, 60)
    async with deadline.limit():
        with pytest.raises(TimeoutError):
            async with deadline.limit(0.01):
                await asyncio.Event().wait()
        await asyncio.sleep(0)


async def test_a_cancellation_from_outside_is_no_time_out() -> None:
    async def bounded() -> None:
        async with Deadline(CLOCK, 60).limit():
            await asyncio.Event().wait()

    task = asyncio.create_task(bounded())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
