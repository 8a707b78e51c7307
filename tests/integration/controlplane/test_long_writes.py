"""Writes of many rows: in steps, between which others have their turn, and taken up again where one was cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import aiohttp
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.errors import InUseError, NotFoundError
from controlplane.operations.tests import CHECK_PUSH, PushTests, SentDefinition
from controlplane.service import definitions, locations, tests, upkeep
from controlplane.service.definitions import CheckedDefinition
from controlplane.service.principal import operator
from controlplane.service.tests import AssignedTest, Change
from controlplane.store import locations as store_locations
from controlplane.store import sweep
from controlplane.store import tests as store_tests
from controlplane.store.database import Database
from controlplane.store.tables import assignments, jobs, results
from tests.integration.controlplane.plane import Plane
from tests.support.clock import FakeClock
from tests.support.definitions import http_test

MANY = 2 * max(store_tests.STEP, sweep.BATCH, tests.AT_ONCE) + 1


class Still(FakeClock):
    """A clock that stands: who rests goes on at the next turn of the loop."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


CLOCK = Still()


class CutShort(Still):
    """Lets nothing go on behind the first rest at which *count* gives less than *whole*."""

    def __init__(self, count: Callable[[], Awaitable[int]], whole: int) -> None:
        super().__init__()
        self.reached = asyncio.Event()
        self._count = count
        self._whole = whole

    async def sleep(self, _seconds: float) -> None:
        if await self._count() < self._whole:
            self.reached.set()
            await asyncio.Event().wait()


SOMEBODY = operator("somebody")


def many(count: int = MANY) -> list[CheckedDefinition]:
    return [definitions.check(f"{at}", http_test(f"test {at}", tick_every=60)) for at in range(count)]


@pytest.fixture
async def plane_with_many(plane: Plane) -> Plane:
    await plane.add_location("office")
    await plane.add_location("lab")
    await tests.push(plane.database, CLOCK, SOMEBODY, many(), places=["office"])
    return plane


async def due(plane: Plane) -> int:
    async with plane.database.read() as connection:
        found = await connection.scalar(select(func.count()).where(assignments.c.due_at.is_not(None)))
    return found or 0


async def turns(plane: Plane, work: Awaitable[object]) -> int:
    """Do *work*, and count the transactions that another writer of this process had before it ended."""
    ended = asyncio.ensure_future(work)
    others = 0
    while not ended.done():
        async with plane.database.write():
            others += 1
    await ended
    return others


async def test_a_push_lets_others_write_between_its_portions(plane: Plane) -> None:
    await plane.add_location("office")
    assert (
        await turns(plane, tests.push(plane.database, CLOCK, SOMEBODY, many(), places=["office"]))
        > MANY // tests.AT_ONCE
    )
    assert await due(plane) == MANY


async def test_definitions_that_come_over_the_api_are_read_a_few_at_a_time(plane: Plane) -> None:
    await plane.add_location("office")
    sent = [SentDefinition(place=one.place, content=one.content) for one in many()]
    checking = asyncio.ensure_future(
        CHECK_PUSH.run(plane.database, CLOCK, SOMEBODY, PushTests(definitions=sent, locations=["office"]))
    )
    others = 0
    while not checking.done():
        await asyncio.sleep(0)
        others += 1
    await checking
    assert others > MANY // definitions.AT_ONCE


async def every_test(database: Database) -> tuple[AssignedTest, ...]:
    return await tests.list_page(database, SOMEBODY, offset=0, limit=100_000)


async def test_a_push_of_the_same_changes_nothing_and_assigns_them_elsewhere(plane_with_many: Plane) -> None:
    database = plane_with_many.database
    pushed = await tests.push(database, CLOCK, SOMEBODY, many(), places=["lab"])
    assert {one.change for one in pushed} == {Change.UNCHANGED}
    assert {one.test.version for one in pushed} == {1}
    places = {len(one.assignments) for one in await every_test(database)}
    assert places == {2}


async def test_one_push_may_add_and_update_and_leave_alone(plane: Plane) -> None:
    await plane.add_location("office")
    old, other = many(2)
    await tests.push(plane.database, CLOCK, SOMEBODY, [old, other], places=["office"])
    changed = definitions.check("changed", other.content | {"message": "changed"})
    pushed = await tests.push(plane.database, CLOCK, SOMEBODY, [old, changed, *many(3)[2:]], places=["office"])
    assert [one.change for one in pushed] == [Change.UNCHANGED, Change.UPDATED, Change.ADDED]
    assert [one.test.version for one in await every_test(plane.database)] == [1, 2, 1]


async def test_a_switch_lets_others_write_between_its_steps(plane_with_many: Plane) -> None:
    plane, database = plane_with_many, plane_with_many.database
    steps = MANY // store_tests.STEP
    assert await turns(plane, locations.set_enabled(database, CLOCK, SOMEBODY, "office", enabled=False)) > steps
    assert await due(plane) == 0
    assert await turns(plane, locations.set_enabled(database, CLOCK, SOMEBODY, "office", enabled=True)) > steps
    assert await due(plane) == MANY


@pytest.fixture
async def plane_with_many_jobs(plane_with_many: Plane) -> Plane:
    """Many runs of one location are under way or over, and one of another."""
    for name, count in (("office", MANY), ("lab", 1)):
        place = await location(plane_with_many, name)
        row = {
            "test_id": "abc-def-ghi",
            "location_id": place,
            "scheduled_at": 1,
            "until": 2,
            "delivery": 1,
            "leased_at": 1,
        }
        async with plane_with_many.database.write() as connection:
            await connection.execute(jobs.insert(), [row | {"id": f"{name}-{number:06}"} for number in range(count)])
    return plane_with_many


