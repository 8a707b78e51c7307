"""The one thread that waits for the disk.

A daemon of its own: a disk that hangs holds up neither look-ups of names nor the end of the process.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeAlias, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

_End: TypeAlias = "Callable[[object, Exception | None], None]"
_Call: TypeAlias = "tuple[Callable[[], Any], asyncio.AbstractEventLoop, _End]"


class DiskThread:
    """Runs calls in turn, from its first call to `stop`. *monotonic_ns* is the time by which it tells since when it is busy."""

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        self._monotonic_ns = monotonic_ns
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._since_ns: deque[int] = deque()

    @property
    def busy_since_ns(self) -> int | None:
        """The time at which the oldest call came that has not ended, None where there is none."""
        return self._since_ns[0] if self._since_ns else None

    async def run(self, call: Callable[[], T]) -> T:
        """Run *call* and return or raise what it does. One that is cancelled is run all the same."""
        if self._thread is None:
            self._thread = Thread(target=_work, args=(self._calls,), name="journal", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._since_ns.append(self._monotonic_ns())
        self._calls.put((call, loop, partial(self._ended, future)))
        return await future

    def stop(self) -> None:
        """End the thread after the calls that it has."""
        self._calls.put(None)
        self._thread = None

    def _ended(self, future: asyncio.Future[Any], value: object, error: Exception | None) -> None:
        self._since_ns.popleft()  # calls end in the order in which they came
        if not future.done():
            _settle(future, value, error)
        elif error is not None:
            extra = {"action": "spool_failed", "errno": getattr(error, "errno", None)}
            log.warning("a write to the spool directory failed that nobody waits for any more: %s", error, extra=extra)


def _work(calls: SimpleQueue[_Call | None]) -> None:
    while (one := calls.get()) is not None:
        call, loop, end = one
        value, error = None, None
        try:
            value = call()
        except Exception as raised:  # noqa: BLE001  # raised again where the call came from
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(end, value, error)


def _settle(future: asyncio.Future[Any], value: object, error: Exception | None) -> None:
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
