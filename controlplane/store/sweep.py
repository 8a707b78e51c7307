"""Upkeep that needs no request: notes of runs that were missed and of jobs that were lost.

Each step is one short transaction over a bounded number of rows, and finds nothing to do when another process was faster.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch, leases
from controlplane.leases import LEASE_TTL, JobState
from controlplane.schedule import FARTHEST, Missed, settle
from controlplane.store import ends, monitors, retries, runs
from controlplane.store import results as stored
from controlplane.store.dispatch import open_job, unheld
from controlplane.store.prepared import Prepared
from controlplane.store.retries import Further
from controlplane.store.states import RunEnd
from controlplane.store.tables import assignments, jobs, locations, tests, workers
from worker.apitest.result import Result, Status
from worker.wire.identifiers import timed_uuid

BATCH = 200
"""Rows of one step: some milliseconds of the one writer's time."""
_TOLD = (tests.c.name, tests.c.subtype, tests.c.version)
"""The part of a test that a note tells."""


class MissedReason(Enum):
    """The kinds of reasons for which a run was missed, few enough for a metric's label; a note has the sentence."""

    RUNNING = "running"
    AWAY = "away"
    NO_WORKER = "no_worker"
    NO_SLOT = "no_slot"
    LOST = "lost"
    NOT_TAKEN = "not_taken"
    DISABLED = "disabled"


_assigned = (
    select(assignments, *_TOLD, *runs.TIMES, tests.c.paused, locations.c.enabled)
    .join(tests, tests.c.public_id == assignments.c.test_id)
    .join(locations, locations.c.id == assignments.c.location_id)
    .limit(BATCH)
    .with_for_update(of=assignments, skip_locked=True)
)
_overdue = _assigned.where(assignments.c.until <= bindparam("now"))
_OVERDUE = Prepared(_overdue)
_OVERDUE_OF = Prepared(_overdue.where(assignments.c.test_id.in_(bindparam("only", expanding=True))))
_farthest: ColumnElement[int] = (
    bindparam("now") + 2 * tests.c.period_ms + case((tests.c.frames.is_not(None), FARTHEST), else_=0)
)
_TOO_FAR = Prepared(_assigned.where(assignments.c.due_at > _farthest))


@dataclass(frozen=True, slots=True)
class Settled:
    """The outcome of one step: *rows* that it found, at most `BATCH`, and how many runs were *missed*, by location and reason."""

    rows: int
    missed: Mapping[tuple[str, MissedReason], int]


async def settle_runs(connection: AsyncConnection, *, now: int, only: Collection[str] = ()) -> Settled:
    """Note runs whose period ended without a start, and move on to the next.

    Of all tests, or *only* of those with the public ids.

    At a disabled location nothing is due, and nothing is missed: what is found there was left by a switch that was cut short.
    """
    some = {"only": sorted(only)} if only else {}
    found = await (_OVERDUE_OF if only else _OVERDUE).rows(connection, now=now, **some)
    last_seen = await _last_seen(connection) if found else {}
    following, notes, ended = [], [], []
    counted: Counter[tuple[str, MissedReason]] = Counter()
    for row in found:
        run, missed = settle(runs.run(row), runs.timetable(row), now)
        if missed is not None and row.enabled:
            seen = last_seen.get(row.location_id, 0)
            reason, why = _why_missed(missed, running=row.job_id is not None, last_seen=seen)
            notes.append(_missed_note(row, missed, why, now=now))
            ended.append(_end(notes[-1], why))
            counted[row.location_id, reason] += missed.runs
        following.append(
            (row, None if row.paused or not row.enabled else run)
        )  # of a paused test, this one was asked for
    await stored.note(connection, notes)
    await ends.put(connection, ended, now=now)
    await runs.put_off(connection, following)
    return Settled(len(found), counted)


async def shift(connection: AsyncConnection, *, by: int) -> None:
    """Move by *by* milliseconds what is compared with the clock: runs that are due, the ends of open jobs, workers' last pulls,
    monitors.

    One transaction, whatever there is: half of it moved would be worse than a second's wait. Scheduled times that were given out,
    and results, keep the times that they bear.
    """
    due = assignments.c.due_at.is_not(None)
    moved = {name: assignments.c[name] + by for name in ("due_at", "until", "waiting_since")}
    await connection.execute(update(assignments).where(due).values(moved))
    await connection.execute(
        update(jobs).where(jobs.c.closed.is_(None)).values(until=jobs.c.until + by, not_before=jobs.c.not_before + by)
    )
    await connection.execute(update(workers).values(last_seen=workers.c.last_seen + by))
    await monitors.shift(connection, by=by)


async def mend_runs(connection: AsyncConnection, *, now: int) -> int:
    """Bring back runs that lie ahead further than any timetable puts them: the clock was set back."""
    found = await _TOO_FAR.rows(connection, now=now)
    await runs.put(connection, [(row, settle(runs.run(row), runs.timetable(row), now)[0]) for row in found])
    return len(found)


_over = unheld(
    select(jobs, workers.c.last_seen, *_TOLD, locations.c.enabled)
    .outerjoin(tests, tests.c.public_id == jobs.c.test_id)
    .join(locations, locations.c.id == jobs.c.location_id)
    .where(
        or_(
            jobs.c.until <= bindparam("now"),
            jobs.c.delivery - jobs.c.released >= leases.MAX_FAILED,
            jobs.c.delivery >= leases.MAX_DELIVERIES,
        ),
    )
    .limit(BATCH)
)
_FREE, _SILENT = map(Prepared, _over)


