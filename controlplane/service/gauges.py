"""The state of things for metrics: of locations and runs in one view, of tests a page at a time, so that nobody waits for all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from controlplane import epoch
from controlplane.service.locations import HEALTHY
from controlplane.store import gauges, rungauges
from controlplane.store.database import Database
from controlplane.store.gauges import LocationGauges, NewestRun
from controlplane.store.rungauges import RunGauges
from worker.clock import Clock

PAGE = 500
"""Tests of one step: a few milliseconds, between which pulls have their turns."""
FIRST = ("", "")


async def of_locations(database: Database, clock: Clock) -> Sequence[LocationGauges]:
    """Read every location, by name."""
    now = epoch.milliseconds(clock)
    async with database.read() as connection:
        return await gauges.of_locations(connection, now=now, seen_since=now - HEALTHY)


async def of_runs(database: Database) -> RunGauges:
    """Read the runs of private actions that nobody has finished with, and each runner's queue."""
    async with database.read() as connection:
        return await rungauges.of_runs(connection)


async def of_tests(database: Database, *, most: int) -> AsyncIterator[Sequence[NewestRun]]:
    """Read the newest runs of tests, at most *most* of them, page by page."""
    after, left = FIRST, most
    while left > 0:
        async with database.read() as connection:
            page = await gauges.of_tests(connection, after=after, limit=min(PAGE, left))
        if not page:
            return
        yield page
        after, left = (page[-1].test, page[-1].location), left - len(page)


async def count_behind(database: Database, after: tuple[str, str]) -> int:
    """Count the tests at their locations that come behind *after*."""
    async with database.read() as connection:
        return await gauges.count_behind(connection, after)
