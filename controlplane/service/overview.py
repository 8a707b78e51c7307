"""Tests as a person looks at them: a page of all with their state, last and next run and uptime; and one with its newest runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.errors import NotFoundError
from controlplane.service import uptimes
from controlplane.service.principal import KeyScope, Principal
from controlplane.store import recentruns, testsearch
from controlplane.store import tests as stored
from controlplane.store.database import Database
from controlplane.store.recentruns import Place, RecentRun
from controlplane.store.tests import Assignment, StoredTest
from controlplane.store.testsearch import NewestState, SearchTerms, newest_state
from worker.clock import Clock

PAGE = 25
"""Tests of a page: the uptime of each is made of its results."""
DAY = 86_400_000
"""Milliseconds of the uptime that is shown."""
RUNS = 100
"""Newest runs of one test that are read: those of its chart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewTest:
    """A test with its *assignments*, and its uptime of the last day: a percentage, None where nothing is known."""

    test: StoredTest
    assignments: tuple[Assignment, ...]
    uptime: float | None

    @property
    def newest(self) -> NewestState:
        return newest_state({one.last_status for one in self.assignments})

    @property
    def last_at(self) -> int | None:
        return max((one.last_at for one in self.assignments if one.last_at is not None), default=None)

    @property
    def due_at(self) -> int | None:
        return min((one.due_at for one in self.assignments if one.due_at is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A page of tests, how many there are in *total*, and the moment *now*."""

    tests: tuple[OverviewTest, ...]
    total: int
    now: int


class RunGlance(Struct, frozen=True, kw_only=True):
    """A run in one line: *timings* by phase as they stand in its outcome, *failure* as code and message."""

    run: RecentRun
    timings: Any = None
    code: str | None = None
    message: str | None = None
    unhealthy: str | None = None
    valid_until: int | None = None
    """The end of the target's certificate, epoch milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestReport:
    """One test: where it runs, its newest runs, and its states over the last day.

    *next* is the place from which older runs are read, None where there are none.
    """

    __test__ = False

    overview: OverviewTest
    runs: tuple[RunGlance, ...]
    next: Place | None
    history: tuple[tuple[int, int], ...]
    now: int


class _Glimpse(Struct, frozen=True):
    """The members of an outcome that one line needs; the others are skipped, not read."""

    timings: Any = None
    unhealthy: Any = None
    failure: msgspec.Raw = msgspec.Raw(b"null")
    response: msgspec.Raw = msgspec.Raw(b"null")


class _Failure(Struct, frozen=True):
    code: Any = None
    message: Any = None


class _Validity(Struct, frozen=True):
    to: int | float


class _Certificate(Struct, frozen=True):
    valid: _Validity


class _Response(Struct, frozen=True):
    certificate: _Certificate


_GLIMPSE = msgspec.json.Decoder(_Glimpse)
_FAILURE = msgspec.json.Decoder(_Failure)
_RESPONSE = msgspec.json.Decoder(_Response)
T = TypeVar("T")


async def page(database: Database, clock: Clock, by: Principal, terms: SearchTerms, *, offset: int) -> Overview:
    """`PAGE` tests by name, from number *offset*, of those that *terms* find."""
    by.require(KeyScope.READ)
    now = epoch.milliseconds(clock)
    async with database.read() as connection:
        found, total = await testsearch.page(connection, terms, offset=offset, limit=PAGE)
        shown = await _overview(connection, found, now)
    return Overview(tests=tuple(shown), total=total, now=now)


async def get(database: Database, clock: Clock, by: Principal, test: str, *, before: Place | None = None) -> TestReport:
    """One test by its public id, with its newest `RUNS` runs, or those before a place. Raises NotFoundError."""
    by.require(KeyScope.READ)
    now = epoch.milliseconds(clock)
    async with database.read() as connection:
        known = await stored.by_id(connection, test)
        if known is None:
            raise NotFoundError("test", test)
        (overview,) = await _overview(connection, [known], now)
        rows = await recentruns.newest(connection, test, limit=RUNS + 1, before=before)
        histories = await uptimes.changes_of(connection, [test], since=now - DAY, until=now + 1)
    runs = tuple(glance(row) for row in rows[:RUNS])
    return TestReport(
        overview=overview,
        runs=runs,
        next=Place(runs[-1].run.stored_at, runs[-1].run.seq) if len(rows) > RUNS else None,
        history=tuple(histories[test]),
        now=now,
    )


def glance(run: RecentRun) -> RunGlance:
    """Read one line's worth of an outcome, which may be another version's: what has another shape is left out."""
    seen = _read(_GLIMPSE, run.outcome) or _Glimpse()
    failure = _read(_FAILURE, seen.failure) or _Failure()
    response = _read(_RESPONSE, seen.response)
    return RunGlance(
        run=run,
        timings=seen.timings,
        code=_text(failure.code),
        message=_text(failure.message),
        unhealthy=_text(seen.unhealthy),
        valid_until=None if response is None else round(response.certificate.valid.to),
    )


def _read(decoder: msgspec.json.Decoder[T], text: str | msgspec.Raw) -> T | None:
    try:
        return decoder.decode(text)
    except msgspec.DecodeError:
        return None


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


async def _overview(connection: AsyncConnection, found: Sequence[StoredTest], now: int) -> list[OverviewTest]:
    ids = [test.public_id for test in found]
    histories = await uptimes.changes_of(connection, ids, since=now - DAY, until=now + 1) if ids else {}
    places: dict[str, list[Assignment]] = {}
    for assignment in await stored.list_assignments(connection, ids):
        places.setdefault(assignment.test, []).append(assignment)
    return [
        OverviewTest(
            test=test,
            assignments=tuple(places.get(test.public_id, ())),
            uptime=uptimes.share(histories[test.public_id], now // 1000),
        )
        for test in found
    ]
