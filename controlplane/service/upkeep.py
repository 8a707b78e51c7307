"""Upkeep: settle what nobody asked for in time, drop what is too old, follow the machine's clock. A transaction at a time."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.ageing import Ageing, aged
from controlplane.counters import Counters
from controlplane.epoch import DAY_MS
from controlplane.leases import Grace
from controlplane.service import hooks, remediation, runs, signingkeys, silences, steps, tasks
from controlplane.service.audit import RETENTION_DAYS
from controlplane.service.sessions import IDLE_MS
from controlplane.steady import HELD_SECONDS, STEP_SECONDS, Anchor, KeptClock, SteadyClock
from controlplane.store import (
    actionruns,
    alerting,
    apps,
    audit,
    locations,
    marks,
    notifications,
    pruning,
    results,
    sessions,
    starts,
    sweep,
    transitions,
    triggered,
    workers,
    workflowruns,
    workflows,
)
from controlplane.store import tasks as action_tasks
from controlplane.store.database import Database
from controlplane.store.sweep import MissedReason
from worker.clock import Clock

log = logging.getLogger(__name__)

_KEPT_TIMES = (action_tasks.shift, workflowruns.shift, starts.shift, sessions.shift, notifications.shift)
"""Times beside those of the sweep that move with a step of the clock."""
PRUNE_BATCH = 500
AGE_TURNS = 60
"""Turns between looks at what is too old: minutes."""
TOLD_WITHIN_MS = 500
"""The least exactness of the anchor that commands go by: a clock that is set by a second, again and again, moves it."""
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
    """The turns that one process takes at its database, one a second. A later one makes up for what failed.

    *on_ended* is told the runs of private actions that time has ended.
    """

    def __init__(
        self,
        database: Database,
        clock: SteadyClock,
        grace: Grace,
        *,
        retention: Retention,
        counters: Counters,
        on_ended: Callable[[str], None] = lambda _run: None,
    ) -> None:
        self._on_ended = on_ended
        self._database = database
        self._clock = clock
        self._grace = grace
        self._retention = retention
        self._counters = counters
        self._pruned_test = ""
        self._turns = 0
        self._begun = False
        self._look_ahead = True
        self._since_ns = clock.monotonic_ns()
        self._aged_ns: int | None = None
        self._told: Anchor | None = None

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
        for run in await tasks.settle(self._database, self._clock, self._grace):
            self._on_ended(run)
        for name in (
            *await remediation.carry_out(self._database, self._clock),
            *await steps.resume(self._database, self._clock),
        ):
            self._on_ended(name)
        if self._turns % AGE_TURNS == 0:
            await self._age()
            await signingkeys.tend(self._database, self._clock)
        if self._retention.per_test is not None:
            kept, after = self._retention.per_test, self._pruned_test
            self._pruned_test = await prune_by_count(self._database, self._clock, after=after, kept=kept)
        self._turns += 1

    async def _tell_others(self) -> None:
        """Write down the time that is kept, so that commands keep the same."""
        anchor = self._clock.anchor()
        if self._told is None or not anchor.is_near(self._told, TOLD_WITHIN_MS):
            async with self._database.write() as connection:
                await marks.put_anchor(connection, anchor)
            self._told = anchor

    async def _age(self) -> None:
        """Note the time and the age of results; drop what is too old once the clock has held for long enough to be believed."""
        now_ns = self._clock.monotonic_ns()
        passed = 0 if self._aged_ns is None else (now_ns - self._aged_ns) // 1_000_000
        ageing = await age(self._database, self._clock, retention=self._retention.age_ms, passed=passed)
        self._aged_ns = now_ns
        if not self._clock.ignored_seconds and now_ns - self._since_ns >= HELD_SECONDS * 1e9:
            await prune(self._database, self._clock, ageing, retention=self._retention.age_ms)


async def go_along(connection: AsyncConnection, clock: KeptClock) -> None:
    """Let *clock* keep the time of whoever serves the database, as it is in this transaction."""
    clock.anchor = await marks.anchor(connection)


async def take_up_time(database: Database, clock: Clock, line: str) -> SteadyClock:
    """The clock of a process that begins to serve the database, on *line* of monotonic time.

    Where the last one was on the same line it goes on by that one's time. Otherwise nobody can tell a clock that was set ahead
    from an absence: it is taken for an absence, and said.
    """
    async with database.read() as connection:
        before, latest = await marks.anchor(connection), await marks.latest(connection)
    kept = SteadyClock(clock, line, before)
    away = (epoch.milliseconds(kept) - latest) / 1000
    if latest and away > HELD_SECONDS and not (before and before.holds_on(line)):
        log.warning(
            "nobody served this database for %.0f s, if the clock is right: what was due is noted as missed, and nothing is "
            "dropped for its age before the clock has held for %.0f s",
            away,
            HELD_SECONDS,
            extra={"action": "away", "seconds": round(away)},
        )
    return kept


async def come_back(database: Database, clock: SteadyClock) -> bool:
    """Move kept times back where they lie ahead of a clock that was set back while nobody served; tell if they did."""
    async with database.write() as connection:
        now = epoch.milliseconds(clock)
        ahead = await marks.latest(connection) - now
        if ahead <= STEP_SECONDS * 1000:
            return False
        by = _shift(-round(ahead / 1000))
        await sweep.shift(connection, by=by)
        for shift in _KEPT_TIMES:
            await shift(connection, by=by)
        await marks.put_clock(connection, now)
        await marks.put_anchor(connection, clock.anchor())
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
        for shift in _KEPT_TIMES:
            await shift(connection, by=by)
        await marks.put_clock(connection, epoch.milliseconds(clock) + by)
        await marks.put_anchor(connection, clock.anchor().moved(held.total_seconds()))
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
    """Note missed runs and lost jobs until there are no more, then judge monitors; the runs missed, by location and reason.

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
            rows = max(runs.rows, jobs.rows, ahead)
            if rows < sweep.BATCH:  # monitors come last: what was missed makes a location blind
                rows = await alerting.settle(connection, now=now, limit=sweep.BATCH)
        missed.update(runs.missed)
        missed.update(jobs.missed)
        if rows < sweep.BATCH:
            return missed
        await clock.sleep(database.rest_seconds)


