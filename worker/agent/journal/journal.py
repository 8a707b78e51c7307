"""Finished results on their way to the disk: gathered for a moment, written and synced together in a thread.

Nothing is shed and nothing waits for the disk but the taking of more work: a journal that is full, cannot be written, or stands
still says so in `trouble`. Losing the note that a result is done costs one more push of it, which the control plane answers
with `duplicate`.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

from worker.agent.journal import codec, rejected
from worker.agent.journal.codec import SegmentKeys
from worker.agent.journal.store import Store
from worker.agent.journal.thread import DiskThread
from worker.clock import Clock, heard
from worker.wire.keys import PrivateKey
from worker.wire.messages import ResultItem

log = logging.getLogger(__name__)

GATHER = 0.048
"""Seconds from a result to the end of its write: one sync serves all that finished meanwhile. The promise is 50 ms."""
FORGETTING = 0.9
"""Part of a write's time that is still reckoned with at the next one: a slow disk is remembered for a second."""
RETRY = 1.0
"""Seconds from a failed write to the next attempt."""
BEAT = 5.0
"""Seconds between signs of life in the directory, looks at the file system, and looks for what dead workers left."""
PACE = 0.5
"""Seconds between two segments taken over, so that new results find their turn between old ones."""
STALLED = 5.0
"""Seconds that the disk may take for anything: beyond that it hangs, no more work is taken, and nothing waits for it."""
CLOSE = 3.0
"""Seconds for the last write when the worker stops: what hangs longer is left to the kernel."""
SAME_WORKER = 15.0
"""Seconds since its last sign of life within which a worker goes on under its old identity: a lease lasts no longer."""
ABANDONED = 60.0
"""Seconds after which another worker takes over what a dead one left: until then it may come back as itself."""
MAX_BYTES = 64 * 1024 * 1024
"""On disk, done and waiting: as much as may wait in memory. Beyond it the worker stops pulling."""
MAX_RESULTS = 10_000
FAILURES = (OSError, MemoryError)
"""Failures of a disk, or of the worker beside it, after which a call is made again."""


class Deliverer(Protocol):
    """The part of the outbox that this module needs: where results of the dead go to be pushed."""

    @property
    def has_room(self) -> bool: ...

    def restore(self, items: Sequence[ResultItem]) -> None: ...


