"""Rows of `assignments` as values of the schedule, and back."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BigInteger, bindparam, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import frames
from controlplane.schedule import Run, Timetable
from controlplane.store.prepared import Prepared
from controlplane.store.tables import assignments, tests

TIMES = (tests.c.period_ms, tests.c.frames)
"""The columns of a test that its timetable is made of."""
_PLACES = 2**63
"""Numbers of rows from 0 on: SQLite's are signed, of 64 bits."""
_SET = Prepared(
    update(assignments)
    .where(assignments.c.test_id == bindparam("test"), assignments.c.location_id == bindparam("location"))
    .values(
        due_at=bindparam("next_due"), until=bindparam("next_until"), waiting_since=bindparam("since", type_=BigInteger)
    ),
)


def run(row: Any) -> Run:
    """The next run of a row that has one."""
    return Run(row.due_at, row.until)


def timetable(row: Any) -> Timetable:
    """The timetable of a row of `assignments`, joined with the `TIMES` of its test."""
    return of_test(row.test_id, row.location_id, row.period_ms, row.frames)


def pace(row: Any) -> Timetable:
    """The same for `following` and `start_before` alone: without frames they need no offset, which takes a hash to know."""
    return Timetable(row.period_ms, 0) if row.frames is None else timetable(row)


def of_test(test: str, location: str, period_ms: int, stored_frames: str | None) -> Timetable:
    """The timetable of a test at a location."""
    return Timetable.of(test, location, period_ms, None if stored_frames is None else frames.read(stored_frames))


def place(timetable: Timetable) -> int:
    """The number of a new row in the order in which SQLite keeps them: by the phases of tests, each with room for many.

    Runs of one period that are due at about the same moment are written together, and so lie on few pages. Two rows get one
    number once in 2^63 times, and another one at the next attempt.
    """
    width = _PLACES // timetable.period
    return timetable.offset * width + secrets.randbelow(width)


def columns(following: Run | None) -> dict[str, int | None]:
    """The columns of the next run; None where nothing is to be run."""
    due_at = following.due_at if following else None
    return {"due_at": due_at, "until": following.until if following else None, "waiting_since": due_at}


async def put(connection: AsyncConnection, following: Iterable[tuple[Any, Run | None]]) -> None:
    """Write the next run of each row, as `columns`, all of them in one statement."""
    await _write(connection, [(row, run, run.due_at if run else None) for row, run in following])


async def put_off(connection: AsyncConnection, following: Iterable[tuple[Any, Run | None]]) -> None:
    """Put rows whose runs were missed: they go on waiting since then. Whoever was still running did not wait."""
    written = [
        (row, run, None if run is None else run.due_at if row.job_id is not None else row.waiting_since)
        for row, run in following
    ]
    await _write(connection, written)


async def _write(connection: AsyncConnection, following: Sequence[tuple[Any, Run | None, int | None]]) -> None:
    values = [
        {
            "test": row.test_id,
            "location": row.location_id,
            "next_due": run.due_at if run else None,
            "next_until": run.until if run else None,
            "since": since,
        }
        for row, run, since in following
    ]
    await _SET.each(connection, values)
