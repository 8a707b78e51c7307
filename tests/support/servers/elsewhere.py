"""Servers on a loop of their own, in a thread: they answer in time while the loop of the test is held."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def elsewhere(server: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Enter *server* in a thread, and leave it there."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        entered = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(server.__aenter__(), loop))
        try:
            yield entered
        finally:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join)
        loop.close()
