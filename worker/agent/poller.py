"""The loop that asks for work: reserve, then fetch; once a second, and at once while more is due and slots are free.

A pull is also the heartbeat that keeps leases alive, so it goes on with zero slots while the worker is full, draining, or in
trouble. A batch that cannot be opened makes the worker `degraded` and take nothing but, now and then, one job to try again:
a worker with a wrong key must not drain its location.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from worker.agent.first import first_of
from worker.agent.inflight import InFlight, starts_after
from worker.agent.outbox import Outbox
from worker.agent.slots import Slots
from worker.clock import Clock
from worker.intake.backoff import Backoff
from worker.intake.transport import (
    MAX_SIGNINGS,
    TIMEOUT,
    IntakeError,
    OutOfMemoryError,
    UnreadableBatch,
    enough_memory,
)
from worker.text import counted
from worker.wire.messages import MAX_LEASES, VERSION, Jobs, Pull

log = logging.getLogger(__name__)

COALESCE = 0.02
"""Seconds between a slot's becoming free and the pull for it while more is due: one reply then fills several slots."""
LONGEST_WAIT = 5.0
"""Seconds between pulls that fail: with the time of one exchange below the lease, so that a control plane which was away hears of
what a worker holds before it gives that to others."""
UNREADABLE_PAUSE = 5.0
"""Seconds at the least without work after a batch that cannot be opened; then one job is asked for, to try again."""


class Puller(Protocol):
    """The part of the intake that this module needs."""

    async def pull(self, message: Pull) -> Jobs: ...


class Cadence(Struct, frozen=True, kw_only=True):
    """*interval* seconds between pulls; *at_most* jobs a pull (`maxNumberMessagesToFetch`).

    *busy* are the seconds from a reply with several jobs to the next pull while more are due; after a single one `COALESCE`.
    """

    interval: float
    at_most: int
    busy: float = COALESCE


@dataclass(slots=True)
class PullCounts:
    """Counts of pulls since the start, by their end, for `/metrics`."""

    answered: int = 0
    failed: int = 0
    unreadable: int = 0


