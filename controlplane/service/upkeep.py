"""Upkeep: settle what nobody asked for in time, drop what is too old, follow the machine's clock. A transaction at a time."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from controlplane import epoch
from controlplane.ageing import aged
from controlplane.counters import Counters
from controlplane.leases import Grace
from controlplane.service.audit import RETENTION_DAYS
from controlplane.steady import STEP_SECONDS, SteadyClock
from controlplane.store import audit, locations, marks, pruning, results, sweep, triggered, workers
from controlplane.store.database import Database
from controlplane.store.sweep import MissedReason
from worker.clock import Clock

log = logging.getLogger(__name__)

PRUNE_BATCH = 500
PRUNE_TURNS = 60
"""Turns between looks at what is too old: minutes."""
DAY_MS = 24 * 3600 * 1000
FORGET_WORKERS = DAY_MS
"""Milliseconds after which a worker process that was not seen is no longer listed."""
TESTS_LOOKED_AT = 50
"""Tests whose results one turn counts: a few milliseconds of reading, and 10,000 tests are through in three minutes."""
NEVER_PRUNED = 3600 * 1000
"""Milliseconds for which a result stays whatever the number: whoever asked for a run comes for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Results are dropped when they are older than *age_ms* milliseconds, and beyond the newest *per_test* of each test."""

    age_ms: int
    per_test: int | None = None


class Upkeep:
    """The turns that one process takes at its database, one a second. A later one makes up for what failed."""

    def __init__(
        self,
        database: Database,
        clock: SteadyClock,
        grace: Grace,
        *,
        retention: Retention,
        counters: Counters,
    ) -> None:
        self._database = database
        self._clock = clock
        self._grace = grace
        self._retention = retention
        self._counters = counters
        self._pruned_test = ""
        self._turns = 0
        self._begun = False
        self._look_ahead = True
        self._pruned_ns: int | None = None
        self._offset: int | None = None

    async def turn(self) -> None:
        """Do what is due. Raises StatementError where the database fails, and DatabaseError where it is ours no longer."""
        await self._database.check_schema()
        if not self._begun:
            self._look_ahead |= await come_back(self._database, self._clock)
            self._begun = True
        self._look_ahead |= await follow(self._database, self._clock)
        await self._tell_others()
        missed = await settle(self._database, self._clock, self._grace, look_ahead=self._look_ahead)
        self._counters.missed.update({(place, reason.value): runs for (place, reason), runs in missed.items()})
        self._look_ahead = False
        if self._turns % PRUNE_TURNS == 0:
            await self._prune()
        if self._retention.per_test is not None:
            kept, after = self._retention.per_test, self._pruned_test
            self._pruned_test = await prune_by_count(self._database, self._clock, after=after, kept=kept)
        self._turns += 1

    async def _tell_others(self) -> None:
        """Write down what is not followed of the machine's clock, so that commands keep the same time."""
        offset = -round(self._clock.ignored_seconds * 1000)
        if offset != self._offset:
            async with self._database.write() as connection:
                await marks.put_offset(connection, offset)
            self._offset = offset

    async def _prune(self) -> None:
        now_ns = self._clock.monotonic_ns()
        passed = 0 if self._pruned_ns is None else (now_ns - self._pruned_ns) // 1_000_000
        await prune(self._database, self._clock, retention=self._retention.age_ms, passed=passed)
        self._pruned_ns = now_ns


async def offset(database: Database) -> timedelta:
    """The time by which this database's times are ahead of its machine's clock: what whoever serves it does not follow."""
    async with database.read() as connection:
        return timedelta(milliseconds=await marks.offset(connection))


async def come_back(database: Database, clock: Clock) -> bool:
    """Move kept times back where they lie ahead of a clock that was set back while nobody served; tell if they did."""
    async with database.write() as connection:
        now = epoch.milliseconds(clock)
        ahead = await marks.latest(connection) - now
        if ahead <= STEP_SECONDS * 1000:
            return False
        by = _shift(-round(ahead / 1000))
        await sweep.shift(connection, by=by)
        await marks.put_clock(connection, now)
    _tell(by)
    return True


