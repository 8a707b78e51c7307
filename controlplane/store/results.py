"""Results as they come in and are read. The first one of a job wins; a note that there was none gives way to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from sqlalchemy import bindparam, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import leases, outcomes
from controlplane.outcomes import ReadOutcome
from controlplane.store import ends, retries
from controlplane.store.portions import portions
from controlplane.store.prepared import Prepared
from controlplane.store.retries import Further
from controlplane.store.states import RunEnd
from controlplane.store.tables import assignments, jobs, locations, results, tests
from worker.wire.messages import ResultItem


class Disposition(Enum):
    """The decision on a pushed result; the values are the reply's."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A pushed result and the decision on it. *status* is the run's, where the result was accepted."""

    result: str
    disposition: Disposition
    reason: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The results to read; all of them by default. *tests* are public ids, *named* is a test's name at the time of its run.

    *since* is in epoch milliseconds, of the moment at which a result was stored.
    """

    tests: Collection[str] | None = None
    named: str | None = None
    location: str | None = None
    failed: bool = False
    since: int | None = None


ALL = Filter()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """*origin* is `worker`, `missed` or `lost`; *outcome* the JSON text of the run.

    *location_name* is None where the location is gone. *attempt*, *initial_id* and *is_last* as in the table.
    """

    seq: int
    id: str
    job: str | None
    origin: str
    test_id: str
    test_name: str
    location: str
    location_name: str | None
    worker: str | None
    status: str
    runs: int
    scheduled_at: int | None
    stored_at: int
    outcome: str
    attempt: int = 1
    initial_id: str | None = None
    is_last: bool = True


async def keep(
    connection: AsyncConnection, *, location: str, worker: str, items: Sequence[ResultItem], now: int
) -> tuple[Kept, ...]:
    """Store what is new. The caller commits before it tells anybody."""
    known = await _known_jobs(connection, location, {item.job for item in items})
    stored = await _stored(connection, {item.result for item in items})
    read = [outcomes.read(bytes(item.outcome)) for item in items]
    await retries.read_asked(connection, _asked_and_failed(known, items, read))
    kept, accepted, followed, decided = [], [], [], []
    for item, outcome in zip(items, read, strict=True):
        decision = _judge(item, known.get(item.job), stored, outcome)
        if isinstance(outcome, ReadOutcome) and decision.disposition is Disposition.ACCEPTED:
            job = known[item.job]
            again = retries.is_to_follow(job, outcome.status, now=now)
            accepted.append(_row(item, job, outcome, worker=worker, now=now) | {"is_last": not again})
            followed += [(job, item.result)] if again else []
            decided += [] if again or job["triggered"] else [_end(job, item, outcome, now)]
            decision = replace(decision, status=outcome.status)
            stored[item.result] = item.job
            known[item.job]["closed"] = "result"
        kept.append(decision)
    if accepted:
        await _accept(connection, accepted, decided, now=now)
        before = {row["job_id"]: known[row["job_id"]]["retry_of"] for row in accepted}
        await retries.outdate(connection, [Further(job, one) for job, one in before.items() if one is not None])
        await retries.follow(connection, followed, now=now)
    return tuple(kept)


def _asked_and_failed(
    known: Mapping[str, dict[str, Any]], items: Sequence[ResultItem], read: Sequence[ReadOutcome | str]
) -> dict[str, dict[str, Any]]:
    """The triggered ones of the *known* jobs whose results tell that they failed."""
    failed = {
        item.job
        for item, outcome in zip(items, read, strict=True)
        if isinstance(outcome, ReadOutcome) and outcome.status == "failed"
    }
    return {name: job for name, job in known.items() if job["triggered"] and name in failed}


def _judge(
    item: ResultItem, job: dict[str, Any] | None, stored: dict[str, str | None], outcome: ReadOutcome | str
) -> Kept:
    def decided(disposition: Disposition, reason: str = "") -> Kept:
        return Kept(result=item.result, disposition=disposition, reason=reason)

    if item.result in stored:
        if stored[item.result] == item.job:
            return decided(Disposition.DUPLICATE)
        return decided(Disposition.REJECTED, "the result's id is taken by a result of another job")
    if job is None:
        return decided(
            Disposition.REJECTED, "no such job here: never given out, or older than the retention of results"
        )
    if not leases.is_lease_of(item.lease, item.job, job["delivery"]):
        return decided(Disposition.REJECTED, "the lease was never given out for this job")
    if job["closed"] in ("result", "cancelled"):
        return decided(Disposition.SUPERSEDED)
    return decided(Disposition.REJECTED, outcome) if isinstance(outcome, str) else decided(Disposition.ACCEPTED)


