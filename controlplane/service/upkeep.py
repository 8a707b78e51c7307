"""Upkeep: settle what nobody asked for in time, drop what is too old, follow the machine's clock. A transaction at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from controlplane import epoch
from controlplane.ageing import aged
from controlplane.leases import Grace
from controlplane.service import runs, tasks
from controlplane.service.audit import RETENTION_DAYS
from controlplane.steady import STEP_SECONDS, SteadyClock
from controlplane.store import audit, locations, marks, results, sweep, triggered, workers
from controlplane.store import tasks as action_tasks
from controlplane.store.database import Database
from worker.clock import Clock

log = logging.getLogger(__name__)

PRUNE_BATCH = 500
PRUNE_TURNS = 60
"""Turns between looks at what is too old: minutes."""
DAY_MS = 24 * 3600 * 1000
FORGET_WORKERS = DAY_MS
"""Milliseconds after which a worker process that was not seen is no longer listed."""


class Upkeep:
    """The turns that one process takes at its database, one a second. A later one makes up for what failed.

    *on_ended* is told the runs of private actions that time has ended.
    """

    def __init__(
        self,
        database: Database,
        clock: SteadyClock,
        grace: Grace,
        *,
        retention_days: float,
        on_ended: Callable[[str], None] = lambda _run: None,
    ) -> None:
        self._on_ended = on_ended
        self._database = database
        self._clock = clock
        self._grace = grace
        self._retention = round(retention_days * 24 * 3600 * 1000)
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
        await settle(self._database, self._clock, self._grace, look_ahead=self._look_ahead)
        self._look_ahead = False
        for run in await tasks.settle(self._database, self._clock, self._grace):
            self._on_ended(run)
        if self._turns % PRUNE_TURNS == 0:
            await self._prune()
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
        await prune(self._database, self._clock, retention=self._retention, passed=passed)
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
        await action_tasks.shift(connection, by=by)
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
        await action_tasks.shift(connection, by=by)
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


async def settle(database: Database, clock: Clock, grace: Grace, *, look_ahead: bool) -> None:
    """Note missed runs and lost jobs until there are no more. *look_ahead* where the clock may have been set back."""
    while True:
        async with database.write() as connection:
            now = epoch.milliseconds(clock)  # after the wait for the lock, as that of whom was waited for
            expiry = grace.expiry(now)
            runs = await sweep.settle_runs(connection, now=now)
            jobs = await sweep.settle_jobs(connection, now=now, expiry=expiry)
            ahead = await sweep.mend_runs(connection, now=now) if look_ahead else 0
        if max(runs, jobs, ahead) < sweep.BATCH:
            return
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
            gone += await action_tasks.prune(connection, before=ageing.moment - runs.KEEP_MS, limit=PRUNE_BATCH)
            gone += await audit.prune(connection, before=ageing.moment - RETENTION_DAYS * DAY_MS, limit=PRUNE_BATCH)
        if gone == 0:
            return
        await clock.sleep(database.rest_seconds)