class Poller:
    """Pulls until cancelled; `drain` makes it a mere heartbeat. *trouble* names a reason to take no work, or None.

    *backoff* is for pulls that fail, *unreadable* for batches that cannot be opened.
    """

    def __init__(
        self,
        intake: Puller,
        inflight: InFlight,
        outbox: Outbox,
        slots: Slots,
        clock: Clock,
        *,
        cadence: Cadence,
        keys: tuple[str, ...],
        agent: str,
        host: str = "",
        backoff: Backoff,
        unreadable: Backoff,
        trouble: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._intake = intake
        self._inflight = inflight
        self._outbox = outbox
        self._slots = slots
        self._clock = clock
        self._cadence = cadence
        self._keys = keys
        self._agent = agent
        self._host = host
        self._backoff = backoff
        self._unreadable = unreadable
        self._trouble = trouble
        self._unreadable_until_ns = 0
        self._is_short = False
        self._starting = 0.0
        self._came = 0
        """Jobs in the last reply."""
        self._connected = False
        self._failing_since_ns = 0
        self._first = True
        self._draining = False
        self._drain_begins = asyncio.Event()
        self.counts = PullCounts()
        self.quiet_until_ns = clock.monotonic_ns()
        """Until this monotonic time silence of the loop is as planned; beyond it the loop hangs."""

    @property
    def draining(self) -> bool:
        return self._draining

    def drain(self) -> None:
        """Take no more jobs from now on; keep reporting in."""
        self._draining = True
        self._drain_begins.set()

    async def run(self) -> None:
        """Pull until cancelled."""
        while True:
            started_ns = self._clock.monotonic_ns()
            self._expect_silence(TIMEOUT * MAX_SIGNINGS)
            try:
                more = await self.pull_once()
            except IntakeError as error:
                self._is_short = isinstance(error, OutOfMemoryError)
                await self._wait_after(error)
            else:
                self._is_short = False
                self._say_connected()
                self._backoff.reset()
                await self._wait_for_next(started_ns, more=more)

    async def pull_once(self) -> bool:
        """One exchange; returns whether more is due. Slots are taken before it, and those that it did not fill are free
        again after it, come what may. Raises IntakeError.
        """
        with enough_memory():
            return await self._pull()

    async def _pull(self) -> bool:
        wanted, degraded = self._wanted()
        finished = self._outbox.leases
        holding = (*self._inflight.leases, *finished)
        taken = self._slots.take(wanted)
        used = 0
        # All of them together fit one pull; the next ones name the rest.
        release = self._inflight.given_back[: max(1, MAX_LEASES - len(holding))]
        message = Pull(
            version=VERSION,
            agent=self._agent,
            host=self._host,
            concurrency=self._slots.size,
            free_slots=taken,
            holding=holding[:MAX_LEASES],
            finished=finished[:MAX_LEASES],
            release=release,
            keys=self._keys,
            draining=self._draining,
            degraded=degraded,
            restarted=self._first,
        )
        self._first = False
        try:
            jobs = await self._intake.pull(message)
            self._inflight.forget_given_back(release)
            taken = self._slots.redeem(taken)
            used = self._take_in(jobs, taken)
            log.debug(
                "pulled: asked for %d jobs, holding %d leases, and got %d",
                taken,
                len(holding),
                len(jobs.jobs),
                extra={
                    "action": "pull",
                    "wanted": taken,
                    "holding": len(holding),
                    "released": len(release),
                    "jobs": len(jobs.jobs),
                    "cancelled": len(jobs.cancel),
                    "more": jobs.more,
                    "degraded": degraded,
                },
            )
            return jobs.more
        except UnreadableBatch as error:
            self._inflight.forget_given_back(release)
            self._pause_taking(error)
            return False
        finally:
            self._slots.release(self._slots.redeem(taken) - used)

    def _wanted(self) -> tuple[int, str | None]:
        """The number of jobs to ask for, and the reason if it is none."""
        if self._draining:
            return 0, None
        # Whatever is taken must be named until a reply has its result, or be given back.
        room = MAX_LEASES - self._inflight.running - self._outbox.waiting - len(self._inflight.given_back)
        undelivered = room <= 0 or self._outbox.is_full or self._outbox.is_late
        trouble = "outbox" if undelivered else self._short() or self._trouble()
        if trouble:
            return 0, trouble
        if not self._unreadable.failures:
            return min(room, self._cadence.at_most), None
        if self._clock.monotonic_ns() < self._unreadable_until_ns:
            return 0, "decryption"
        return 1, None

    def _short(self) -> str | None:
        """`memory` where the last exchange failed for want of it: the next one asks for nothing, and shows if there is enough."""
        return "memory" if self._is_short or self._outbox.is_short else None

    def _take_in(self, jobs: Jobs, slots: int) -> int:
        self.counts.answered += 1
        if jobs.jobs:
            self._unreadable.reset()
        self._came = len(jobs.jobs)
        used = self._inflight.start(jobs.jobs, 0 if self._draining else slots)
        self._starting = starts_after(used, len(jobs.jobs))
        self._inflight.cancel(jobs.cancel)
        return used

    def _pause_taking(self, error: Exception) -> None:
        self.counts.unreadable += 1
        wait = UNREADABLE_PAUSE + self._unreadable.next()
        self._unreadable_until_ns = self._clock.monotonic_ns() + round(wait * 1e9)
        log.error(
            "cannot open what the control plane sent: %s; is this worker's private key the location's? "
            "taking no work for %.0f s",
            error,
            wait,
            extra={"action": "batch_unreadable", "reason": str(error)},
        )

    async def _wait_for_next(self, started_ns: int, *, more: bool) -> None:
        passed = (self._clock.monotonic_ns() - started_ns) / 1e9
        pause = max(0.0, self._cadence.interval - passed)
        if more and not self._draining:
            # Not before the last of this batch is under way: one pull for few slots costs as much as one for many.
            await self._pause(self._starting)
            coalesce = self._cadence.busy if self._came > 1 else COALESCE
            self._expect_silence(pause + coalesce)
            await first_of(self._slots.wait_for_free(), self._drain_begins.wait(), self._clock.sleep(pause))
            await self._clock.sleep(coalesce)
        else:
            await self._pause(pause)

    def _say_connected(self) -> None:
        """One line at the first answer, and one when answers come again: silence otherwise looks like neither."""
        failures = self._backoff.failures
        if self._connected and not failures:
            return
        seconds = (self._clock.monotonic_ns() - self._failing_since_ns) / 1e9
        log.info(
            "connected%s: the control plane answers, and its signature holds%s",
            " again" if self._connected else "",
            f" (after {counted(failures, 'failed pull')} in {seconds:.0f} s)" if failures else "",
            extra={"action": "reconnected" if self._connected else "connected", "failures": failures},
        )
        self._connected = True

    async def _wait_after(self, error: IntakeError) -> None:
        self.counts.failed += 1
        if not self._backoff.failures:
            self._failing_since_ns = self._clock.monotonic_ns()
        wait = self._backoff.next(error.retry_after, at_least=error.wait_at_least)
        log.warning(
            "cannot pull: %s; trying again in %.1f s",
            error.reason,
            wait,
            extra={
                "action": "pull_failed",
                "status": error.status,
                "code": error.code,
                "failures": self._backoff.failures,
            },
        )
        await self._pause(wait)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but no longer than until a drain begins: the control plane should hear of it at once."""
        self._expect_silence(seconds)
        if self._draining:
            await self._clock.sleep(seconds)
        else:
            await first_of(self._drain_begins.wait(), self._clock.sleep(seconds))

    def _expect_silence(self, seconds: float) -> None:
        self.quiet_until_ns = self._clock.monotonic_ns() + round(seconds * 1e9)
