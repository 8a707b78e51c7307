"""Signals to the process: the first SIGTERM or SIGINT stops in order, a second SIGINT hurries."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Signals:
    """Two events, and what sets them."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()

    def interrupt(self) -> None:
        if self.stop.is_set():
            self.hurry.set()
        self.stop.set()


@contextmanager
def caught() -> Iterator[Signals]:
    """Signals of this process, for as long as the context lasts; needs a running loop in the main thread."""
    signals = Signals()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, signals.stop.set)
    loop.add_signal_handler(signal.SIGINT, signals.interrupt)
    try:
        yield signals
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        loop.remove_signal_handler(signal.SIGINT)
