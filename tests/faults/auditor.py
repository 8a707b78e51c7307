"""The auditor: a record → what it holds against the promise of docs/protocol.md. Pure, and written from that page alone.

It takes every due run for owed until a result or a note says what became of it, and believes no worker that the target did
not see.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from tests.faults.record import CONTROL_PLANE, Demand, Record, Row

SLACK = 1_000
"""Milliseconds between what one process did and another wrote down, on a busy machine."""


class Kind(Enum):
    """A way to break the promise."""

    GONE = "an acknowledged result is gone"
    PHANTOM = "a result of a run that nobody made"
    GAP = "a due run with neither result nor note"
    STUCK = "a job that does not end"
    TWICE = "a run stored twice"
    UNMARKED = "a failure of the probe itself that is not marked unhealthy"
    LOST = "lost although its worker neither died nor fell silent"
    DARK = "no result beside a healthy worker for more than lease and period"
    ENDED = "a worker ended by itself"


@dataclass(frozen=True, slots=True)
class Violation:
    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.what}"


def audit(record: Record) -> list[Violation]:
    """Return everything that breaks the promise; nothing where it was kept."""
    checks = {
        Kind.GONE: _gone,
        Kind.PHANTOM: _phantoms,
        Kind.GAP: _gaps,
        Kind.STUCK: _stuck,
        Kind.TWICE: _twice,
        Kind.UNMARKED: _unmarked,
        Kind.LOST: _lost,
        Kind.DARK: _dark,
        Kind.ENDED: _ended,
    }
    return [Violation(kind, what) for kind, check in checks.items() for what in check(record)]


def unaccounted(record: Record) -> list[Demand]:
    """Demands of which no result and no note speaks, and that no pause withdrew."""
    by_test = _by_test(record.rows)
    return [
        demand
        for demand in record.demands
        if not any(_answers(row, demand) for row in by_test[demand.test]) and not _withdrawn(record, demand)
    ]


def _answers(row: Row, demand: Demand) -> bool:
    """Tell if *row* is what became of *demand*: a run that was due already, and had not begun, is the run that is asked for."""
    had_not_begun = row.given_at is None or row.given_at >= demand.begin
    return demand.begin <= row.scheduled_at <= demand.end or (
        row.scheduled_at < demand.begin <= row.stored_at and had_not_begun
    )


def _withdrawn(record: Record, demand: Demand) -> bool:
    """Tell if a pause may have come before the run of *demand*, which begins within its period at the latest."""
    latest = demand.end + record.period * 1.5
    return any(
        pause.test == demand.test and pause.begin <= latest and demand.begin < pause.end for pause in record.pauses
    )


def longest_dark(record: Record) -> tuple[int, str]:
    """The longest time of a test, with a worker that was well, from a due run to the test's next result; and its name."""
    return max(_dark_times(record), default=(0, ""))


def _gone(record: Record) -> Iterator[str]:
    stored = {row.id for row in record.rows}
    acknowledged = {result for exchange in record.exchanges for result in exchange.acknowledged}
    yield from sorted(acknowledged - stored)


def _phantoms(record: Record) -> Iterator[str]:
    for row in _from_workers(record):
        if row.run is None and row.status == "passed":
            yield f"{row.id} of {row.test} passed and shows no reply of the target"
        if row.run is not None and record.served.get(row.run) != row.test:
            yield f"{row.id} of {row.test} shows a reply that the target did not give to it"
    for row in record.rows:
        if row.origin != "worker" and row.last_scheduled_at > record.ended_at:
            yield f"a note of {row.runs} runs of {row.test}, the last of which is not due before {row.last_scheduled_at}"


def _gaps(record: Record) -> Iterator[str]:
    for demand in unaccounted(record):
        yield f"{demand.test}, due between {demand.begin} and {demand.end}"
    for test, rows in _by_test(record.rows).items():
        runs = sorted((row.scheduled_at, _period_begun(record, row)) for row in rows)
        for (_, last), (following, _) in pairwise(runs):
            off = any(pause.test == test and last - SLACK <= pause.end <= following for pause in record.pauses)
            if following - last > record.period * 1.5 + SLACK and not off:
                yield f"{test}, between {last} and {following}"


