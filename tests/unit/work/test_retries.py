"""Executions until one is final, on a clock that only the test moves."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.clock import FakeClock
from worker.apitest.retry import Retry
from worker.outcome.failure import Failure, FailureCode
from worker.work.retries import is_settled, with_retries


class Attempts:
    """Outcomes one after another, and the times at which they were asked for."""

    def __init__(self, clock: FakeClock, *outcomes: bool) -> None:
        self.clock = clock
        self.outcomes = list(outcomes)
        self.times: list[float] = []

    async def execute(self) -> bool:
        self.times.append(self.clock.monotonic_ns() / 1e9)
        return self.outcomes[len(self.times) - 1]


async def outcome_of(*outcomes: bool, count: int = 3) -> tuple[tuple[bool, int], list[float]]:
    clock = FakeClock()
    attempts = Attempts(clock, *outcomes)
    retry = Retry(count=count, interval=2.0)
    task = asyncio.create_task(with_retries(attempts.execute, retry, clock.sleep, bool))
    await clock.advance(60)
    return await task, attempts.times


@pytest.mark.parametrize(
    ("outcomes", "decided", "times"),
    [
        ((True,), (True, 0), [0.0]),
        ((False, True), (True, 1), [0.0, 2.0]),
        ((False, False, False, True), (True, 3), [0.0, 2.0, 4.0, 6.0]),
        ((False, False, False, False), (False, 3), [0.0, 2.0, 4.0, 6.0]),
    ],
)
async def test_the_last_execution_decides(
    outcomes: tuple[bool, ...], decided: tuple[bool, int], times: list[float]
) -> None:
    assert await outcome_of(*outcomes) == (decided, times)


async def test_a_wait_between_two_executions_can_be_cut_short() -> None:
    clock = FakeClock()
    attempts = Attempts(clock, False, True)
    task = asyncio.create_task(with_retries(attempts.execute, Retry(count=1, interval=5.0), clock.sleep, bool))
    await clock.advance(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await clock.advance(10)
    assert attempts.times == [0.0]


@pytest.mark.parametrize("code", FailureCode)
def test_a_failure_is_settled_where_another_execution_could_only_repeat_it(code: FailureCode) -> None:
    settled = {FailureCode.AUTHENTICATION_ERROR, FailureCode.INVALID_TEST, FailureCode.REQUIRES_UPDATE}
    assert is_settled(Failure(code, "")) is (code in settled)


def test_a_success_is_settled() -> None:
    assert is_settled(None)
