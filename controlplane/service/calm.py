"""Calm pulls: heartbeats of runners for whom nothing has changed, one update each, many of them in one transaction.

What the last whole pull of an instance found is remembered for as long as no table changes that it went by, and goes for a pull
that says the same. Whether it does is decided with the database's lock in hand; whatever is not calm is a whole pull (`tasks`).
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.errors import DatabaseError, SequenceError
from controlplane.leases import Grace
from controlplane.service import attendance
from controlplane.service.attendance import KEY_AGE_MS, Attendance, RunnerCaller
from controlplane.store import runnerrequests, runners
from controlplane.store.database import Database
from controlplane.store.runnertables import runner_instances, runner_reports
from controlplane.store.tables import action_tasks
from controlplane.store.versions import MemoryKind, Stamp
from worker.clock import Clock
from worker.wire.runner_messages import RunnerPull

PATIENCE_SECONDS = 0.25
"""The wait of a heartbeat for others to be written with: a runner waits for tasks much longer, and whoever has one hurries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalmStanding:
    """The answer to an instance's last whole pull, which *said* so much; from *until* on a runner is asked for new keys."""

    answer: Attendance
    said: tuple[Any, ...]
    until: int


STANDINGS: MemoryKind[tuple[str, str], CalmStanding] = MemoryKind(
    (*runners.CALLERS.tables, runner_instances, runner_reports, action_tasks), most=10_000
)
"""By runner and instance, with all tables that a whole pull goes by: the sightings of other instances matter to none of these."""


async def pull(
    database: Database, clock: Clock, grace: Grace, caller: RunnerCaller, message: RunnerPull
) -> tuple[int, Attendance] | None:
    """Record the heartbeat of a calm instance: the moment, and what answers it. None where only a whole pull can tell.

    Raises SequenceError.
    """
    known = database.versions.memory(STANDINGS)
    place = (caller.runner.id, caller.proof.instance)
    if known.recall(place) is None or not _is_calm(message):
        return None

    def begin(connection: AsyncConnection) -> Coroutine[Any, Any, tuple[int, Attendance] | None]:
        now = epoch.milliseconds(clock)
        grace.expiry(now)
        standing = known.recall(place)
        current = database.versions.memory(runners.CALLERS).stamp() == caller.seen
        if standing is None or not current or standing.said != _said(message) or now >= standing.until:
            return _nothing()
        return _hear(connection, caller, message, standing.answer, now)

    patience = min(PATIENCE_SECONDS, message.wait_ms / 1000)
    try:
        return await database.share(begin, location=caller.runner.id, weight=1, patience=patience)
    except DatabaseError:
        grace.interrupted()
        raise


def remember(database: Database, caller: RunnerCaller, message: RunnerPull, answer: Attendance, stamp: Stamp) -> None:
    """Keep what a whole pull found since *stamp*, nothing to do and nothing to tell, if the next one may go by it.

    Of a runner that may have several instances the time alone tells when there are too many.
    """
    current = database.versions.memory(runners.CALLERS).stamp() == caller.seen
    told = answer.keyset is not None or answer.rotate or answer.send_details or answer.refusal is not None
    if told or not current or caller.runner.instances > 1 or answer.epoch != message.epoch or not _is_calm(message):
        return
    until = (caller.runner.enrolled_at or 0) + KEY_AGE_MS
    standing = CalmStanding(answer=answer, said=_said(message), until=until)
    database.versions.memory(STANDINGS).keep((caller.runner.id, caller.proof.instance), standing, stamp)


def _is_calm(message: RunnerPull) -> bool:
    return not (message.holding or message.release or message.previous or message.details)


def _said(message: RunnerPull) -> tuple[Any, ...]:
    """All that a whole pull judges by, but for what it holds."""
    return (message.epoch, message.after, message.foreign, message.keyset, message.report)


async def _nothing() -> None:
    return None


async def _hear(
    connection: AsyncConnection, caller: RunnerCaller, message: RunnerPull, answer: Attendance, now: int
) -> tuple[int, Attendance] | None:
    last = await runnerrequests.hear(connection, attendance.heard(caller, message, now))
    if last == runnerrequests.UNKNOWN:
        return None
    if last is not None:
        raise SequenceError(last)
    return now, answer