def _period_begun(record: Record, row: Row) -> int:
    """The time after which the next run is due within a period and a half: an edit of a run that has not begun starts anew."""
    answered = [demand.end for demand in record.demands if demand.test == row.test and _answers(row, demand)]
    return max(row.last_scheduled_at, *answered, 0)


def _stuck(record: Record) -> Iterator[str]:
    if record.ended_at - record.calm_at > record.lease + record.period:
        for job in record.open_jobs:
            if job.scheduled_at < record.calm_at:
                yield f"{job.id} of {job.test}, due {record.ended_at - job.scheduled_at} ms ago"


def _twice(record: Record) -> Iterator[str]:
    for (test, scheduled_at), count in Counter((row.test, row.scheduled_at) for row in record.rows).items():
        if count > 1:
            yield f"{test}, due at {scheduled_at}, {count} times"
    for run, count in Counter(row.run for row in record.rows if row.run is not None).items():
        if count > 1:
            yield f"the target's reply {run}, {count} times"


def _unmarked(record: Record) -> Iterator[str]:
    """The target is honest: what fails, fails on account of the worker."""
    for row in _from_workers(record):
        if row.status == "failed" and row.unhealthy is None:
            yield f"{row.id} of {row.test}: {row.failure}"


def _lost(record: Record) -> Iterator[str]:
    for row in record.rows:
        if row.origin == "lost" and not _was_away(record, row):
            yield f"{row.test}, due at {row.scheduled_at}, by {row.worker}"


def _was_away(record: Record, note: Row) -> bool:
    """Tell if the worker of a note died, or was not heard for a lease's time, between the run's due time and the note."""
    begin, end = note.scheduled_at - SLACK, note.stored_at + SLACK
    if any(ended.worker == note.worker and begin <= ended.at <= end for ended in record.ends):
        return True
    heard = [one.at for one in record.exchanges if one.worker == note.worker and one.status in (200, 204)]
    marks = [begin, *sorted(at for at in heard if begin < at < end), end]
    return any(later - earlier >= record.lease - SLACK for earlier, later in pairwise(marks))


def _dark(record: Record) -> Iterator[str]:
    for dark, test in _dark_times(record):
        if dark > record.lease + record.period:
            yield f"{test}: {dark} ms"


def _dark_times(record: Record) -> Iterator[tuple[int, str]]:
    unwell = list(_unwell(record))
    stored = {
        test: sorted(row.stored_at for row in rows if row.origin == "worker")
        for test, rows in _by_test(record.rows).items()
    }
    for demand in record.demands:
        if _withdrawn(record, demand):
            continue
        until = next((at for at in stored.get(demand.test, []) if at >= demand.begin), record.ended_at)
        yield until - demand.end - sum(_overlap(demand.end, until, outage) for outage in unwell), demand.test


def _unwell(record: Record) -> Iterator[tuple[int, int]]:
    """The times during which the control plane, or every worker, was under a fault; they do not overlap."""
    edges = sorted({edge for outage in record.outages for edge in (outage.start, outage.end)})
    for start, end in pairwise(edges):
        victims = {outage.victim for outage in record.outages if outage.start <= start and outage.end >= end}
        if CONTROL_PLANE in victims or victims >= set(record.workers):
            yield start, end


def _overlap(start: int, end: int, other: tuple[int, int]) -> int:
    return max(0, min(end, other[1]) - max(start, other[0]))


def _ended(record: Record) -> Iterator[str]:
    for end in record.ends:
        if not end.killed:
            yield f"{end.worker} at {end.at}{': ' * bool(end.how)}{end.how}"


def _from_workers(record: Record) -> Iterator[Row]:
    return (row for row in record.rows if row.origin == "worker")


def _by_test(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.test].append(row)
    return found
