"""Asking again where the machine was so busy that the wall clock decided before a limit of CPU time did.

A worker says so of itself (`STARVED`), and that is right; a test of anything else wants the answer of a machine with time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

TRIES: Final = 20


async def unstarved(ask: Callable[[], Awaitable[T]], is_starved: Callable[[T], bool]) -> T:
    """Ask until the answer is not one of a starved machine, `TRIES` times at most, and return the last answer."""
    for _ in range(TRIES):
        answer = await ask()
        if not is_starved(answer):
            break
    return answer
