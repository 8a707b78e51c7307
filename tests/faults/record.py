"""The record of a round, as frozen values: what was stored, what was wanted, what passed the gate, and what was done to whom.

Times are epoch milliseconds by the machine's clock, which no fault sets. It judges nothing.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONTROL_PLANE = "control plane"
"""The name of the one victim that is no worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A stored result or note, the latter of *runs* runs. *given_at* is when the control plane last gave the run out, None where
    it never did; *run* is the name that the target gave to the request behind a result.
    """

    id: str
    job: str | None
    origin: str
    test: str
    worker: str | None
    status: str
    runs: int
    scheduled_at: int
    last_scheduled_at: int
    given_at: int | None
    stored_at: int
    run: str | None
    unhealthy: str | None
    failure: str | None


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job given out, of which neither a result nor a note is stored."""

    id: str
    test: str
    scheduled_at: int


@dataclass(frozen=True, slots=True)
class Demand:
    """A run of *test* that became due between *begin* and *end*: somebody asked for it, made, edited or resumed the test."""

    test: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Pause:
    """*test* was off from *begin* to *end*: what was due and not started is not wanted, and nothing becomes due."""

    test: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """A signed reply of the control plane to the process *worker*, be it that it never arrived. *acknowledged* are results."""

    at: int
    worker: str
    path: str
    status: int
    acknowledged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class End:
    """The process *worker* ended; *killed* says that the round ended it, and *how* tells of one that ended by itself."""

    at: int
    worker: str
    killed: bool
    how: str = ""


@dataclass(frozen=True, slots=True)
class Outage:
    """*victim* was under a fault, or not yet back."""

    victim: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Everything that an audit looks at. *calm_at* is the end of the last fault, *served* maps the target's runs to tests."""

    lease: int
    period: int
    calm_at: int
    ended_at: int
    workers: tuple[str, ...]
    rows: tuple[Row, ...]
    open_jobs: tuple[OpenJob, ...]
    demands: tuple[Demand, ...] = ()
    pauses: tuple[Pause, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    ends: tuple[End, ...] = ()
    outages: tuple[Outage, ...] = ()
    served: dict[str, str]


_RESULTS = "SELECT results.*, leased_at FROM results LEFT JOIN jobs ON jobs.id = job_id ORDER BY seq"


def read_database(path: Path) -> tuple[tuple[Row, ...], tuple[OpenJob, ...]]:
    """Read what a control plane has stored, beside it, as it runs. Raises sqlite3.OperationalError while it is locked."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)
    try:
        connection.row_factory = sqlite3.Row
        rows = tuple(_row(row) for row in connection.execute(_RESULTS))
        opened = connection.execute(
            "SELECT jobs.id, tests.name, scheduled_at FROM jobs JOIN tests ON tests.public_id = test_id WHERE closed IS NULL"
        )
        return rows, tuple(OpenJob(*row) for row in opened)
    finally:
        connection.close()


def _row(row: sqlite3.Row) -> Row:
    outcome: dict[str, Any] = json.loads(row["outcome"])
    headers = (outcome.get("response") or {}).get("headers") or {}
    return Row(
        id=row["id"],
        job=row["job_id"],
        origin=row["origin"],
        test=row["test_name"],
        worker=row["worker"],
        status=row["status"],
        runs=row["runs"],
        scheduled_at=row["scheduled_at"],
        last_scheduled_at=(outcome.get("missed") or {}).get("last", row["scheduled_at"]),
        given_at=row["leased_at"],
        stored_at=row["stored_at"],
        run=headers.get("x-run"),
        unhealthy=outcome.get("unhealthy"),
        failure=None if outcome.get("failure") is None else outcome["failure"]["code"],
    )
