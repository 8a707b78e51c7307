"""WriteHealth: can anything be written? A pull writes, so a control plane that only reads serves nobody."""

from __future__ import annotations

import asyncio
import logging

from controlplane.errors import DatabaseError, StatementError
from controlplane.store.database import Database
from worker.clock import Clock

log = logging.getLogger(__name__)

ANSWER_SECONDS = 1.5
"""For an answer: probes give up after two seconds."""
FRESH_NS = 1_000_000_000
"""Nanoseconds for which an answer is good: askers may be anybody, and each write costs the disk a sync."""


class WriteHealth:
    """Writes one row where somebody asks, at most one at a time and one in `FRESH_NS`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._attempt: asyncio.Task[None] | None = None
        self._ended: int | None = None
        self._trouble = ""

    async def trouble(self) -> str:
        """Say why nothing can be written; empty where it can. It answers in time, whatever the database does."""
        if self._attempt is None or self._attempt.done():
            if self._ended is not None and self._clock.monotonic_ns() - self._ended < FRESH_NS:
                return self._trouble
            self._attempt = asyncio.create_task(self._write(), name="health")
        await asyncio.wait({self._attempt}, timeout=ANSWER_SECONDS)
        return self._trouble if self._attempt.done() else f"no write ended within {ANSWER_SECONDS} s"

    async def close(self) -> None:
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.gather(self._attempt, return_exceptions=True)

    async def _write(self) -> None:
        before = self._trouble
        try:
            await self._database.check_writing()
            self._trouble = ""
        except StatementError as error:
            self._trouble = f"{error.trouble.value}: {error.reason}"
        except DatabaseError as error:
            self._trouble = str(error)
        finally:
            self._ended = self._clock.monotonic_ns()
        if self._trouble and not before:
            log.error("the database takes no writes: %s", self._trouble, extra={"action": "database_failed"})
        elif before and not self._trouble:
            log.info("the database takes writes again", extra={"action": "database_recovered"})
