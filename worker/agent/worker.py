"""The life of a serving worker: its loops run until a signal, then it drains in order.

`worker.start` makes the parts and hands them over; nothing is made here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

from worker.agent.inflight import InFlight
from worker.agent.outbox import Outbox
from worker.agent.poller import Poller
from worker.agent.signals import Signals
from worker.errors import ExitCode
from worker.intake.transport import IntakeError

log = logging.getLogger(__name__)

LAST_PULL = 3.0
"""Seconds for giving back what was cut short; without it the next worker waits for the lease. With `FLUSH` and the default
`drainTimeout` and the journal's `CLOSE` within the grace period of the manifests, also where nothing answers."""
FLUSH = 8.0
"""Seconds for pushing what waits when the worker stops; an outage then loses it to the lease of the next worker."""

Loop: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""A loop beside the poller and the outbox (vitals, liveness): runs until cancelled."""


class Worker:
    """The parts that serve a location. All tasks belong to *group*: a loop that dies ends the process."""

    def __init__(
        self,
        *,
        poller: Poller,
        inflight: InFlight,
        outbox: Outbox,
        group: asyncio.TaskGroup,
        loops: Mapping[str, Loop],
        drain_timeout: float,
    ) -> None:
        self._poller = poller
        self._inflight = inflight
        self._outbox = outbox
        self._group = group
        self._loops = {"poller": poller.run, "outbox": outbox.run, **loops}
        self._drain_timeout = drain_timeout

    async def serve(self, signals: Signals) -> ExitCode:
        """Run until a signal, then drain; a second interrupt ends at once."""
        loops = {name: self._group.create_task(loop(), name=name) for name, loop in self._loops.items()}
        await signals.stop.wait()
        draining = asyncio.ensure_future(self._drain(loops["poller"]))
        hurry = asyncio.ensure_future(signals.hurry.wait())
        await asyncio.wait((draining, hurry), return_when=asyncio.FIRST_COMPLETED)
        for task in (*loops.values(), draining, hurry):
            task.cancel()
        await self._inflight.cut_short()
        await asyncio.gather(draining, hurry, return_exceptions=True)
        return ExitCode.INTERRUPTED if signals.hurry.is_set() else ExitCode.DONE

    async def _drain(self, polling: asyncio.Task[None]) -> None:
        log.info(
            "draining: %d jobs run on for up to %.0f s",
            self._inflight.running,
            self._drain_timeout,
            extra={"action": "draining", "running": self._inflight.running},
        )
        self._poller.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_timeout):
                await self._inflight.wait_idle()
        cut = await self._inflight.cut_short()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH):
                await self._outbox.flush()
        polling.cancel()
        # The last pull gives back what was cut short now, and not only when its lease is over.
        with contextlib.suppress(IntakeError, TimeoutError):
            async with asyncio.timeout(LAST_PULL):
                await self._poller.pull_once()
        log.info(
            "drained: %d jobs given back, %d results not delivered",
            cut,
            self._outbox.waiting,
            extra={"action": "drained", "given_back": cut, "undelivered": self._outbox.waiting},
        )
