"""Ends a server of asyncio streams so that nothing of it outlives its test: also connections that were accepted a moment ago."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

_TURNS = 5
"""Of the loop: a connection that is accepted, or closed, takes a few until the streams know."""


async def turns() -> None:
    """Let the loop carry out what was begun."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


async def end(server: asyncio.Server, writers: Collection[asyncio.StreamWriter]) -> None:
    """Stop *server*, then abort what *writers* holds by then."""
    server.close()
    await turns()
    for writer in tuple(writers):
        writer.transport.abort()
    await turns()
