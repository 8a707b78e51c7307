"""The jobs of one pull: take back what is not there, give out what is due. `leases` and `schedule` decide."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Integer, Select, bindparam, exists, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import leases
from controlplane.leases import JobState
from controlplane.schedule import FARTHEST, Timetable, following, start_before
from controlplane.store import runs, triggered
from controlplane.store.prepared import Prepared
from controlplane.store.tables import assignments, jobs, results, tests, workers
from controlplane.store.versions import UNNOTED, MemoryKind
from controlplane.turns import Waiting, in_turn
from worker.wire.identifiers import timed_uuid
from worker.wire.messages import Pull

MOST_UNKNOWN = 500
"""Leases that a worker holds and does not have, of one pull: results that others delivered first come in handfuls."""
LONGEST_TURN = 3600 * 1000
"""Milliseconds for which it matters when a test was served last: whoever asks for runs waits no longer for them."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A job given to a worker. *definition* is the test's JSON text, *attempt* the number of this execution of the run.

    *since* is the moment from which it waited for its turn.
    """

    job: str
    test: str
    since: int
    delivery: int
    scheduled_at: int
    until: int
    definition: str
    attempt: int = 1

    @property
    def name(self) -> str:
        return leases.lease_of(self.job, self.delivery)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taker:
    """A worker that asks for at most *jobs* jobs whose definitions have at most *characters* together (one always fits)."""

    location: str
    worker: str
    jobs: int
    characters: int


_HELD = Prepared(
    select(jobs.c.id, jobs.c.delivery, jobs.c.until, jobs.c.test_id, assignments.c.job_id.label("current"))
    .outerjoin(
        assignments, (assignments.c.test_id == jobs.c.test_id) & (assignments.c.location_id == jobs.c.location_id)
    )
    .where(jobs.c.location_id == bindparam("here"), jobs.c.worker == bindparam("holder"), jobs.c.closed.is_(None))
)
_freed = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"), jobs.c.worker == bindparam("holder"), jobs.c.closed.is_(None))
    .values(worker=None)
)
_FREE_LOST, _FREE_RELEASED = Prepared(_freed), Prepared(_freed.values(released=jobs.c.released + 1))
_here = assignments.c.location_id == bindparam("here")
_LET_GO_ON = Prepared(update(assignments).where(assignments.c.test_id == bindparam("test"), _here).values(job_id=None))
_ENDED = Prepared(
    select(jobs.c.id, jobs.c.closed, results.c.lease)
    .outerjoin(results, results.c.job_id == jobs.c.id)
    .where(
        jobs.c.location_id == bindparam("here"),
        jobs.c.id.in_(bindparam("asked", expanding=True)),
        jobs.c.closed.in_(("result", "cancelled")),
    )
)


async def given(connection: AsyncConnection, *, location: str, worker: str) -> Sequence[Any]:
    """The open jobs that *worker* has. Read before a pull's transaction: a worker's own pulls come one after another."""
    return await _HELD.rows(connection, here=location, holder=worker)


async def take_back(
    connection: AsyncConnection, rows: Sequence[Any], *, location: str, worker: str, pull: Pull, now: int
) -> leases.Returned:
    """Mark of the jobs that were *given* what the worker released, and what it does not hold, as free for anybody.

    A run that has ended, and whose result the worker cannot deliver, keeps its test's next run waiting no longer than `until`.
    """
    back = leases.returned(
        [(row.id, row.delivery) for row in rows],
        holding=(*pull.holding, *pull.finished),
        release=pull.release,
        degraded=pull.degraded,
        restarted=pull.restarted,
    )
    await _free(connection, worker, back.released, failed=False)
    await _free(connection, worker, back.unanswered, failed=back.failed)
    ended = leases.ended(pull.finished)
    passed = [row.test_id for row in rows if row.current == row.id and row.until <= now and row.id in ended]
    await _let_go_on(connection, location, passed)
    return back


async def _free(connection: AsyncConnection, worker: str, ids: Sequence[str], *, failed: bool) -> None:
    """Free jobs that *worker* still has."""
    statement = _FREE_LOST if failed else _FREE_RELEASED
    await statement.each(connection, [{"job": job, "holder": worker} for job in ids])


async def _let_go_on(connection: AsyncConnection, location: str, passed: Sequence[str]) -> None:
    """Let the next runs of tests begin whose last job is over but for its result; the job stays open for that."""
    await _LET_GO_ON.each(connection, [{"test": test, "here": location} for test in passed])


async def unwanted(
    connection: AsyncConnection, rows: Sequence[Any], *, location: str, holding: Collection[str]
) -> tuple[str, ...]:
    """Leases among *holding* whose run nobody waits for: another lease's result won, or the test is gone.

    What was *given* is open and wanted; of the others one pull looks up `MOST_UNKNOWN` at most, and those after it the rest.
    """
    wanted = {row.id for row in rows}
    named = {lease: job for lease, job in _named(holding) if job not in wanted}
    unknown = dict(islice(named.items(), MOST_UNKNOWN))
    if not unknown:
        return ()
    found = await _ENDED.rows(connection, here=location, asked=sorted(set(unknown.values())))
    winner = {row.id: row.lease for row in found}
    return tuple(lease for lease, job in unknown.items() if job in winner and winner[job] != lease)


def _named(holding: Collection[str]) -> Iterator[tuple[str, str]]:
    for lease in holding:
        if (read := leases.read_lease(lease)) is not None:
            yield lease, read[0]


async def give_out(
    connection: AsyncConnection, taker: Taker, *, now: int, expiry: int
) -> tuple[tuple[Lease, ...], bool]:
    """Lease what is free and due to *taker*, the oldest first; and whether there is more of it."""
    if taker.jobs == 0:
        return (), False
    unheld = await _unheld(connection, taker.location, now=now, expiry=expiry)
    again = [
        Lease(
            job=row.id,
            test=row.test_id,
            since=row.scheduled_at,
            delivery=row.delivery + 1,
            scheduled_at=row.scheduled_at,
            until=row.until,
            definition="",
            attempt=row.attempt,
        )
        for row in await _within_cap(connection, unheld)
        if leases.state(open_job(row), now=now, expiry=expiry) is JobState.OFFERED
    ]
    due = await _due(connection, taker.location, now, limit=taker.jobs + 1)
    fresh = {timed_uuid(now): (row, runs.pace(row)) for row in due}
    first = [
        Lease(
            job=job,
            test=row.test_id,
            since=row.waiting_since,
            delivery=1,
            scheduled_at=row.due_at,
            until=start_before(runs.run(row), timetable),
            definition=row.definition,
        )
        for job, (row, timetable) in fresh.items()
    ]
    offered = sorted([*again, *first], key=lambda lease: lease.since)
    if again and len(offered) > taker.jobs:
        offered = await _in_turn(connection, taker.location, offered, {lease.test for lease in again}, now)
    given = _fitting(await _with_definitions(connection, offered[: taker.jobs]), taker)
    await _give_again(connection, taker, [lease for lease in given if lease.job not in fresh], now)
    await _start(connection, taker, [lease for lease in given if lease.job in fresh], fresh, now)
    return tuple(given), len(given) < len(offered)


async def _in_turn(
    connection: AsyncConnection, location: str, offered: Sequence[Lease], several: Collection[str], now: int
) -> list[Lease]:
    """The leases in the order of their turns. *several* are tests that may have more than one of them."""
    served = await triggered.served(connection, location, several, since=now - LONGEST_TURN)
    queue = [Waiting(lease.test, lease.since) for lease in offered]
    return [offered[index] for index in in_turn(queue, served, now=now)]


def _fitting(offered: Sequence[Lease], taker: Taker) -> list[Lease]:
    """Those of *offered*, in their order, for which *taker* has room."""
    given: list[Lease] = []
    room = taker.characters
    for lease in offered:
        room -= len(lease.definition)
        if given and room < 0:
            break
        given.append(lease)
    return given


async def _within_cap(connection: AsyncConnection, rows: Sequence[Any]) -> Sequence[Any]:
    """*rows* without those triggered ones that are more than may be under way at a time: they wait, the newest of them."""
    asked = sorted((row for row in rows if row.test_name is not None), key=lambda row: int(row.scheduled_at))
    room = await triggered.room(connection) if asked else None
    if room is None:
        return rows
    waiting = {row.id for row in asked[room:]}
    return [row for row in rows if row.id not in waiting]


UNHELD = tuple(column for column in jobs.c if column.name != "definition")
"""The columns of a job that may be given out; its definition is read once it is."""
_definition = func.coalesce(jobs.c.definition, tests.c.definition)
_DEFINITIONS = Prepared(
    select(jobs.c.id, _definition.label("definition"))
    .outerjoin(tests, tests.c.public_id == jobs.c.test_id)
    .where(jobs.c.id.in_(bindparam("chosen", expanding=True)))
)


async def _with_definitions(connection: AsyncConnection, offered: Sequence[Lease]) -> list[Lease]:
    """*offered* with the definitions of jobs that were there before: of thousands that wait a pull reads those that it gives."""
    there = [lease.job for lease in offered if not lease.definition]
    found: dict[str, str] = {}
    for start in range(0, len(there), MOST_UNKNOWN):
        rows = await _DEFINITIONS.rows(connection, chosen=there[start : start + MOST_UNKNOWN])
        found |= {row.id: row.definition for row in rows}
    return [
        lease if lease.definition else msgspec.structs.replace(lease, definition=found[lease.job]) for lease in offered
    ]


async def _unheld(connection: AsyncConnection, location: str, *, now: int, expiry: int) -> Sequence[Any]:
    return [
        *await _FREE.rows(connection, here=location, now=now),
        *await _SILENT.rows(connection, here=location, now=now, expiry=expiry),
    ]


def unheld(query: Select[Any]) -> tuple[Select[Any], Select[Any]]:
    """*query*, of open jobs that nobody has, and of those whose worker was not seen since the parameter `expiry`.

    Two statements, each with an index of its own: one for both reads every job that is held anywhere.
    """
    seen = (workers.c.location_id == jobs.c.location_id) & (workers.c.id == jobs.c.worker)
    opened = query.where(jobs.c.closed.is_(None)).with_for_update(of=jobs, skip_locked=True)
    nobody = opened.outerjoin(workers, seen).where(jobs.c.worker.is_(None))
    gone = workers.alias("gone")
    silent = opened.join(workers, seen).where(
        jobs.c.worker.in_(select(gone.c.id).where(gone.c.last_seen < bindparam("expiry"))),
        workers.c.last_seen < bindparam("expiry"),
    )
    return nobody, silent


_offered = unheld(
    select(*UNHELD, workers.c.last_seen)
    .outerjoin(tests, tests.c.public_id == jobs.c.test_id)
    .where(
        jobs.c.location_id == bindparam("here"),
        jobs.c.not_before <= bindparam("now"),
        or_(jobs.c.definition.is_not(None), tests.c.public_id.is_not(None)),
    )
)
_FREE, _SILENT = map(Prepared, _offered)


def open_job(row: Any) -> leases.LeasedJob:
    """A row of `jobs`, joined with the `last_seen` of its worker."""
    return leases.LeasedJob(
        id=row.id,
        until=row.until,
        delivery=row.delivery,
        released=row.released,
        worker=row.worker,
        worker_seen=row.last_seen,
    )


_DUE = Prepared(
    select(
        *(assignments.c.test_id, assignments.c.location_id),
        *(assignments.c.due_at, assignments.c.until, assignments.c.waiting_since),
        *(tests.c.definition, *runs.TIMES, tests.c.paused),
    )
    .join(tests, tests.c.public_id == assignments.c.test_id)
    .where(
        _here,
        assignments.c.job_id.is_(None),
        assignments.c.waiting_since <= bindparam("now"),
        assignments.c.due_at <= bindparam("now"),
        assignments.c.until > bindparam("now"),
    )
    .order_by(assignments.c.waiting_since)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(of=assignments, skip_locked=True)
)
# What is given out makes nothing due sooner: `QUIET` goes on to hold.
_GIVE_AGAIN = Prepared(
    update(jobs)
    .prefix_with(UNNOTED)
    .where(jobs.c.id == bindparam("job"))
    .values(worker=bindparam("taker"), delivery=bindparam("number"), leased_at=bindparam("now")),
)
_NEW_JOBS = Prepared(
    jobs.insert().prefix_with(UNNOTED),
    *("id", "test_id", "location_id", "scheduled_at", "until", "delivery", "released", "leased_at", "worker"),
    *("not_before", "attempt"),
)
_MOVE_ON = Prepared(
    update(assignments)
    .prefix_with(UNNOTED)
    .where(assignments.c.test_id == bindparam("test"), _here)
    .values(
        job_id=bindparam("job"),
        due_at=bindparam("next_due"),
        until=bindparam("next_until"),
        waiting_since=bindparam("next_due"),
    ),
)


QUIET: MemoryKind[str, int] = MemoryKind((assignments, jobs, workers), most=10_000)
"""Of locations at which nothing can be given out: the moment until which that is so, whatever but these tables changes."""
_waiting = assignments.alias("waiting")
_holders = workers.alias("holders")
_held_here = exists().where(
    jobs.c.closed.is_(None), jobs.c.worker == _holders.c.id, jobs.c.location_id == _holders.c.location_id
)
_NEXT = Prepared(
    select(
        select(_waiting.c.waiting_since)
        .where(
            _waiting.c.location_id == bindparam("here"),
            _waiting.c.job_id.is_(None),
            _waiting.c.waiting_since > bindparam("now"),
        )
        .order_by(_waiting.c.waiting_since)
        .limit(1)
        .scalar_subquery()
        .label("due"),
        select(literal(1))
        .where(_here, assignments.c.job_id.is_(None), assignments.c.waiting_since <= bindparam("now"))
        .exists()
        .label("put_off"),
        select(func.min(jobs.c.not_before))
        .where(jobs.c.closed.is_(None), jobs.c.worker.is_(None), jobs.c.location_id == bindparam("here"))
        .scalar_subquery()
        .label("again"),
        select(func.min(_holders.c.last_seen))
        .where(_holders.c.location_id == bindparam("here"), _held_here)
        .scalar_subquery()
        .label("seen"),
    )
)


async def quiet_until(connection: AsyncConnection, location: str, *, now: int) -> int:
    """The moment before which nothing can be given out at a location where nothing can be now; *now* where that is not known.

    A run that waits since before and is due later, or not settled yet, makes it unknown, as does a job that waits for others.
    """
    row = await _NEXT.row(connection, here=location, now=now)
    if row.put_off:
        return now
    silent = None if row.seen is None else row.seen + leases.LEASE_TTL
    return min((moment for moment in (row.due, row.again, silent) if moment is not None), default=now + FARTHEST)


async def _due(connection: AsyncConnection, location: str, now: int, *, limit: int) -> Sequence[Any]:
    return await _DUE.rows(connection, here=location, now=now, most=limit)


async def _give_again(connection: AsyncConnection, taker: Taker, leases: Sequence[Lease], now: int) -> None:
    again = [{"job": lease.job, "number": lease.delivery, "taker": taker.worker, "now": now} for lease in leases]
    await _GIVE_AGAIN.each(connection, again)


async def _start(
    connection: AsyncConnection,
    taker: Taker,
    started: Sequence[Lease],
    due: Mapping[str, tuple[Any, Timetable]],
    now: int,
) -> None:
    """Make a job of each of *started*, and let what is *due* move on to its next run."""
    await _NEW_JOBS.each(
        connection,
        [
            {
                "id": lease.job,
                "test_id": lease.test,
                "location_id": taker.location,
                "scheduled_at": lease.scheduled_at,
                "until": lease.until,
                "delivery": lease.delivery,
                "released": 0,
                "leased_at": now,
                "worker": taker.worker,
                "not_before": 0,
                "attempt": 1,
            }
            for lease in started
        ],
    )
    moved = [
        {"test": lease.test, "here": taker.location, "job": lease.job, **_next(*due[lease.job])} for lease in started
    ]
    await _MOVE_ON.each(connection, moved)


def _next(row: Any, timetable: Timetable) -> dict[str, int | None]:
    if row.paused:  # somebody asked for this one run
        return {"next_due": None, "next_until": None}
    run = following(runs.run(row), timetable)
    return {"next_due": run.due_at, "next_until": run.until}
