"""Executions of one thing until one is final: a test, or a step of one. Each wait stays in the slot that its caller holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from worker.apitest.retry import Retry
from worker.outcome.failure import Failure, FailureCode

T = TypeVar("T")
Sleep: TypeAlias = Callable[[float], Awaitable[None]]
"""Lets so many seconds pass."""

_SETTLED = frozenset({FailureCode.AUTHENTICATION_ERROR, FailureCode.INVALID_TEST, FailureCode.REQUIRES_UPDATE})
"""Failures that another execution can only repeat, or make worse: accounts are locked after a few wrong passwords."""


def is_settled(failure: Failure | None) -> bool:
    """True where nothing failed, and where failing again is all that a retry can do."""
    return failure is None or failure.code in _SETTLED


async def with_retries(
    execute: Callable[[], Awaitable[T]], retry: Retry, sleep: Sleep, is_final: Callable[[T], bool]
) -> tuple[T, int]:
    """Execute until *is_final*, or *retry* is used up; the last outcome, which alone counts, and the number of retries made."""
    outcome = await execute()
    for made in range(retry.count):
        if is_final(outcome):
            return outcome, made
        await sleep(retry.interval)
        outcome = await execute()
    return outcome, retry.count
