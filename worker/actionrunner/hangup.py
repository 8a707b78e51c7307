"""SIGHUP: whoever follows files looks at them at once. It ends nothing, whatever the runner does at that moment."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


class Hangup:
    """Calls everybody who is `following` at each signal."""

    def __init__(self) -> None:
        self._looks: list[Callable[[], None]] = []

    @contextmanager
    def following(self, look: Callable[[], None]) -> Iterator[None]:
        """Have *look*, which may not wait, called for as long as the context lasts."""
        self._looks.append(look)
        try:
            yield
        finally:
            self._looks.remove(look)

    def ring(self) -> None:
        log.info("SIGHUP: looking at the operator's files", extra={"action": "reload"})
        for look in self._looks:
            look()


@contextmanager
def hangups() -> Iterator[Hangup]:
    """Take SIGHUP, which would end the process, for as long as the context lasts; needs a running loop in the main thread."""
    hangup = Hangup()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, hangup.ring)
    try:
        yield hangup
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
