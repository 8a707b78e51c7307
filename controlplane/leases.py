"""Leases: the worker that holds a job, until when, and the end of a job that nobody holds. Decisions on values: no clock, no IO.

A job is held as long as its worker is seen and says that it holds it; a pull renews everything at once, because it moves the
worker's `last_seen`. There is no row and no write per lease: a lease's name is the job's and the number of its delivery.

An expired lease ends renewal, not acceptance. A job that nobody holds is offered again until its period has ended or
`MAX_FAILED` deliveries of it failed; then it is written down as lost (workers that had it fell silent) or missed (it came back).
A delivery fails where its worker falls silent, or cannot open it. One that its worker gave back, or that never reached a worker
which lives, has not failed: however many workers drain one after another, and however many replies are lost, none of their jobs
is. A true result that comes later still replaces that note: only another lease's result supersedes one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from threading import Lock

LEASE_TTL = 15_000
"""Milliseconds without a pull after which a worker's jobs are offered to others: fifteen pulls, more than one time-out."""

MAX_FAILED = 3
"""A job that three workers took and did not answer for is more likely to be their end than their victim."""

MAX_DELIVERIES = 100
"""However they ended: what a `delivery` on the wire can count to. A rolling upgrade gives a job back once for each worker."""

STALL = 5_000
"""Milliseconds without a heartbeat that could be recorded after which the control plane itself was away: it was stopped, its
database was locked, or its clock was set. The sweep takes its turn each second."""

DECRYPTION = "decryption"
"""The `degraded` of a worker that cannot open what it is given."""


def lease_of(job: str, delivery: int) -> str:
    return f"{job}.{delivery}"


def read_lease(lease: str) -> tuple[str, int] | None:
    """The job and the delivery that a lease names, None where it is not a lease of ours."""
    job, dot, delivery = lease.rpartition(".")
    if not dot or not job or not delivery.isascii() or not delivery.isdecimal() or len(delivery) > 3:
        return None
    return job, int(delivery)


def ended(finished: Collection[str]) -> frozenset[str]:
    """The jobs whose runs a worker has ended, by the leases that it names as *finished*."""
    return frozenset(named[0] for lease in finished if (named := read_lease(lease)) is not None)


def is_lease_of(lease: str, job: str, deliveries: int) -> bool:
    """Tell if *lease* was ever given out for *job*, which was delivered *deliveries* times."""
    named = read_lease(lease)
    return named is not None and named[0] == job and 1 <= named[1] <= deliveries


class Grace:
    """Nothing expires for one lease's time after heartbeats could not be recorded: a start, a stall, a clock that was set, a
    database that was locked or full.

    Times are wall-clock milliseconds. To be asked inside of a transaction that may write, at least every few seconds: then a
    database that made everybody wait is noticed as an absence too. The thread of the writer asks, and the loop tells.
    """

    def __init__(self, now: int) -> None:
        self._since = now
        self._last: int | None = now
        self._lock = Lock()

    def expiry(self, now: int) -> int:
        """A worker last seen before this moment no longer holds its jobs; 0 while nothing expires."""
        with self._lock:
            if self._last is None or not 0 <= now - self._last <= STALL:
                self._since = now
            self._last = now
        return now - LEASE_TTL if now - self._since >= LEASE_TTL else 0

    def interrupted(self) -> None:
        """Note that a heartbeat could not be recorded: whose worker it was must not be taken for silent."""
        with self._lock:
            self._last = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedJob:
    """An open job as it stands: its *delivery* is the newest, and *released* of them all came back without having failed.

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
    """Jobs that a pull shows to be with its worker no longer: handed back by name, or missing from what it holds.

    *failed* says that the latter count as failed deliveries.
    """

    released: tuple[str, ...]
    unanswered: tuple[str, ...]
    failed: bool


def returned(
    given: Collection[tuple[str, int]],
    *,
    holding: Collection[str],
    release: Collection[str],
    degraded: str | None = None,
    restarted: bool = False,
) -> Returned:
    """Compare what a worker was *given* (job, delivery) with what its pull says.

    A worker has one pull in flight, with a newer number than every pull answered before: so *holding* is complete with
    regard to all replies given so far, and a job that is missing from it was lost on the way. That fails nobody, as the worker
    lives; unless it could not open the job, or is the successor of a process that died with it.
    """
    held, back = frozenset(holding), frozenset(release)
    leases = {lease_of(job, delivery): job for job, delivery in given}
    return Returned(
        released=tuple(job for lease, job in leases.items() if lease in back),
        unanswered=tuple(job for lease, job in leases.items() if lease not in back and lease not in held),
        failed=restarted or degraded == DECRYPTION,
    )
