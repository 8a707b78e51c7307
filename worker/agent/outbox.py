"""Results on their way out: kept in memory until a signed reply says what became of each, pushed in batches as they come.

Nothing is shed. The outbox is bounded because a full one stops the pulling (`is_full`), and what has been pulled is at most
one result per slot more. What the control plane rejects is set aside on disk, if there is a place for it, and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from worker.agent.first import first_of
from worker.clock import Clock
from worker.intake.backoff import Backoff
from worker.intake.replies import Reaction
from worker.intake.transport import IntakeError, OutOfMemoryError, enough_memory
from worker.wire import messages
from worker.wire.messages import ResultItem, Results, ResultsReply

log = logging.getLogger(__name__)

GATHER = 0.25
"""Seconds from the first waiting result to its push: a batch costs one envelope, so a little patience saves most of the CPU.
Well inside the second that the protocol allows."""
MAX_BATCH_ITEMS = 500
MAX_BATCH_BYTES = 640 * 1024
"""A sealed batch, a third larger, stays below the megabyte that proxies commonly allow, and far below what a push may weigh: it
is in memory several times over while it is sealed, and the loop waits for it."""
MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Beyond this the worker stops pulling: a thousand results with a body at its bound."""
MAX_WAITING_ITEMS = messages.MAX_LEASES
LATE = 15.0
"""Seconds for which a result may wait before the worker takes no more work: it cannot deliver what it has."""
LOST = "lost: no spoolDirectory is set, or it is full"
HURRIED = 1.0
"""Seconds between pushes at the most while the worker stops: there is little time left, and the outage may be over."""


class Pusher(Protocol):
    """The part of the intake that this module needs."""

    async def push(self, items: Sequence[ResultItem]) -> ResultsReply: ...

    def seal(self, payload: bytes) -> bytes: ...


class ResultJournal(Protocol):
    """The part of a journal that this module needs: to keep what waits, by the name of its result, until it is done."""

    def keep(self, item: ResultItem) -> None: ...

    def done(self, result: str) -> None: ...


class NoJournal:
    """The journal where no `spoolDirectory` is set: results wait in memory alone."""

    def keep(self, item: ResultItem) -> None: ...

    def done(self, result: str) -> None: ...


class Delivery(Struct, frozen=True):
    """The end of one result: `accepted`, `duplicate`, `superseded`, `rejected`, `too_large` or `refused`."""

    result: str
    outcome: str


