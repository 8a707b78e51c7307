"""Waiting for what another thread or process does, bounded; nothing inside one event loop should need it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 60.0
"""Seconds for anything that ought to happen at once, on a machine that is busy with other tests."""

T = TypeVar("T")


async def until(condition: Callable[[], object], *, seconds: float = PATIENCE) -> None:
    """Return once *condition* holds. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # there is no event to wait for: the change happens elsewhere
            await asyncio.sleep(0.002)


def eventually(
    look: Callable[[], T | None], what: str, tell: Callable[[], str] = lambda: "", *, seconds: float = PATIENCE
) -> T:
    """`until` without an event loop: look again and again until there is something, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"no {what} within {seconds} s\n{tell()}")
