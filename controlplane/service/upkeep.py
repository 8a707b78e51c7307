"""Upkeep: settle what nobody asked for in time, and drop what is too old. A short transaction at a time."""

from __future__ import annotations

from controlplane import epoch
from controlplane.leases import Grace
from controlplane.store import locations, results, sweep, workers
from controlplane.store.database import Database
from worker.clock import Clock

PRUNE_BATCH = 500
FORGET_WORKERS = 24 * 3600 * 1000
"""Milliseconds after which a worker process that was not seen is no longer listed."""


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


async def prune(database: Database, clock: Clock, *, retention_days: float) -> None:
    """Drop expired credentials, workers that went away, and results and jobs older than *retention_days*."""
    now = epoch.milliseconds(clock)
    before = now - round(retention_days * 24 * 3600 * 1000)
    async with database.write() as connection:
        await locations.drop_expired_credentials(connection, now=now)
        await workers.forget(connection, before=now - FORGET_WORKERS)
    while True:
        async with database.write() as connection:
            if await results.prune(connection, before=before, limit=PRUNE_BATCH) == 0:
                return
        await clock.sleep(database.rest_seconds)
