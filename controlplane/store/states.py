"""The newest run of each test at each location, kept beside its next one, so that nobody searches results for it.

Runs that somebody asked for say nothing of it: they bring definitions of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, case, func, null, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.prepared import Prepared
from controlplane.store.tables import assignments

_SET = Prepared(
    update(assignments)
    .where(assignments.c.test_id == bindparam("test"), assignments.c.location_id == bindparam("location"))
    .values(
        last_status=bindparam("status"),
        last_at=bindparam("at"),
        last_duration_ms=func.coalesce(bindparam("duration"), assignments.c.last_duration_ms),
        seen_at=case(
            (bindparam("seen") > func.coalesce(assignments.c.seen_at, 0), bindparam("seen")),
            else_=assignments.c.seen_at,
        ),
        job_id=case((assignments.c.job_id == bindparam("job"), null()), else_=assignments.c.job_id),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """A scheduled run that is decided: its *status*, noted *at*. *duration_ms* is None where it did not take place.

    *job* is the one that the test's next run waits for no longer, None where somebody else sees to that. *result* is the id of
    the result that decides, *scheduled_at* the moment for which the run was scheduled. *code* and *message* are its failure's,
    empty where there is none; *unhealthy* names the probes' own trouble, of a missed run the reason; empty without any.
    """

    test: str
    location: str
    status: str
    at: int
    job: str | None = None
    duration_ms: float | None = None
    result: str = ""
    scheduled_at: int | None = None
    code: str = ""
    message: str = ""
    unhealthy: str = ""

    @property
    def seen_at(self) -> int | None:
        """The moment for which the run was scheduled, if it says anything of the target; one that lies ahead is now.

        A run that was missed says nothing, nor does one that failed while its worker was in trouble.
        """
        if self.status == "missed" or (self.status == "failed" and self.unhealthy):
            return None
        return self.at if self.scheduled_at is None else min(self.scheduled_at, self.at)


async def put(connection: AsyncConnection, ended: Iterable[RunEnd]) -> None:
    """Write down what is newest now; of several of one test the last one. What is assigned no more is passed over."""
    rows = [
        {
            "test": one.test,
            "location": one.location,
            "status": one.status,
            "at": one.at,
            "job": one.job,
            "duration": one.duration_ms,
            "seen": one.seen_at or 0,
        }
        for one in ended
    ]
    await _SET.each(connection, rows)