class Journal:
    """The results of one process. Use as an async context manager; `run` and `tend` are its loops.

    A result is on disk within `GATHER`, if its write takes no longer than those before it; or at once, after `hurry`.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._thread = DiskThread(clock.monotonic_ns)
        self._unwritten: dict[str, ResultItem] = {}
        self._done: set[str] = set()
        self._due = asyncio.Event()
        self._hurry = asyncio.Event()
        self._commits: list[asyncio.Future[None]] = []
        self._committing: list[asyncio.Future[None]] = []
        """Those who wait for the write to come, and for the one under way."""
        self._is_writing = False
        self._takes = 0.0
        """Seconds that the longest of the last writes took."""
        self._failing = False
        self._is_cramped = False
        self.inherited: list[ResultItem] = []
        """Results that this worker had finished before it died; handed over once, by whoever wires the outbox."""
        self.failures = 0
        """Writes that failed since the start."""

    @classmethod
    def of(cls, directory: Path, location: str, keys: Iterable[PrivateKey], clock: Clock) -> Self:
        """The journal of a new worker of *location* in *directory*, not yet open."""
        ring, worker = SegmentKeys.of(location, keys), str(uuid.uuid4())
        return cls(Store(directory, ring, worker=worker, age_ns=clock.age_ns), clock)

    async def __aenter__(self) -> Self:
        try:
            self.inherited = await self._thread.run(lambda: self._store.open(within=SAME_WORKER))
            self._is_cramped = not await self._thread.run(self._store.tend)
        except FAILURES as error:
            self._note_failure(error)
            self._due.set()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            with suppress(*FAILURES, TimeoutError):
                async with asyncio.timeout(CLOSE):
                    if self._unwritten or self._done:
                        await self._write()
                    await self._thread.run(self._store.close)
        finally:
            self._thread.stop()

    @property
    def worker(self) -> str:
        """The identity to work under: that of a worker that died here within its lease, or a new one."""
        return self._store.worker

    @property
    def results(self) -> int:
        """Results that wait, on disk or on their way there."""
        return self._store.results + len(self._unwritten)

    @property
    def store(self) -> Store:
        return self._store

    @property
    def trouble(self) -> str | None:
        """`spool` while no more work should be taken on account of the disk, else None."""
        is_full = self._store.bytes >= MAX_BYTES or self.results >= MAX_RESULTS
        return "spool" if self._failing or self._is_cramped or is_full or self._is_stalled() else None

    def keep(self, item: ResultItem) -> None:
        """Have *item* on the disk within 50 ms, in place of an older one of its name. Neither waits nor fails."""
        if len(item.outcome) > codec.MAX_RECORD_BYTES - 4096:  # what stands around an outcome takes less
            log.error(
                "a result of job %s is too large for the journal", item.job, extra={"action": "journal_too_large"}
            )
            return
        self._done.discard(item.result)
        self._unwritten[item.result] = item
        self._due.set()

    def hurry(self) -> None:
        """Have what is kept so far written now: something waits for it, or may not be done twice."""
        self._hurry.set()

    def done(self, result: str) -> None:
        """Forget *result*: it needs no more delivery. Noted on disk with the next result, or sign of life."""
        is_unwritten = self._unwritten.pop(result, None) is not None
        if not is_unwritten or self._is_writing or self._store.holds(result):
            self._done.add(result)
        elif not (self._unwritten or self._done or self._commits or self._failing):
            self._due.clear()

    async def set_aside(self, result: str, sealed: bytes) -> Path | None:
        """Write a rejected *result* beside the journal; its path, or None where there are too many. Raises OSError.

        Raises TimeoutError where the disk hangs. It is written then when the disk goes on, before *result* is noted as done.
        """
        async with asyncio.timeout(0 if self._is_stalled() else STALLED):
            return await self._thread.run(lambda: rejected.set_aside(self._store.room, result, sealed))

    async def commit(self) -> None:
        """Return once everything kept so far is on the disk. Waits for as long as the disk fails."""
        if self._due.is_set() or self._is_writing:
            commit: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            (self._commits if self._due.is_set() else self._committing).append(commit)
            await commit

    async def run(self) -> None:
        """Write until cancelled. What a cancelled write was to hold is written by the exit of the context."""
        while True:
            await self._due.wait()
            if self._failing:
                await self._clock.sleep(RETRY)
            elif not self._hurry.is_set():
                await heard(self._hurry, self._clock, max(GATHER / 2, GATHER - self._takes))
            if self._due.is_set():
                with suppress(*FAILURES):  # noted, and tried again
                    await self._write()
            else:  # all of it was delivered meanwhile
                self._hurry.clear()

    async def tend(self, outbox: Deliverer) -> None:
        """Show that this worker lives, and hand what dead ones left to *outbox*, a segment at a time, until cancelled."""
        wait = BEAT
        while True:
            await self._clock.sleep(wait)
            wait = BEAT
            if self._done:
                self._due.set()
            try:
                self._is_cramped = not await self._thread.run(self._store.tend)
                if outbox.has_room and await self._inherit(outbox):
                    wait = PACE
            except FAILURES as error:
                self._note_failure(error)
                self._due.set()

    async def _inherit(self, outbox: Deliverer) -> bool:
        """Take over one segment; False where there is none."""
        items = await self._thread.run(lambda: self._store.inherit(after=ABANDONED))
        if items:
            log.info(
                "taking over %d results that a dead worker left", len(items), extra={"action": "journal_taken_over"}
            )
            outbox.restore(items)
        return items is not None

    async def _write(self) -> None:
        items, done, commits = self._unwritten, self._done, self._commits
        self._unwritten, self._done, self._commits, self._committing = {}, set(), [], commits
        self._due.clear()
        self._hurry.clear()
        self._is_writing, began_ns = True, self._clock.monotonic_ns()
        try:
            await self._thread.run(lambda: self._store.write(items.values(), done))
        except BaseException as error:
            # What was kept or done meanwhile is newer.
            self._unwritten = {name: item for name, item in items.items() if name not in self._done} | self._unwritten
            self._done |= done - self._unwritten.keys()
            self._commits = commits + self._commits
            self._due.set()
            if isinstance(error, FAILURES):
                self._note_failure(error)
            raise
        finally:
            self._is_writing = False
            self._takes = max((self._clock.monotonic_ns() - began_ns) / 1e9, FORGETTING * self._takes)
        self._note_success()
        for commit in commits:
            if not commit.done():
                commit.set_result(None)

    def _is_stalled(self) -> bool:
        since = self._thread.busy_since_ns
        return since is not None and self._clock.monotonic_ns() - since > STALLED * 1e9

    def _note_failure(self, error: OSError | MemoryError) -> None:
        self.failures += 1
        if not self._failing:
            log.error(
                "cannot write to the spool directory: %s; taking no work until it can be written",
                getattr(error, "strerror", None) or type(error).__name__,
                extra={"action": "spool_failed", "errno": getattr(error, "errno", None)},
            )
        self._failing = True

    def _note_success(self) -> None:
        if self._failing:
            log.info("the spool directory can be written again", extra={"action": "spool_recovered"})
        self._failing = False
