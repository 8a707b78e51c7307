"""Answers to an orchestrator: is the process alive, is it ready.

Alive means that the poller makes progress, backing off included: it says nothing of the control plane, so an outage there
does not restart every worker. Ready means that a signed reply came within the last 30 s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from worker.clock import Clock
from worker.errors import ConfigError
from worker.program.file import in_the_way, replace_file

log = logging.getLogger(__name__)

READY_FOR = 30.0
"""Seconds for which a signed reply makes the worker ready."""
PATIENCE = 30.0
"""Seconds beyond the planned silence of the poller before it counts as hanging."""
TICK = 1.0
"""Seconds between writes of the liveness file."""
LIVENESS_MODE = 0o666
"""Whoever probes may be another user than the worker; the umask says which others there are."""


def check_liveness_file(path: Path) -> None:
    """Raise ConfigError if something stands at *path* that the liveness file must not replace."""
    other = in_the_way(path)
    if other is not None:
        raise ConfigError(f"{path} is {other}, not a regular file", option="livenessFile")


class Health:
    """Answers from two readings: until when the poller's silence is planned, and when the last signed reply came."""

    def __init__(
        self, clock: Clock, *, quiet_until_ns: Callable[[], int], last_signed_reply_ns: Callable[[], int | None]
    ) -> None:
        self._clock = clock
        self._quiet_until_ns = quiet_until_ns
        self._last_signed_reply_ns = last_signed_reply_ns

    @property
    def alive(self) -> bool:
        return self._clock.monotonic_ns() < self._quiet_until_ns() + round(PATIENCE * 1e9)

    @property
    def ready(self) -> bool:
        last = self._last_signed_reply_ns()
        return last is not None and self._clock.monotonic_ns() - last < round(READY_FOR * 1e9)

    async def keep_liveness_file(self, path: Path) -> None:
        """Write epoch milliseconds to *path* each second for as long as the process is alive, until cancelled."""
        failing = False
        while True:
            if self.alive:
                try:
                    now = str(round(self._clock.now().timestamp() * 1000))
                    await asyncio.to_thread(replace_file, path, now.encode(), LIVENESS_MODE)
                    failing = False
                except (OSError, RuntimeError, MemoryError) as error:  # no thread and no memory, too: for a while
                    if not failing:
                        log.warning(
                            "cannot write the liveness file %s: %s",
                            path,
                            getattr(error, "strerror", None) or str(error) or "out of memory",
                            extra={"action": "liveness_failed"},
                        )
                    failing = True
            await self._clock.sleep(TICK)