_KNOWN_JOBS = Prepared(
    select(
        *[column for column in jobs.c if column.name not in ("definition", "test_name")],
        func.coalesce(jobs.c.test_name, tests.c.name).label("test_name"),
        jobs.c.test_name.is_not(None).label("triggered"),
        *(tests.c.paused, tests.c.period_ms, tests.c.retries, tests.c.retry_interval_ms),
        (assignments.c.job_id == jobs.c.id).label("current"),
    )
    .outerjoin(tests, tests.c.public_id == jobs.c.test_id)
    .outerjoin(assignments, assignments.c.job_id == jobs.c.id)
    .where(jobs.c.location_id == bindparam("here"), jobs.c.id.in_(bindparam("some", expanding=True)))
    .order_by(jobs.c.id)
    .with_for_update(of=jobs)
)
_STORED = Prepared(select(results.c.id, results.c.job_id).where(results.c.id.in_(bindparam("some", expanding=True))))
_FORGET_NOTES = Prepared(delete(results).where(results.c.job_id.in_(bindparam("some", expanding=True))))
_NEW = Prepared(
    results.insert(),
    *("id", "job_id", "lease", "origin", "test_id", "test_name", "location_id", "worker", "status", "runs"),
    *("scheduled_at", "stored_at", "outcome", "attempt", "initial_id", "is_last"),
)
_CLOSE = Prepared(
    update(jobs)
    .where(jobs.c.id.in_(bindparam("some", expanding=True)))
    .values(closed=bindparam("how"), closed_at=bindparam("now"))
)
_LET_GO_ON = Prepared(
    update(assignments).where(assignments.c.job_id.in_(bindparam("some", expanding=True))).values(job_id=None)
)


