"""Writes of many rows: in steps, between which others have their turn, and taken up again where one was cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import aiohttp
import pytest
from sqlalchemy import func, select, update

from controlplane.service import definitions, locations, tests, upkeep
from controlplane.service.definitions import CheckedDefinition
from controlplane.service.principal import operator
from controlplane.service.tests import AssignedTest, Change
from controlplane.store import locations as store_locations
from controlplane.store import sweep
from controlplane.store import tests as store_tests
from controlplane.store.database import Database
from controlplane.store.tables import assignments, results
from tests.integration.controlplane.plane import Plane
from tests.support.clock import FakeClock
from tests.support.definitions import http_test

MANY = 2 * max(store_tests.STEP, sweep.BATCH, tests.AT_ONCE) + 1


class Still(FakeClock):
    """A clock that stands: who rests goes on at the next turn of the loop."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


CLOCK = Still()
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
