"""Wake-ups: who waits for tasks of a runner, or for the end of a run, hears of it at once where it happens in this process.

What other processes write is looked for every `LOOK_SECONDS`, in one query for everybody who waits. Nothing is decided here: who
is woken looks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from controlplane.errors import StatementError
from controlplane.store import tasks
from controlplane.store.database import Database
from worker.clock import Clock

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
"""Between looks for what other processes have written."""


class Wakeups:
    """Bells by the id of a runner or of a run."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._bells: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._somebody = asyncio.Event()
        self.ended = False
        """Nobody is woken any more, so that nobody may wait: this process ends."""

    def ring(self, name: str) -> None:
        """Wake whoever waits for the runner or run *name*."""
        bells = self._bells.get(name, ())
        for bell in bells:
            bell.set()
        if bells:
            self._database.hurry()  # who listens may still wait for its heartbeat to be written

    @contextmanager
    def listening(self, name: str) -> Iterator[asyncio.Event]:
        """A bell that rings for *name*; the caller clears it before each look, so that nothing is missed between the two."""
        bell = asyncio.Event()
        self._bells[name].add(bell)
        self._somebody.set()
        try:
            yield bell
        finally:
            self._bells[name].discard(bell)
            if not self._bells[name]:
                del self._bells[name]

    async def run(self) -> None:
        """Look for others' work until cancelled; then send home whoever waits."""
        try:
            while True:
                if not self._bells:
                    self._somebody.clear()
                    await self._somebody.wait()
                await self._clock.sleep(LOOK_SECONDS)
                await self._look()
        finally:
            self.ended = True
            for name in self._bells:
                self.ring(name)

    async def _look(self) -> None:
        try:
            async with self._database.read() as connection:
                stirring = await tasks.stirring(connection, tuple(self._bells))
        except StatementError as error:
            extra = {"action": "database_failed", "trouble": error.trouble.value}
            log.warning("cannot look for tasks: %s", error.reason, extra=extra)
            return
        for name in stirring:
            self.ring(name)
