"""Leases: the worker that holds a job, until when, and the end of a job that nobody holds. Decisions on values: no clock, no IO.

A job is held as long as its worker is seen and says that it holds it; a pull renews everything at once, because it moves the
worker's `last_seen`. There is no row and no write per lease: a lease's name is the job's and the number of its delivery.

An expired lease ends renewal, not acceptance. A job that nobody holds is offered again until its period has ended or
`MAX_FAILED` deliveries of it were not answered; then it is written down as lost (it was given to workers that never answered) or
missed (it was given back). A delivery that its worker gave back has not failed: however many workers drain one after another,
none of their jobs is lost. A true result that comes later still replaces that note: only another lease's result supersedes one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

LEASE_TTL = 15_000
"""Milliseconds without a pull after which a worker's jobs are offered to others: fifteen pulls, more than one time-out."""

MAX_FAILED = 3
"""A job that three workers took and did not answer for is more likely to be their end than their victim."""

MAX_DELIVERIES = 100
"""However they ended: what a `delivery` on the wire can count to. A rolling upgrade gives a job back once for each worker."""

STALL = 5_000
"""Milliseconds without a look at the clock after which the control plane itself was away: stopped, or its clock set."""


def lease_of(job: str, delivery: int) -> str:
    return f"{job}.{delivery}"


def read_lease(lease: str) -> tuple[str, int] | None:
    """The job and the delivery that a lease names, None where it is not a lease of ours."""
    job, dot, delivery = lease.rpartition(".")
    if not dot or not job or not delivery.isascii() or not delivery.isdecimal() or len(delivery) > 3:
        return None
    return job, int(delivery)


def is_lease_of(lease: str, job: str, deliveries: int) -> bool:
    """Tell if *lease* was ever given out for *job*, which was delivered *deliveries* times."""
    named = read_lease(lease)
    return named is not None and named[0] == job and 1 <= named[1] <= deliveries


class Grace:
    """Nothing expires for one lease's time after the control plane could not be reached: a start, a stall, a clock that was set.

    Times are wall-clock milliseconds. To be asked at least every few seconds, so that an absence is noticed.
    """

    def __init__(self, now: int) -> None:
        self._since = now
        self._last = now

    def expiry(self, now: int) -> int:
        """A worker last seen before this moment no longer holds its jobs; 0 while nothing expires."""
        if not 0 <= now - self._last <= STALL:
            self._since = now
        self._last = now
        return now - LEASE_TTL if now - self._since >= LEASE_TTL else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedJob:
    """An open job as it stands: its *delivery* is the newest, and *released* of them all were given back by name.

    *worker* is None where nobody has it; *worker_seen* is its last pull, if known.
    """

    id: str
    until: int
    delivery: int
    released: int
    worker: str | None
    worker_seen: int | None


class JobState(Enum):
    """The state of an open job: held by a worker, offered to all, or at its end without a result."""

    HELD = "held"
    OFFERED = "offered"
    LOST = "lost"
    MISSED = "missed"


def state(job: LeasedJob, *, now: int, expiry: int) -> JobState:
    """Decide the state of *job*. *expiry* is `Grace.expiry`: a worker that was seen at or after it holds what it has."""
    if job.worker is not None and job.worker_seen is not None and job.worker_seen >= expiry:
        return JobState.HELD
    if job.worker is not None and job.worker_seen is None and expiry == 0:
        return JobState.HELD
    if job.delivery - job.released >= MAX_FAILED:
        return JobState.LOST
    if now >= job.until or job.delivery >= MAX_DELIVERIES:
        return JobState.LOST if job.worker is not None else JobState.MISSED
    return JobState.OFFERED


@dataclass(frozen=True, slots=True)
class Returned:
    """Jobs that a pull shows to be with its worker no longer: handed back by name, or missing from what it holds."""

    released: tuple[str, ...]
    unanswered: tuple[str, ...]


def returned(given: Collection[tuple[str, int]], *, holding: Collection[str], release: Collection[str]) -> Returned:
    """Compare what a worker was *given* (job, delivery) with what its pull says.

    A worker has one pull in flight, with a newer number than every pull answered before: so *holding* is complete with
    regard to all replies given so far, and a job that is missing from it was lost on the way, or dropped.
    """
    held, back = frozenset(holding), frozenset(release)
    leases = {lease_of(job, delivery): job for job, delivery in given}
    return Returned(
        released=tuple(job for lease, job in leases.items() if lease in back),
        unanswered=tuple(job for lease, job in leases.items() if lease not in back and lease not in held),
    )
