"""Waiting for what another thread or process does, bounded; nothing inside one event loop should need it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], *, seconds: float = 10.0) -> None:
    """Return once *condition* holds. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # there is no event to wait for: the change happens elsewhere
            await asyncio.sleep(0.002)
