"""The overview of tests and the page of one, below any page: states, uptime, paging, and the way to the first green run."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import insert, update

from controlplane.errors import ForbiddenError, InUseError, NotFoundError
from controlplane.service import firstvisit, locations, overview, uptimes
from controlplane.service.firstvisit import VisitStep
from controlplane.service.principal import KeyScope, Principal, operator
from controlplane.store import statuschanges
from controlplane.store.statuschanges import Point
from controlplane.store.tables import assignments, results
from controlplane.store.testsearch import EVERYTHING, NewestState, SearchTerms
from tests.integration.controlplane.plane import Plane, opened
from tests.support import protocol
from tests.support.outcomes import incorrect, outcome
from tests.support.protocol import ProtocolWorker
from worker.wire.messages import Job

BY = operator("tests")
NOBODY = Principal(name="nobody", via="page", scopes=frozenset())
TEST = "abc-def-ghi"


@pytest.fixture
async def still(tmp_path: Path) -> AsyncIterator[Plane]:
    """A control plane without a web server."""
    async with opened(tmp_path) as plane:
        yield plane


def row(number: int, *, test: str = TEST, location: str = "pl:a", status: str = "passed", at: int) -> dict[str, Any]:
    return {
        "id": f"result-{number}",
        "origin": "worker",
        "test_id": test,
        "test_name": "shop",
        "location_id": location,
        "status": status,
        "runs": 1,
        "stored_at": at,
        "outcome": "{}",
    }


async def next_job(plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession) -> Job:
    """The next run of the one test, whenever its phase lets it be due."""
    for _ in range(40):
        if jobs := (await worker.pull(session)).jobs:
            return jobs[0]
        await plane.let_pass(4)
    raise AssertionError("no run was due in more than two periods")


async def put(plane: Plane, rows: list[dict[str, Any]]) -> None:
    async with plane.database.write() as connection:
        await connection.execute(insert(results), rows)


async def test_changes_tell_what_all_results_would(still: Plane) -> None:
    """Against the definition: each result in its order, none left out."""
    chance = random.Random(17)
    told: dict[str, list[Point]] = {"aaa-aaa-aaa": [], "bbb-bbb-bbb": [], "ccc-ccc-ccc": []}
    rows, at = [], 1000
    for number in range(600):
        at += chance.choice((0, 0, 1, 700))
        test, place = chance.choice(("aaa-aaa-aaa", "bbb-bbb-bbb")), chance.choice(("pl:a", "pl:b"))
        status = chance.choice(("passed",) * 6 + ("failed", "missed"))
        told[test].append(Point(at, place, status))
        rows.append(row(number, test=test, location=place, status=status, at=at))
    await put(still, rows)
    async with still.database.read() as connection:
        found = await uptimes.changes_of(connection, list(told), since=0, until=at + 1)
        points = await statuschanges.points(connection, list(told), since=0, until=at + 1, limit=1000)
    assert found == {test: uptimes.changes(some) for test, some in told.items()}
    assert 0 < len(points["aaa-aaa-aaa"]) < len(told["aaa-aaa-aaa"])


async def test_only_the_newest_results_are_looked_at(still: Plane) -> None:
    await still.add_test((await still.add_location()).location)
    await put(still, [row(n, status="failed" if n < 5 else "passed", at=n) for n in range(10)])
    async with still.database.read() as connection:
        points = await statuschanges.points(connection, [TEST], since=0, until=100, limit=5)
    assert points == {TEST: [Point(5, "pl:a", "passed")]}


async def test_a_filter_finds_exactly_the_tests_that_show_its_state(still: Plane) -> None:
    places = [(await still.add_location(name)).location for name in "xy"]
    combinations = list(itertools.product((None, "passed", "failed", "missed"), repeat=2))
    for number, statuses in enumerate(combinations):
        public_id = f"aaa-aaa-{number:03}".translate(str.maketrans("01", "yz"))
        for place, status in zip(places, statuses, strict=True):
            await still.add_test(place, public_id, name=f"{statuses}")
            mine = (assignments.c.test_id == public_id) & (assignments.c.location_id == place)
            async with still.database.write() as connection:
                await connection.execute(update(assignments).where(mine).values(last_status=status))
    await still.add_test(places[0], "ppp-ppp-ppp", paused=True)

    every = await overview.page(still.database, still.clock, BY, EVERYTHING, offset=0)
    assert (every.total, len(every.tests)) == (17, 17)
    for newest in NewestState:
        found = await overview.page(still.database, still.clock, BY, SearchTerms(newest=newest), offset=0)
        expected = [one.test.name for one in every.tests if one.newest is newest and not one.test.paused]
        assert [one.test.name for one in found.tests] == expected
        assert expected
    worst = {one.test.name: one.newest for one in every.tests}
    assert worst["('passed', 'failed')"] is NewestState.FAILED
    assert worst["('missed', 'passed')"] is NewestState.MISSED
    assert worst["(None, 'passed')"] is NewestState.PASSED


async def test_older_runs_follow_each_other_without_a_gap_where_many_came_at_one_moment(still: Plane) -> None:
    place = (await still.add_location()).location
    await still.add_test(place)
    await put(still, [row(number, at=1000 + number // 130) for number in range(250)])
    seen: list[int] = []
    before = None
    for _ in range(4):
        report = await overview.get(still.database, still.clock, BY, TEST, before=before)
        seen += [one.run.seq for one in report.runs]
        if (before := report.next) is None:
            break
    assert seen == list(range(250, 0, -1))


async def test_large_outcomes_are_read_while_there_is_room(still: Plane) -> None:
    place = (await still.add_location()).location
    await still.add_test(place)
    large = json.dumps({"timings": {"dns": 1}, "padding": "x" * 250_000})
    await put(still, [row(number, at=number) | {"outcome": large} for number in range(60)])
    report = await overview.get(still.database, still.clock, BY, TEST)
    assert [one.timings is not None for one in report.runs] == [True] * 40 + [False] * 20
    assert len({one.run.seq for one in report.runs}) == 60


async def test_a_run_in_one_line_survives_any_outcome(still: Plane) -> None:
    place = (await still.add_location()).location
    await still.add_test(place)
    texts = ["{}", "7", '{"failure": 7, "response": {"certificate": [1]}, "timings": null}', '{"response": "x"}']
    await put(still, [row(n, at=n) | {"outcome": text} for n, text in enumerate(texts)])
    report = await overview.get(still.database, still.clock, BY, TEST)
    assert [(one.code, one.valid_until) for one in report.runs] == [(None, None)] * 4


async def test_a_test_is_told_with_its_newest_runs(plane: Plane, session: aiohttp.ClientSession) -> None:
    worker = await plane.add_location()
    await plane.add_test(worker.location)
    certificate = {"certificate": {"valid": {"to": 1_900_000_000_000}}}
    for members in (incorrect(), outcome(response=certificate)):
        job = await next_job(plane, worker, session)
        await worker.push(session, protocol.item(job, **members))
    report = await overview.get(plane.database, plane.clock, BY, TEST)
    newest, older = report.runs
    assert (newest.run.status, newest.code, newest.valid_until) == ("passed", None, 1_900_000_000_000)
    assert (older.run.status, older.code, older.run.location_name) == ("failed", "INCORRECT_ASSERTION", "office")
    assert report.overview.newest is NewestState.PASSED
    assert report.overview.uptime is not None
    assert 0 <= report.overview.uptime < 100
    assert [state for _, state in report.history] == [uptimes.BAD, uptimes.GOOD]
    assert report.next is None


async def test_each_step_to_the_first_green_run_is_told(plane: Plane, session: aiohttp.ClientSession) -> None:
    async def step() -> VisitStep:
        return (await firstvisit.look(plane.database, plane.clock, BY)).step

    assert await step() is VisitStep.LOCATION
    worker = await plane.add_location()
    assert await step() is VisitStep.WORKER
    await worker.pull(session)
    assert await step() is VisitStep.TEST
    await plane.add_test(worker.location)
    assert await step() is VisitStep.RUN
    for status, expected in (("failed", VisitStep.RUN), ("passed", VisitStep.DONE), ("failed", VisitStep.DONE)):
        job = await next_job(plane, worker, session)
        await worker.push(session, protocol.item(job, status=status))
        assert await step() is expected


async def test_what_depends_on_a_location_is_told_and_nothing_is_deleted(
    plane: Plane, session: aiohttp.ClientSession
) -> None:
    worker = await plane.add_location()
    assert (await locations.check_delete(plane.database, plane.clock, BY, "office")).id == worker.location
    await plane.add_test(worker.location, name="shop")
    await worker.pull(session)
    with pytest.raises(InUseError) as raised:
        await locations.check_delete(plane.database, plane.clock, BY, "office")
    assert (raised.value.workers, raised.value.tests) == (1, ("shop",))
    assert await locations.get(plane.database, BY, "office")


async def test_nobody_is_told_anything(still: Plane) -> None:
    database, clock = still.database, still.clock
    writer = Principal(name="w", via="page", scopes=frozenset({KeyScope.READ}))
    for refused in (
        overview.page(database, clock, NOBODY, EVERYTHING, offset=0),
        overview.get(database, clock, NOBODY, TEST),
        firstvisit.look(database, clock, NOBODY),
        locations.check_delete(database, clock, writer, "office"),
    ):
        with pytest.raises(ForbiddenError):
            await refused
    with pytest.raises(NotFoundError):
        await overview.get(database, clock, BY, TEST)