async def settle_jobs(connection: AsyncConnection, *, now: int, expiry: int) -> Settled:
    """Close jobs that nobody holds and nobody can start any more."""
    rows = [*await _FREE.rows(connection, now=now), *await _SILENT.rows(connection, now=now, expiry=expiry)]
    notes = []
    reasons, whys = {}, {}
    for row in rows:
        match leases.state(open_job(row), now=now, expiry=expiry):
            case JobState.LOST if row.enabled:  # the workers of a disabled one are not heard, and may be well
                reasons[row.id], whys[row.id] = MissedReason.LOST, _why_lost(row)
                notes.append(_job_note(row, "lost", whys[row.id], now=now))
            case JobState.LOST | JobState.MISSED:
                reasons[row.id] = MissedReason.NOT_TAKEN if row.enabled else MissedReason.DISABLED
                whys[row.id] = _why_not_run(row, now)
                notes.append(_job_note(row, "missed", whys[row.id], now=now))
            case JobState.HELD | JobState.OFFERED:
                pass
    for origin in ("lost", "missed"):
        ended = [note["job_id"] for note in notes if note["origin"] == origin]
        await stored.close_jobs(connection, ended, origin, now=now)
    before = {row.id: row.retry_of for row in rows if row.retry_of is not None}
    closed = [Further(note["job_id"], before[note["job_id"]]) for note in notes if note["job_id"] in before]
    await retries.give_up(connection, closed, now=now)
    told = [note for note in notes if note["job_id"] not in before]
    await stored.note(connection, told)
    asked_for = {row.id for row in rows if row.definition is not None}
    scheduled = [note for note in told if note["job_id"] not in asked_for]
    await ends.put(connection, [_end(note, whys[note["job_id"]]) for note in scheduled], now=now)
    return Settled(len(notes), Counter((note["location_id"], reasons[note["job_id"]]) for note in told))


def _end(note: dict[str, Any], reason: str) -> RunEnd:
    return RunEnd(
        test=note["test_id"],
        location=note["location_id"],
        status=Status.MISSED.value,
        at=note["stored_at"],
        result=note["id"],
        scheduled_at=note["scheduled_at"],
        unhealthy=reason,
    )


def _why_missed(missed: Missed, *, running: bool, last_seen: int) -> tuple[MissedReason, str]:
    if running:
        return MissedReason.RUNNING, "the run before it had not ended"
    if missed.runs > 1:
        return MissedReason.AWAY, f"{missed.runs} runs in a row were missed while the control plane was away"
    if last_seen < missed.first - LEASE_TTL:
        return MissedReason.NO_WORKER, "no worker of the location was seen in its period"
    return MissedReason.NO_SLOT, "every worker was full, draining or in trouble in its period"


def _why_lost(row: Any) -> str:
    back = f", given back or never received {_times(row.released)}" if row.released else ""
    return f"lost by workers: given out {_times(row.delivery)}{back}, and no result came back"


def _why_not_run(row: Any, now: int) -> str:
    if not row.enabled:
        return "the location was disabled before its result came"
    if now < row.until:
        return f"given out {_times(row.delivery)}, given back or never received each time, and never run to its end"
    return "given back by its worker or never received, and nobody took it again before its period ended"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


async def _last_seen(connection: AsyncConnection) -> dict[str, int]:
    rows = await connection.execute(
        select(workers.c.location_id, func.max(workers.c.last_seen).label("seen")).group_by(workers.c.location_id)
    )
    return {row.location_id: row.seen for row in rows}


def _missed_note(row: Any, missed: Missed, reason: str, *, now: int) -> dict[str, Any]:
    outcome = _outcome(row, row.test_id, missed.first, reason)
    if missed.runs > 1:
        outcome["missed"] = {"runs": missed.runs, "first": missed.first, "last": missed.last}
    return {
        "id": timed_uuid(now),
        "job_id": None,
        "lease": None,
        "origin": "missed",
        "test_id": row.test_id,
        "test_name": row.name,
        "location_id": row.location_id,
        "worker": None,
        "runs": missed.runs,
        "scheduled_at": missed.first,
        "stored_at": now,
        "outcome": json.dumps(outcome),
    }


def _job_note(row: Any, origin: str, reason: str, *, now: int) -> dict[str, Any]:
    return {
        "id": timed_uuid(now),
        "job_id": row.id,
        "lease": leases.lease_of(row.id, row.delivery),
        "origin": origin,
        "test_id": row.test_id,
        "test_name": _run_of(row).name,
        "location_id": row.location_id,
        "worker": row.worker,
        "runs": 1,
        "scheduled_at": row.scheduled_at,
        "stored_at": now,
        "outcome": json.dumps(_outcome(_run_of(row), row.test_id, row.scheduled_at, reason)),
    }


def _run_of(row: Any) -> Any:
    """The name, subtype and version that a job's results bear: a triggered one brings its own."""
    if row.definition is None:
        return row
    brought = json.loads(row.definition)
    return SimpleNamespace(name=row.test_name, subtype=brought.get("subtype", ""), version=brought.get("version", 1))


def _outcome(row: Any, test: str, scheduled_at: int, reason: str) -> dict[str, Any]:
    """A result in the workers' own form. The reason stands as trouble of the probes, never of the target."""
    return Result(
        test_public_id=test,
        test_name=row.name,
        test_subtype=row.subtype,
        test_version=row.version,
        status=Status.MISSED,
        scheduled_at=epoch.moment(scheduled_at),
        unhealthy=reason,
    ).as_json()
