"""The one thread that waits for the disk.

A daemon of its own: a disk that hangs holds up neither look-ups of names nor the end of the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

_Call: TypeAlias = "tuple[Callable[[], Any], asyncio.AbstractEventLoop, asyncio.Future[Any]]"


class DiskThread:
    """Runs calls in turn, from its first call to `stop`."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread: Thread | None = None

    async def run(self, call: Callable[[], T]) -> T:
        """Run *call* and return or raise what it does. One that is cancelled is run all the same."""
        if self._thread is None:
            self._thread = Thread(target=_work, args=(self._calls,), name="journal", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._calls.put((call, loop, future))
        return await future

    def stop(self) -> None:
        """End the thread after the calls that it has."""
        self._calls.put(None)
        self._thread = None


def _work(calls: SimpleQueue[_Call | None]) -> None:
    while (one := calls.get()) is not None:
        call, loop, future = one
        value, error = None, None
        try:
            value = call()
        except Exception as raised:  # noqa: BLE001  # raised again where the call came from
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, future, value, error)


def _settle(future: asyncio.Future[Any], value: object, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
