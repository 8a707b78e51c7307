"""A thread beside the event loop, for arithmetic whose size a peer chose. One for all, so that it takes a processor at most.

It is nice, so that where processors are short the loop comes first. What waits for it does so at the worker's expense, and
what runs in it cannot be ended: whoever waits may give up, and what it comes to is dropped.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from worker.net.recorder import Recorder

NICENESS: Final = 10
"""As evaluators are: nine parts in ten of a processor that both want are the loop's."""
LOOK_SECONDS: Final = 0.05
"""Between looks at whether it is one's turn yet."""

T = TypeVar("T")


class Aside:
    """Starts its thread with the first work."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="aside", initializer=_be_nice)

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


def _be_nice() -> None:
    if sys.platform == "linux":  # where niceness belongs to a thread
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