async def _known_jobs(connection: AsyncConnection, location: str, ids: set[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for some in portions(sorted(ids)):
        rows = await _KNOWN_JOBS.rows(connection, here=location, some=some)
        found |= {row.id: row._asdict() for row in rows}
    return found


async def _stored(connection: AsyncConnection, ids: set[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for some in portions(sorted(ids)):
        found |= {row.id: row.job_id for row in await _STORED.rows(connection, some=some)}
    return found


def _row(item: ResultItem, job: dict[str, Any], outcome: ReadOutcome, *, worker: str, now: int) -> dict[str, Any]:
    return {
        "id": item.result,
        "job_id": item.job,
        "lease": item.lease,
        "origin": "worker",
        "test_id": job["test_id"],
        "test_name": job["test_name"],
        "location_id": job["location_id"],
        "worker": worker,
        "status": outcome.status,
        "runs": 1,
        "scheduled_at": job["scheduled_at"],
        "stored_at": now,
        "outcome": outcome.text,
        "attempt": job["attempt"],
        "initial_id": job["initial_id"],
    }


def _end(job: dict[str, Any], item: ResultItem, outcome: ReadOutcome, now: int) -> RunEnd:
    return RunEnd(
        test=job["test_id"],
        location=job["location_id"],
        status=outcome.status,
        at=now,
        job=job["id"],
        duration_ms=outcome.duration_ms,
        result=item.result,
        scheduled_at=job["scheduled_at"],
        code=outcome.code,
        message=outcome.message,
        unhealthy=outcome.unhealthy,
    )


async def _accept(
    connection: AsyncConnection, rows: list[dict[str, Any]], decided: Sequence[RunEnd], *, now: int
) -> None:
    ids = {row["job_id"] for row in rows}
    for some in portions(sorted(ids)):
        await _FORGET_NOTES.change(connection, some=some)  # notes that they were lost
    await _NEW.each(connection, rows)
    await _close(connection, ids, "result", now=now)
    await ends.put(connection, decided, now=now)
    await _let_go_on(connection, ids - {end.job for end in decided})


async def close_jobs(connection: AsyncConnection, ids: Collection[str], closed: str, *, now: int) -> None:
    """End jobs, and let the next runs of their tests begin."""
    await _close(connection, ids, closed, now=now)
    await _let_go_on(connection, ids)


async def _close(connection: AsyncConnection, ids: Collection[str], closed: str, *, now: int) -> None:
    for some in portions(sorted(ids)):
        await _CLOSE.change(connection, some=some, how=closed, now=now)


async def _let_go_on(connection: AsyncConnection, ids: Collection[str]) -> None:
    for some in portions(sorted(ids)):
        await _LET_GO_ON.change(connection, some=some)


async def note(connection: AsyncConnection, notes: Sequence[dict[str, Any]]) -> None:
    """Write down runs that have no result, each a row of `results` but for its status."""
    if notes:
        await connection.execute(results.insert(), [{"status": "missed"} | columns for columns in notes])


async def read(
    connection: AsyncConnection, which: Filter = ALL, *, after: int = 0, limit: int
) -> Sequence[StoredResult]:
    """The oldest *limit* results after sequence number *after*, in order."""
    rows = await connection.execute(_chosen(which).where(results.c.seq > after).order_by(results.c.seq).limit(limit))
    return [_result(row) for row in rows]


async def newest(
    connection: AsyncConnection, which: Filter = ALL, *, limit: int, before: int | None = None
) -> Sequence[StoredResult]:
    """The newest *limit* results older than sequence number *before*, the oldest of them first."""
    query = _chosen(which).order_by(results.c.seq.desc()).limit(limit)
    rows = await connection.execute(query if before is None else query.where(results.c.seq < before))
    return [_result(row) for row in reversed(rows.all())]


async def last(connection: AsyncConnection) -> int:
    """The newest sequence number, 0 while there is none."""
    return await connection.scalar(select(func.max(results.c.seq))) or 0


async def oldest(connection: AsyncConnection) -> int | None:
    """The moment at which the oldest result was stored, None where there is none."""
    found: int | None = await connection.scalar(select(func.min(results.c.stored_at)))
    return found


async def prune(connection: AsyncConnection, *, before: int, limit: int) -> int:
    """Delete at most *limit* results stored, and as many jobs closed, before *before*; how many there were."""
    old = select(results.c.seq).where(results.c.stored_at < before).order_by(results.c.stored_at).limit(limit)
    gone = await connection.execute(delete(results).where(results.c.seq.in_(old)))
    ended = select(jobs.c.id).where(jobs.c.closed_at < before).order_by(jobs.c.closed_at).limit(limit)
    done = await connection.execute(delete(jobs).where(jobs.c.id.in_(ended)))
    return gone.rowcount + done.rowcount


async def is_known_test(connection: AsyncConnection, name: str) -> bool:
    """Tell if there is a result of a test with this public id or name, be the test itself deleted."""
    found = select(results.c.seq).where(or_(results.c.test_id == name, results.c.test_name == name)).limit(1)
    return await connection.scalar(found) is not None


async def is_known_location(connection: AsyncConnection, location: str) -> bool:
    """Tell if there is a result of a location with this id, be the location itself deleted."""
    found = select(results.c.seq).where(results.c.location_id == location).limit(1)
    return await connection.scalar(found) is not None


def _chosen(which: Filter) -> Any:
    query = select(results, locations.c.name.label("location_name")).outerjoin(
        locations, locations.c.id == results.c.location_id
    )
    if which.tests is not None:
        query = query.where(or_(results.c.test_id.in_(sorted(which.tests)), results.c.test_name == which.named))
    if which.location is not None:
        query = query.where(results.c.location_id == which.location)
    if which.failed:
        query = query.where(results.c.status == "failed", results.c.is_last)
    return query if which.since is None else query.where(results.c.stored_at >= which.since)


def _result(row: Any) -> StoredResult:
    return StoredResult(
        seq=row.seq,
        id=row.id,
        job=row.job_id,
        origin=row.origin,
        test_id=row.test_id,
        test_name=row.test_name,
        location=row.location_id,
        location_name=row.location_name,
        worker=row.worker,
        status=row.status,
        runs=row.runs,
        scheduled_at=row.scheduled_at,
        stored_at=row.stored_at,
        outcome=row.outcome,
        attempt=row.attempt,
        initial_id=row.initial_id,
        is_last=row.is_last,
    )
