"""Jobs under way in this worker: one named task each, one slot each, and the leases that they are run under.

What is cut short by a drain is given back by its lease; what the control plane cancels is dropped. A job that is delivered
again while it runs here is not run twice: it goes on under the newer lease.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence

import msgspec

from worker.agent.outbox import Outbox
from worker.agent.slots import Slots
from worker.agent.work import Work
from worker.clock import Clock
from worker.wire.identifiers import timed_uuid
from worker.wire.messages import Job, ResultItem

log = logging.getLogger(__name__)

TOGETHER = 50
"""Jobs of one batch that start at once: some ten milliseconds of the loop. All of a thousand at once would keep everything else
waiting for a tenth of a second. Fewer would cost more processor time, a wake-up for each job.
"""
APART = 0.01
"""Seconds between such groups."""
SPREAD = 0.9
"""Seconds within which all jobs of a batch are started, however many: before the next pull brings more."""


def starts_after(position: int, jobs: int) -> float:
    """Seconds after its batch of *jobs* at which the one at *position* (from 0) starts."""
    return position // TOGETHER * min(APART, SPREAD * TOGETHER / max(TOGETHER, jobs))


class InFlight:
    """Jobs in *group*, each in a slot that its caller has taken; the slot is free again when the result is queued.

    *work* may still be in the making: jobs that come earlier wait for it, and their own time has not begun.
    """

    def __init__(
        self,
        work: asyncio.Future[Work],
        *,
        slots: Slots,
        outbox: Outbox,
        clock: Clock,
        group: asyncio.TaskGroup,
    ) -> None:
        self._work = work
        self._clock = clock
        self._slots = slots
        self._outbox = outbox
        self._group = group
        self._jobs: dict[asyncio.Task[ResultItem | None], str] = {}
        self._leases: dict[str, str] = {}
        self._given_back: set[str] = set()
        self._unwanted: set[str] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def running(self) -> int:
        return len(self._jobs)

    @property
    def leases(self) -> tuple[str, ...]:
        """The leases of what runs now."""
        return tuple(self._leases.values())

    @property
    def given_back(self) -> tuple[str, ...]:
        """Leases to release with the next pull; `forget_given_back` once a signed reply has confirmed them."""
        return tuple(self._given_back)

    def forget_given_back(self, leases: Iterable[str]) -> None:
        self._given_back.difference_update(leases)

    def give_back(self, lease: str) -> None:
        """Return a lease that was never started."""
        self._given_back.add(lease)
        _tell("lease_returned", "lease %s goes back unstarted", lease=lease)

    def start(self, jobs: Sequence[Job], slots: int) -> int:
        """Start up to *slots* jobs, a little apart, give back the rest; returns how many of the slots are in use now."""
        used = 0
        for job in jobs:
            if job.job in self._leases:
                self._leases[job.job] = job.lease
                _tell("lease_renamed", "job %s goes on under a newer lease", job=job.job)
            elif self._outbox.readdress(job.job, job.lease):
                _tell("lease_renamed", "the result of job %s, which waits, goes under a newer lease", job=job.job)
            elif used == slots:
                self.give_back(job.lease)
            else:
                self._start_one(job, starts_after(used, len(jobs)))
                used += 1
        return used

    def _start_one(self, job: Job, delay: float) -> None:
        self._leases[job.job] = job.lease
        _tell("lease_taken", "job %s starts", job=job.job)
        self._idle.clear()
        running = self._run(job, delay, received_ns=self._clock.monotonic_ns())
        task = self._group.create_task(running, name=f"job {job.job}")
        self._jobs[task] = job.job
        # A callback and not a `finally`: a task that is cancelled before its first step never enters its coroutine.
        task.add_done_callback(self._done)

    async def _run(self, job: Job, delay: float, *, received_ns: int) -> ResultItem | None:
        """The result of *job*; None where memory ran out before it was one."""
        # Shielded: a job that is cancelled while it waits must not cancel what all others wait for.
        work = self._work.result() if self._work.done() else await asyncio.shield(self._work)
        if delay:
            await self._clock.sleep(delay)
        try:
            outcome = await work.run(job, received_ns)
        except MemoryError:
            log.error("no memory for the result of job %s", job.job, extra={"action": "out_of_memory", "job": job.job})  # noqa: TRY400
            return None
        ended = round(self._clock.now().timestamp() * 1000)
        return ResultItem(result=timed_uuid(ended), job=job.job, lease=job.lease, outcome=msgspec.Raw(outcome))

    def _done(self, task: asyncio.Task[ResultItem | None]) -> None:
        job = self._jobs.pop(task)
        lease = self._leases.pop(job)
        self._slots.release()
        if task.cancelled():
            if job not in self._unwanted:
                self._given_back.add(lease)
                _tell("lease_returned", "job %s was cut short, and its lease goes back", job=job)
        elif task.exception() is None:
            item = task.result()
            if item is None:
                self._given_back.add(lease)
            else:
                self._outbox.put(item if item.lease == lease else msgspec.structs.replace(item, lease=lease))
        self._unwanted.discard(job)
        if not self._jobs:
            self._idle.set()

    def cancel(self, leases: Iterable[str]) -> None:
        """Stop runs that the control plane no longer wants; they yield no result."""
        wanted = set(leases)
        for task, job in tuple(self._jobs.items()):
            if self._leases[job] in wanted:
                self._unwanted.add(job)
                task.cancel()
                log.info(
                    "run of job %s cancelled by the control plane", job, extra={"action": "job_cancelled", "job": job}
                )

    async def wait_idle(self) -> None:
        await self._idle.wait()

    async def cut_short(self) -> int:
        """Cancel everything that still runs and wait for the end of it; returns how many leases are given back."""
        tasks = tuple(self._jobs)
        for task in tasks:
            task.cancel()
        await self._idle.wait()
        return len(tasks)


def _tell(action: str, text: str, **of: str) -> None:
    """Write a change of a lease into the log's details; *of* is the job or the lease, by that name."""
    log.debug(text, *of.values(), extra={"action": action, **of})