class Outbox:
    """Results on their way: taken by `put`, pushed for as long as `run` runs.

    *shrink* makes an outcome smaller that the control plane refuses for its size, or returns None. *set_aside* writes a sealed
    result under a name to the disk, and returns None where there is no room; it may raise OSError, and TimeoutError where that
    is done only when a disk that hangs goes on. *gather* is the seconds from the first waiting result to its push, *apart*
    those between the beginnings of two pushes at the least: one that comes alone need not wait, and those that come one after
    another travel together.
    """

    def __init__(
        self,
        intake: Pusher,
        clock: Clock,
        backoff: Backoff,
        *,
        shrink: Callable[[bytes], bytes | None],
        set_aside: Callable[[str, bytes], Awaitable[Path | None]] | None = None,
        journal: ResultJournal | None = None,
        on_delivery: Callable[[Delivery], None] = lambda _: None,
        gather: float = GATHER,
        apart: float = 0.0,
    ) -> None:
        self._intake = intake
        self._clock = clock
        self._backoff = backoff
        self._set_aside = set_aside
        self._journal = journal or NoJournal()
        self._shrink = shrink
        self._gather = gather
        self._apart = apart
        self._pushed_ns: int | None = None
        self._on_delivery = on_delivery
        self._waiting: dict[str, ResultItem] = {}
        self._of_job: dict[str, str] = {}
        self._since_ns: dict[str, int] = {}
        self._bytes = 0
        self.is_short = False
        """Memory ran out in the last push."""
        self._arrived = asyncio.Event()
        self._hurry = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def put(self, item: ResultItem) -> None:
        """Keep *item* until a reply says what became of it. Never waits and never refuses: the job behind it has been run."""
        self._journal.keep(item)
        self._add(item)

    def restore(self, items: Sequence[ResultItem]) -> None:
        """Take *items* that a worker before this one had finished, and that its journal keeps."""
        for item in items:
            if item.result not in self._waiting:
                self._add(item)

    def _add(self, item: ResultItem) -> None:
        self._waiting[item.result] = item
        self._of_job[item.job] = item.result
        self._since_ns[item.result] = self._clock.monotonic_ns()
        self._bytes += len(item.outcome)
        self._emptied.clear()
        self._arrived.set()

    @property
    def items(self) -> tuple[ResultItem, ...]:
        """The results that wait, the oldest first."""
        return tuple(self._waiting.values())

    @property
    def leases(self) -> tuple[str, ...]:
        """The leases behind what waits here: they are still held."""
        return tuple(item.lease for item in self._waiting.values())

    def readdress(self, job: str, lease: str) -> bool:
        """Send the waiting result of *job* under a newer lease; False when none waits here."""
        result = self._of_job.get(job)
        if result is None:
            return False
        self._waiting[result] = msgspec.structs.replace(self._waiting[result], lease=lease)
        self._journal.keep(self._waiting[result])
        return True

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def waiting_bytes(self) -> int:
        return self._bytes

    @property
    def is_full(self) -> bool:
        return self._bytes >= MAX_WAITING_BYTES or len(self._waiting) >= MAX_WAITING_ITEMS

    @property
    def is_late(self) -> bool:
        """Tell if the oldest result has waited for longer than `LATE`."""
        oldest = next(iter(self._since_ns.values()), None)
        return oldest is not None and self._clock.monotonic_ns() - oldest > LATE * 1e9

    @property
    def has_room(self) -> bool:
        """Tell if less waits than one push takes."""
        return self._bytes < MAX_BATCH_BYTES and len(self._waiting) < MAX_BATCH_ITEMS

    async def run(self) -> None:
        """Push until cancelled. Cancellation in the middle of a push forgets nothing: the same items are pushed again."""
        while True:
            await self._arrived.wait()
            if not (self._hurry.is_set() or self._bytes >= MAX_BATCH_BYTES):
                await self._clock.sleep(self._patience())
            self._pushed_ns = self._clock.monotonic_ns()
            try:
                with enough_memory():
                    await self._push(self._next_batch())
            except IntakeError as error:
                self.is_short = isinstance(error, OutOfMemoryError)
                await self._wait_after(error)
            else:
                self.is_short = False
                self._backoff.reset()

    def _patience(self) -> float:
        """Seconds from the arrival of a result to its push."""
        if self._pushed_ns is None:
            return self._gather
        return max(self._gather, self._apart - (self._clock.monotonic_ns() - self._pushed_ns) / 1e9)

    async def flush(self) -> None:
        """Return when nothing waits any more; from now on batches do not gather, and nothing backs off for long."""
        self._hurry.set()
        await self._emptied.wait()

    def _next_batch(self) -> list[ResultItem]:
        batch: list[ResultItem] = []
        size = 0
        for item in self._waiting.values():
            size += len(item.outcome)
            if batch and (size > MAX_BATCH_BYTES or len(batch) >= MAX_BATCH_ITEMS):
                break
            batch.append(item)
        return batch

    async def _push(self, batch: Sequence[ResultItem]) -> None:
        try:
            reply = await self._intake.push(batch)
        except IntakeError as error:
            match error.reaction:
                case Reaction.SPLIT if len(batch) > 1:
                    middle = len(batch) // 2
                    await self._push(batch[:middle])
                    await self._push(batch[middle:])
                case Reaction.SPLIT:
                    await self._push_smaller(batch[0], error)
                case Reaction.REFUSED if len(batch) == 1:
                    await self._put_aside(batch[0], "refused", error.reason)
                case Reaction.REFUSED:
                    # One bad item must not hold up its neighbours: find it by pushing each alone.
                    for item in batch:
                        await self._push([item])
                case _:
                    raise
        else:
            await self._settle(reply)
            if all(item.result in self._waiting for item in batch):
                raise IntakeError("the reply says nothing of what was pushed", reaction=Reaction.RETRY)

    async def _push_smaller(self, item: ResultItem, error: IntakeError) -> None:
        """Push *item* alone with a smaller outcome: 413 for a single result. The whole one waits here until a reply has it."""
        outcome = self._shrink(bytes(item.outcome))
        if outcome is not None:
            await self._push([msgspec.structs.replace(item, outcome=msgspec.Raw(outcome))])
        elif error.signed:
            whole = self._waiting[item.result]
            await self._put_aside(whole, "too_large", "larger than the control plane takes, even alone")
        else:  # whoever refused this may not make us forget it; but the others go first
            self._waiting[item.result] = self._waiting.pop(item.result)
            raise IntakeError(error.reason, reaction=Reaction.RETRY, status=error.status, signed=False) from error

    async def _settle(self, reply: ResultsReply) -> None:
        log.debug(
            "pushed: %d results accepted, %d known already, %d superseded, %d rejected",
            *map(len, (reply.accepted, reply.duplicate, reply.superseded, reply.rejected)),
            extra={"action": "push", "waiting": self.waiting},
        )
        for outcome in ("accepted", "duplicate", "superseded"):
            for result in getattr(reply, outcome):
                if self._forget(result):
                    self._on_delivery(Delivery(result, outcome))
        for rejection in reply.rejected:
            item = self._waiting.get(rejection.result)
            if item is not None:
                await self._put_aside(item, "rejected", rejection.reason)

    async def _put_aside(self, item: ResultItem, outcome: str, reason: str) -> None:
        log.error(
            "a result of job %s was not taken (%s) and is %s",
            item.job,
            reason,
            await self._write_aside(item),
            extra={"action": "result_" + outcome, "job": item.job, "result": item.result, "reason": reason},
        )
        self._forget(item.result)
        self._on_delivery(Delivery(item.result, outcome))

    async def _write_aside(self, item: ResultItem) -> str:
        """Set *item* aside where there is a place for it; the words for what became of it."""
        if self._set_aside is None:
            return LOST
        payload = messages.encode(Results(reported_at=0, results=(item,)))
        try:
            place = await self._set_aside(item.result, self._intake.seal(payload))
        except OSError as error:
            if isinstance(error, TimeoutError) and error.errno is None:  # not a disk's own, which has failed
                return "set aside when the disk goes on, which hangs"
            log.exception("cannot write to the spool directory", extra={"action": "spool_failed", "errno": error.errno})
            return LOST
        except RuntimeError as error:  # no thread can be started
            raise OutOfMemoryError(str(error), reaction=Reaction.RETRY) from error
        return f"set aside as {place}" if place else LOST

    def _forget(self, result: str) -> bool:
        item = self._waiting.pop(result, None)
        if item is None:
            return False
        del self._since_ns[result]
        if self._of_job.get(item.job) == result:
            del self._of_job[item.job]
        self._bytes -= len(item.outcome)
        self._journal.done(result)
        if not self._waiting:
            self._arrived.clear()
            self._emptied.set()
        return True

    async def _wait_after(self, error: IntakeError) -> None:
        wait = self._backoff.next(error.retry_after, at_least=error.wait_at_least)
        log.warning(
            "cannot push %d results: %s; trying again in %.1f s",
            self.waiting,
            error.reason,
            wait,
            extra={"action": "push_failed", "waiting": self.waiting, "status": error.status, "code": error.code},
        )
        await first_of(self._clock.sleep(min(wait, HURRIED) if self._hurry.is_set() else wait), self._hurried())

    async def _hurried(self) -> None:
        """Return when a hurry begins: never, where it has begun already."""
        if self._hurry.is_set():
            await asyncio.Event().wait()
        await self._hurry.wait()
