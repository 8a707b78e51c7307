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
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import text

from controlplane.boot import monotonic_line
from controlplane.errors import StatementError
from controlplane.leases import LEASE_TTL
from controlplane.service import upkeep
from controlplane.service.upkeep import AGE_TURNS, Upkeep, come_back, take_up_time
from controlplane.steady import HELD_SECONDS, KeptClock, SteadyClock
from controlplane.store.tables import assignments, jobs, results, workers
from tests.integration.controlplane.plane import LINE, Plane
from tests.integration.controlplane.typed import Run
from tests.integration.controlplane.watch import kept_up
from tests.support.definitions import http_test
from tests.support.protocol import ProtocolWorker, item
from worker.wire.messages import MAX_MILLISECONDS, Job

HOUR = 3600
DAYS = 40 * 86_400
EXACT = timedelta(milliseconds=2)
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


async def start_anew(office: Office, line: str) -> None:
    """Serve as a new process does, on *line* of monotonic time. Its handlers keep the object that is their clock."""
    known = await take_up_time(office.plane.database, office.plane.clock, line)
    vars(office.plane.context.clock).clear()
    vars(office.plane.context.clock).update(vars(known))
    office.upkeep = kept_up(office.plane)


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


EITHER_WAY = pytest.mark.parametrize("step", [ahead, back])
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


async def test_a_clock_that_was_set_back_between_two_boots_moves_what_was_due(office: Office) -> None:
    await office.serve(240)
    back(office.plane)
    await start_anew(office, "the next boot")
    await office.serve(120)
    assert office.plane.context.clock.now() == office.plane.clock.now()
    assert await office.notes() == []
    assert set(Counter((bytes(job.test), job.scheduled_at) for job in office.jobs).values()) == {1}
    per_test = Counter(bytes(job.test) for job in office.jobs)
    assert set(per_test.values()) <= {8, 9}
    assert isinstance(office.plane.context.clock, SteadyClock)
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


@pytest.fixture
def command(office: Office) -> KeptClock:
    """The clock of a command on the same machine, which looks at the database as it begins to write."""
    clock = KeptClock(office.plane.clock, LINE)
    office.plane.database.before_write = partial(upkeep.go_along, clock=clock)
    return clock


async def at_work(office: Office, command: KeptClock) -> timedelta:
    """The difference between the two while a command writes."""
    async with office.plane.database.write():
        return abs(command.now() - office.plane.context.clock.now())


@EACH_STEP
async def test_commands_keep_the_time_of_whoever_serves(
    office: Office, command: KeptClock, step: Callable[[Plane], None]
) -> None:
    step(office.plane)
    assert await at_work(office, command) <= EXACT, "nobody who serves has noticed the step"
    for seconds in (TURN, HELD_SECONDS):
        await office.serve(seconds, worker=False)
        assert await at_work(office, command) <= EXACT
    assert office.plane.context.clock.now() == office.plane.clock.now()


@EACH_STEP
async def test_commands_on_another_line_of_time_keep_it_once_it_was_told(
    office: Office, command: KeptClock, step: Callable[[Plane], None]
) -> None:
    elsewhere = KeptClock(office.plane.clock, "another line")
    office.plane.database.before_write = partial(upkeep.go_along, clock=elsewhere)
    step(office.plane)
    await office.serve(TURN, worker=False)
    assert await at_work(office, elsewhere) <= EXACT


@EITHER_WAY
async def test_a_command_that_begins_before_a_step_is_followed_writes_in_the_time_after_it(
    office: Office, command: KeptClock, step: Callable[[Plane], None]
) -> None:
    step(office.plane)
    await office.serve(HELD_SECONDS - TURN, worker=False)
    async with office.plane.database.read() as connection:
        await upkeep.go_along(connection, command)
    before = command.now()
    await office.serve(2 * TURN, worker=False)
    assert office.plane.context.clock.now() == office.plane.clock.now()
    assert await at_work(office, command) <= EXACT
    assert abs(command.now() - before) > timedelta(seconds=HOUR / 2)


async def test_many_small_steps_leave_commands_no_further_behind_than_one(office: Office, command: KeptClock) -> None:
    for _ in range(10):
        office.plane.clock.step_wall(1.5)
        await office.serve(TURN)
        assert await at_work(office, command) <= EXACT
    assert office.plane.context.clock.now() == office.plane.clock.now()


@EITHER_WAY
async def test_a_clock_that_was_set_between_two_starts_of_one_boot_is_a_step(
    office: Office, step: Callable[[Plane], None]
) -> None:
    before = office.plane.context.clock.now()
    step(office.plane)
    office.plane.clock.stall(20)
    await start_anew(office, LINE)
    assert office.plane.context.clock.now() - before == timedelta(seconds=20)
    await office.serve(HELD_SECONDS + 60)
    assert office.plane.context.clock.now() == office.plane.clock.now()
    assert await office.notes() == []
    assert set(Counter((bytes(job.test), job.scheduled_at) for job in office.jobs).values()) == {1}


async def test_a_clock_that_is_ahead_after_a_boot_is_an_absence_and_drops_nothing_before_it_has_held(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    stored = await office.stored()
    ahead(office.plane)
    await start_anew(office, "the next boot")
    assert [record.action for record in caplog.records] == ["away"]  # type: ignore[attr-defined]
    await office.serve(120)
    (seen,) = await office.plane.rows(workers)
    assert len(seen) == 1
    office.plane.clock.step_wall(-DAYS)
    await office.serve(HELD_SECONDS + 60)
    assert office.plane.context.clock.now() == office.plane.clock.now()
    assert await office.stored() > stored
    notes = [json.loads(note) for note in await office.notes()]
    assert len(notes) == 3, "one of each test, of all that the clock passed over"
    assert all("while the control plane was away" in note["unhealthy"] for note in notes)
    assert set(Counter((bytes(job.test), job.scheduled_at) for job in office.jobs).values()) == {1}


async def test_workers_are_forgotten_only_by_a_clock_that_has_held(office: Office) -> None:
    office.plane.clock.step_wall(2 * 86_400)
    await start_anew(office, "the next boot")
    await office.serve(HELD_SECONDS - 60, worker=False)
    assert len((await office.plane.rows(workers))[0]) == 1
    await office.serve((AGE_TURNS + 1) * TURN, worker=False)
    assert (await office.plane.rows(workers))[0] == []


def test_a_push_before_serve_has_noticed_a_step_is_due_in_the_databases_time(
    run: Run, location: str, tmp_path: Path
) -> None:
    (tmp_path / "test.json").write_text(json.dumps(http_test()))
    kept = time.time() + HOUR
    mark = f"{(kept - time.monotonic()) * 1000:.0f} 0 {monotonic_line()}"
    with closing(sqlite3.connect("controlplane.db")) as database, database:
        database.execute("INSERT INTO about VALUES ('clock_anchor', ?)", (mark.encode(),))
    run("test", "push", "test.json", "--location", location)
    with closing(sqlite3.connect("controlplane.db")) as database:
        (due_at,) = database.execute("SELECT due_at FROM assignments").fetchone()
    assert 3_500_000 < due_at - time.time() * 1000 <= 3_600_100