async def age(database: Database, clock: Clock, *, retention: int, passed: int) -> Ageing:
    """Count the ages of results anew, by `ageing`, so that no step makes any.

    *passed* are the milliseconds of serving since the last time.
    """
    async with database.write() as connection:
        now = epoch.milliseconds(clock)
        before, oldest = await marks.ageing(connection), await results.oldest(connection)
        ageing = aged(before, now, passed=passed, oldest=oldest, retention=retention)
        await marks.put_ageing(connection, ageing)
        await marks.put_clock(connection, now)
    return ageing


async def prune(database: Database, clock: Clock, ageing: Ageing, *, retention: int) -> None:
    """Drop expired credentials, workers that went away, and results and jobs older than *retention*, in milliseconds."""
    async with database.write() as connection:
        await locations.drop_expired_credentials(connection, now=ageing.moment)
        await workers.forget(connection, before=ageing.at - FORGET_WORKERS)
        await sessions.prune(connection, now=ageing.at, seen_since=ageing.at - IDLE_MS)
    await silences.prune(database, clock)
    while True:
        async with database.write() as connection:
            gone = await results.prune(connection, before=ageing.moment - retention, limit=PRUNE_BATCH)
            gone += await transitions.prune(connection, before=ageing.moment - retention, limit=PRUNE_BATCH)
            gone += await triggered.prune(connection, before=ageing.moment - retention, limit=PRUNE_BATCH)
            gone += await apps.prune_claims(connection, before=ageing.moment - apps.CLAIMS_KEPT_MS, limit=PRUNE_BATCH)
            gone += await actionruns.prune(connection, before=ageing.moment - runs.KEEP_MS, limit=PRUNE_BATCH)
            gone += await workflows.prune_bodies(
                connection, before=ageing.moment - hooks.REMEMBERED_MS, limit=PRUNE_BATCH
            )
            gone += await starts.prune(connection, before=ageing.moment - remediation.REMEMBERED_MS, limit=PRUNE_BATCH)
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
