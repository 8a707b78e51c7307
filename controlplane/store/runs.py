"""Rows of `assignments` as values of the schedule, and back."""

from __future__ import annotations

from typing import Any

from controlplane.schedule import Run, Timetable


def run(row: Any) -> Run:
    """The next run of a row that has one."""
    return Run(row.due_at, row.until)


def timetable(row: Any) -> Timetable:
    """The timetable of a row of `assignments`, joined with the `period_ms` of its test."""
    return Timetable.of(row.test_id, row.location_id, row.period_ms)


def columns(following: Run | None) -> dict[str, int | None]:
    """The columns of the next run; None where nothing is to be run."""
    return {"due_at": following.due_at if following else None, "until": following.until if following else None}
