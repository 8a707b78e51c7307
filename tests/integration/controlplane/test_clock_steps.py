"""Clocks that step while a control plane serves, and between two of its starts: nothing is pruned, held, missed or run again."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import text

from controlplane.counters import Counters as LeaseCounters
from controlplane.errors import StatementError
from controlplane.leases import LEASE_TTL
from controlplane.service.upkeep import Retention, Upkeep, come_back, offset
from controlplane.steady import HELD_SECONDS, OffsetClock, SteadyClock
from controlplane.store.tables import assignments, jobs, results, workers
from tests.integration.controlplane.plane import Plane
from tests.integration.controlplane.typed import Run
from tests.support.definitions import http_test
from tests.support.protocol import ProtocolWorker, item
from worker.wire.messages import MAX_MILLISECONDS, Job

HOUR = 3600
DAYS = 40 * 86_400
TURN = 4
"""Seconds between two turns: less than would be an absence."""


@dataclass
class Office:
    """A control plane that is kept up, and its one worker, which runs everything at once and is right about the time."""

    plane: Plane
    session: aiohttp.ClientSession
    worker: ProtocolWorker
    upkeep: Upkeep
    jobs: list[Job] = field(default_factory=list)

    async def serve(self, seconds: float, *, worker: bool = True) -> None:
        for turn in range(round(seconds) // TURN):
            self.plane.clock.stall(TURN)
            await self.upkeep.turn()
            if worker and turn % 2 == 0:
                await self.run()

    async def run(self) -> None:
        given = (await self.worker.pull(self.session)).jobs
        self.jobs += given
        if given:
            await self.worker.push(self.session, *(item(job) for job in given))

    async def given(self, test: str) -> Job:
        """The job of *test* in what the worker is given now, whatever else is due."""
        given = (await self.worker.pull(self.session)).jobs
        return next(job for job in given if test.encode() in bytes(job.test))

    async def notes(self) -> list[str]:
        (rows,) = await self.plane.rows(results)
        return [row.outcome for row in rows if row.origin != "worker"]

    async def stored(self) -> int:
        return len((await self.plane.rows(results))[0])


def kept_up(plane: Plane) -> Upkeep:
    assert isinstance(plane.context.clock, SteadyClock)
    return Upkeep(
        plane.database,
        plane.context.clock,
        plane.context.grace,
        retention=Retention(age_ms=30 * 86_400_000),
        counters=LeaseCounters(),
    )


@pytest.fixture
async def office(plane: Plane, session: aiohttp.ClientSession) -> Office:
    worker = await plane.add_location()
    worker.clock = plane.context.clock
    for letter in "abc":
        await plane.add_test(worker.location, f"{letter}aa-aaa-aaa", period=60)
    office = Office(plane, session, worker, kept_up(plane))
    await office.serve(120)
    return office


def ahead(plane: Plane) -> None:
    plane.clock.step_wall(DAYS)


def back(plane: Plane) -> None:
    plane.clock.step_wall(-HOUR)


def far_back(plane: Plane) -> None:
    plane.clock.step_wall(-20 * DAYS)


EACH_STEP = pytest.mark.parametrize("step", [ahead, back, far_back])


@EACH_STEP
async def test_a_clock_that_steps_for_a_minute_changes_nothing(office: Office, step: Callable[[Plane], None]) -> None:
    stored = await office.stored()
    moment = office.plane.clock.now()
    step(office.plane)
    by = office.plane.clock.now() - moment
    await office.serve(60)
    office.plane.clock.step_wall(-by.total_seconds())
    await office.serve(120)
    assert await office.stored() == stored + 3 * 3
    assert await office.notes() == []


@EACH_STEP
async def test_a_step_that_holds_is_followed_and_no_run_is_missed_or_doubled(
    office: Office, step: Callable[[Plane], None]
) -> None:
    step(office.plane)
    await office.serve(HELD_SECONDS + 300)
    assert office.plane.context.clock.now() == office.plane.clock.now()
    assert await office.notes() == []
    times = Counter((bytes(job.test), job.scheduled_at) for job in office.jobs)
    assert set(times.values()) == {1}
    per_test = Counter(bytes(job.test) for job in office.jobs)
    assert set(per_test.values()) <= {12, 13}, "12 minutes of a run a minute, and the first one at once"
    assert await office.stored() == len(office.jobs), "nothing was pruned"


async def test_a_clock_that_goes_back_and_forth_misses_nothing(office: Office) -> None:
    for seconds in (HOUR, -2 * HOUR, 2 * HOUR, -HOUR) * 2:
        office.plane.clock.step_wall(seconds)
        await office.serve(40)
    assert await office.notes() == []
    assert set(Counter((bytes(job.test), job.scheduled_at) for job in office.jobs).values()) == {1}


@EACH_STEP
async def test_a_worker_that_dies_as_the_clock_steps_holds_its_jobs_no_longer_than_a_lease(
    office: Office, step: Callable[[Plane], None]
) -> None:
    await office.plane.add_test(office.worker.location, "zzz-zzz-zzz", period=600)
    job = await office.given("zzz-zzz-zzz")
    step(office.plane)
    await office.serve(LEASE_TTL // 1000 + 2 * TURN, worker=False)
    again = (await office.worker.another().pull(office.session)).jobs
    assert (job.job, 2) in {(one.job, one.delivery) for one in again}


async def test_a_worker_that_is_silent_when_a_step_is_followed_holds_its_jobs_no_longer_than_a_lease(
    office: Office,
) -> None:
    back(office.plane)
    await office.serve(HELD_SECONDS - 2 * TURN)
    await office.plane.add_test(office.worker.location, "yyy-yyy-yyy", period=3600)
    job = await office.given("yyy-yyy-yyy")
    await office.serve(LEASE_TTL // 1000 * 2 + 4 * TURN, worker=False)
    assert office.plane.context.clock.now() == office.plane.clock.now()
    again = (await office.worker.another().pull(office.session)).jobs
    assert (job.job, 2) in {(one.job, one.delivery) for one in again}


async def test_a_clock_that_was_set_back_between_two_starts_moves_what_was_due(office: Office) -> None:
    await office.serve(240)
    back(office.plane)
    office.plane.context.clock.__init__(office.plane.clock)  # type: ignore[misc]  # a new process knows no earlier time
    office.upkeep = kept_up(office.plane)
    await office.serve(120)
    assert office.plane.context.clock.now() == office.plane.clock.now()
    assert await office.notes() == []
    assert set(Counter((bytes(job.test), job.scheduled_at) for job in office.jobs).values()) == {1}
    per_test = Counter(bytes(job.test) for job in office.jobs)
    assert set(per_test.values()) <= {8, 9}
    assert not await come_back(office.plane.database, office.plane.context.clock), "once is enough"


async def test_a_step_whose_transaction_fails_is_followed_by_a_later_turn(office: Office) -> None:
    back(office.plane)
    await office.serve(HELD_SECONDS - TURN)
    before = (await office.plane.rows(assignments, jobs, workers))[0]
    async with office.plane.database.write() as connection:
        await connection.execute(
            text("CREATE TRIGGER full BEFORE UPDATE ON workers BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        )
    office.plane.clock.stall(2 * TURN)
    with pytest.raises(StatementError):
        await office.upkeep.turn()
    assert [row.due_at for row in (await office.plane.rows(assignments))[0]] == [row.due_at for row in before]
    async with office.plane.database.write() as connection:
        await connection.execute(text("DROP TRIGGER full"))
    await office.serve(120)
    assert office.plane.context.clock.now() == office.plane.clock.now()
    assert await office.notes() == []


async def test_runs_that_lie_ahead_are_mended_although_the_first_turn_failed(office: Office) -> None:
    """As a command with another idea of the time leaves them: no mark shows it."""
    async with office.plane.database.write() as connection:
        await connection.execute(assignments.update().values(due_at=assignments.c.due_at + 10**9))
        await connection.execute(
            text("CREATE TRIGGER full BEFORE UPDATE ON assignments BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        )
    office.upkeep = kept_up(office.plane)
    with pytest.raises(StatementError):
        await office.upkeep.turn()
    async with office.plane.database.write() as connection:
        await connection.execute(text("DROP TRIGGER full"))
    count = len(office.jobs)
    await office.serve(120)
    assert len(office.jobs) >= count + 3


@pytest.mark.parametrize("until", [-(10**15), 10**15])
async def test_whatever_a_job_ends_at_its_batch_can_be_read(office: Office, until: int) -> None:
    await office.plane.add_test(office.worker.location, "zzz-zzz-zzz", period=600)
    job = await office.given("zzz-zzz-zzz")
    async with office.plane.database.write() as connection:
        moved = office.plane.now() + until if until > 0 else office.plane.now() + 1
        await connection.execute(jobs.update().where(jobs.c.id == job.job).values(until=moved))
    again = await office.given("zzz-zzz-zzz")
    assert again.start_by == (MAX_MILLISECONDS if until > 0 else 1)


@EACH_STEP
async def test_commands_keep_the_time_of_whoever_serves(office: Office, step: Callable[[Plane], None]) -> None:
    command = OffsetClock(office.plane.clock)
    step(office.plane)
    for seconds in (TURN, HELD_SECONDS):
        await office.serve(seconds, worker=False)
        command.offset = await offset(office.plane.database)
        assert command.now() == office.plane.context.clock.now()
    assert command.offset == timedelta()


def test_a_push_while_a_step_is_not_followed_is_due_in_the_databases_time(
    run: Run, location: str, tmp_path: Path
) -> None:
    (tmp_path / "test.json").write_text(json.dumps(http_test()))
    with closing(sqlite3.connect("controlplane.db")) as database, database:
        database.execute("INSERT INTO about VALUES ('clock_offset', ?)", (b"3600000",))
    run("test", "push", "test.json", "--location", location)
    with closing(sqlite3.connect("controlplane.db")) as database:
        (due_at,) = database.execute("SELECT due_at FROM assignments").fetchone()
    assert 3_500_000 < due_at - time.time() * 1000 <= 3_600_000