async def follow(database: Database, clock: SteadyClock) -> bool:
    """Follow a step of the machine's clock that has held, and move kept times with it; tell if there was one."""
    if clock.held() is None:
        return False
    async with database.write() as connection:
        held = clock.held()  # now that the lock is ours: it may have returned meanwhile
        if held is None:
            return False
        by = _shift(round(held.total_seconds()))
        await sweep.shift(connection, by=by)
        await marks.put_clock(connection, epoch.milliseconds(clock) + by)
    clock.follow(held)  # before anybody else has the lock: nobody sees the times of one with the clock of the other
    _tell(by)
    return True


def _shift(seconds: int) -> int:
    """Milliseconds to move kept times by: whole seconds and one, so that no run is ever scheduled twice at one moment."""
    return seconds * 1000 + 1


def _tell(by: int) -> None:
    log.warning(
        "following the clock: what was due has been moved by %+d s, and nothing was missed by it",
        round(by / 1000),
        extra={"action": "clock_followed", "milliseconds": by},
    )


async def settle(
    database: Database, clock: Clock, grace: Grace, *, look_ahead: bool
) -> Mapping[tuple[str, MissedReason], int]:
    """Note missed runs and lost jobs until there are no more; how many runs were missed, by location and reason.

    *look_ahead* where the clock may have been set back.
    """
    missed: Counter[tuple[str, MissedReason]] = Counter()
    while True:
        async with database.write() as connection:
            now = epoch.milliseconds(clock)  # after the wait for the lock, as that of whom was waited for
            expiry = grace.expiry(now)
            runs = await sweep.settle_runs(connection, now=now)
            jobs = await sweep.settle_jobs(connection, now=now, expiry=expiry)
            ahead = await sweep.mend_runs(connection, now=now) if look_ahead else 0
        missed.update(runs.missed)
        missed.update(jobs.missed)
        if max(runs.rows, jobs.rows, ahead) < sweep.BATCH:
            return missed
        await clock.sleep(database.rest_seconds)


async def prune(database: Database, clock: Clock, *, retention: int, passed: int) -> None:
    """Drop expired credentials, workers that went away, and results and jobs older than *retention*, in milliseconds.

    *passed* are the milliseconds of serving since the last time: ages are counted by `ageing`, so that no step makes any.
    """
    async with database.write() as connection:
        now = epoch.milliseconds(clock)
        before, oldest = await marks.ageing(connection), await results.oldest(connection)
        ageing = aged(before, now, passed=passed, oldest=oldest, retention=retention)
        await marks.put_ageing(connection, ageing)
        await marks.put_clock(connection, now)
        await locations.drop_expired_credentials(connection, now=ageing.moment)
        await workers.forget(connection, before=now - FORGET_WORKERS)
    while True:
        async with database.write() as connection:
            gone = await results.prune(connection, before=ageing.moment - retention, limit=PRUNE_BATCH)
            gone += await triggered.prune(connection, before=ageing.moment - retention, limit=PRUNE_BATCH)
            gone += await audit.prune(connection, before=ageing.moment - RETENTION_DAYS * DAY_MS, limit=PRUNE_BATCH)
        if gone == 0:
            return
        await clock.sleep(database.rest_seconds)


async def prune_by_count(database: Database, clock: Clock, *, after: str, kept: int) -> str:
    """Drop results beyond the newest *kept* of some tests, in order behind *after*; the last one of them, empty at the end."""
    before = epoch.milliseconds(clock) - NEVER_PRUNED
    async with database.read() as connection:  # whoever has no result too many takes nobody's turn to write
        looked_at, beyond = await pruning.beyond(
            connection, after=after, kept=kept, before=before, tests=TESTS_LOOKED_AT
        )
    for test in beyond:
        while True:
            async with database.write() as connection:
                gone = await pruning.drop(connection, test, kept=kept, before=before, limit=PRUNE_BATCH)
            if gone < PRUNE_BATCH:
                break
            await clock.sleep(database.rest_seconds)
    return looked_at
