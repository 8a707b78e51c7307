"""A thread beside the event loop, for arithmetic whose size a peer chose. One for all, so that it takes a processor at most.

What waits for it does so at the worker's expense, and what runs in it cannot be ended: whoever waits may give up, and what it
comes to is dropped. It is not nice: put off while it holds the interpreter's lock, it would hold the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from worker.net.recorder import Recorder

LOOK_SECONDS: Final = 0.05
"""Between looks at whether it is one's turn yet."""

T = TypeVar("T")


class Aside:
    """Starts its thread with the first work."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="aside")

    async def run(self, work: Callable[[], T], recorder: Recorder) -> T:
        """Return or raise what *work* does. While it waits for its turn, the time of *recorder* stands still."""
        began: list[int] = []

        def run() -> T:
            began.append(recorder.now_ns())
            return work()

        running = asyncio.get_running_loop().run_in_executor(self._executor, run)
        try:
            while not began:
                since = recorder.now_ns()
                await asyncio.wait((running,), timeout=LOOK_SECONDS)
                recorder.exclude_ns((began[0] if began else recorder.now_ns()) - since)
            return await running
        finally:
            running.cancel()