async def location(plane: Plane, name: str) -> str:
    async with plane.database.read() as connection:
        return (await store_locations.find(connection, name)).id


async def count(connection: AsyncConnection) -> int:
    """Rows that a deleted location takes along."""
    return sum([await connection.scalar(select(func.count()).select_from(table)) or 0 for table in (assignments, jobs)])


async def test_a_deletion_takes_a_bounded_part_at_a_time_and_lets_others_write_between(
    plane_with_many_jobs: Plane,
) -> None:
    plane, database = plane_with_many_jobs, plane_with_many_jobs.database
    left: list[int] = []

    async def look(connection: AsyncConnection) -> None:
        left.append(await count(connection))

    database.before_write = look
    others = await turns(plane, locations.delete(database, CLOCK, SOMEBODY, "office", force=True))
    left.append(await plane_count(plane))
    steps = [before - after for before, after in pairwise(left) if before > after]
    assert (sum(steps), max(steps)) == (2 * MANY, 2 * store_tests.STEP)
    assert others > len(steps) - 1 > MANY // store_tests.STEP - 1
    assert [row.location_id for row in (await plane.rows(jobs))[0]] == [await location(plane, "lab")]


async def plane_count(plane: Plane) -> int:
    async with plane.database.read() as connection:
        return await count(connection)


async def test_a_deletion_that_was_cut_short_misses_nothing_and_is_taken_up_again(plane_with_many_jobs: Plane) -> None:
    plane, database = plane_with_many_jobs, plane_with_many_jobs.database
    whole = await plane_count(plane)
    clock = CutShort(lambda: plane_count(plane), whole)
    deletion = asyncio.create_task(locations.delete(database, clock, SOMEBODY, "office", force=True))
    await clock.reached.wait()
    deletion.cancel()
    await asyncio.gather(deletion, return_exceptions=True)
    assert 0 < await plane_count(plane) < whole
    async with database.write() as connection:
        assert not (await store_locations.find(connection, "office")).enabled
        await connection.execute(update(assignments).values(due_at=1, until=2))
        await sweep.settle_runs(connection, now=plane.now())
    assert await plane.rows(results) == [[]]
    with pytest.raises(InUseError):
        await locations.delete(database, CLOCK, SOMEBODY, "office", force=False)
    homeless = await locations.delete(database, CLOCK, SOMEBODY, "office", force=True)
    assert 0 < len(homeless) < MANY
    assert await plane_count(plane) == 1
    with pytest.raises(NotFoundError):
        await location(plane, "office")


async def test_a_location_is_refused_from_the_first_step_off_to_the_last_one_on(plane_with_many: Plane) -> None:
    plane, database = plane_with_many, plane_with_many.database

    async def enabled() -> bool:
        async with database.read() as connection:
            return (await store_locations.find(connection, "office")).enabled

    off = asyncio.create_task(locations.set_enabled(database, CLOCK, SOMEBODY, "office", enabled=False))
    while await due(plane) == MANY:
        await turns(plane, asyncio.sleep(0))
    assert not await enabled()
    await off
    on = asyncio.create_task(locations.set_enabled(database, CLOCK, SOMEBODY, "office", enabled=True))
    while not await enabled():
        await turns(plane, asyncio.sleep(0))
    assert await due(plane) == MANY
    await on


async def test_a_switch_that_was_cut_short_misses_nothing_and_is_taken_up_again(plane_with_many: Plane) -> None:
    plane, database = plane_with_many, plane_with_many.database
    async with database.write() as connection:
        place = await store_locations.find(connection, "office")
        await store_locations.set_enabled(connection, place.id, enabled=False)
        assert await store_tests.switch_off(connection, place.id) == store_tests.STEP
        await connection.execute(update(assignments).where(assignments.c.due_at.is_not(None)).values(due_at=1, until=2))
        await sweep.settle_runs(connection, now=plane.now())
    assert await plane.rows(results) == [[]]
    assert 0 < await due(plane) < MANY - store_tests.STEP
    await locations.set_enabled(database, CLOCK, SOMEBODY, "office", enabled=False)
    assert await due(plane) == 0


async def test_what_was_missed_is_noted_in_steps_and_once(plane_with_many: Plane) -> None:
    plane = plane_with_many
    async with plane.database.write() as connection:
        past = {"due_at": assignments.c.due_at - 600_000, "until": assignments.c.until - 600_000}
        await connection.execute(update(assignments).values(past))
    settling = upkeep.settle(plane.database, CLOCK, plane.context.grace, look_ahead=False)
    assert await turns(plane, settling) > MANY // sweep.BATCH
    (noted,) = await plane.rows(results)
    assert len({row.test_id for row in noted}) == len(noted) == MANY
    assert await due(plane) == MANY


async def test_a_location_with_one_worker_in_trouble_is_degraded_although_another_is_well(plane: Plane) -> None:
    worker = await plane.add_location("office")
    async with aiohttp.ClientSession() as session:
        await worker.pull(session)
        await worker.another().pull(session, degraded="outbox", free_slots=0)
    (health,) = await locations.list_all(plane.database, plane.clock, SOMEBODY)
    assert (health.state, len(health.alive)) == ("degraded", 2)
