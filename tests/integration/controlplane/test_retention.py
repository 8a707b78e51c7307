"""Results that are dropped by their number, a bounded number at a time; those by age are in test_jobs and test_clock_steps."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest

from controlplane.service import upkeep
from controlplane.service.upkeep import NEVER_PRUNED
from controlplane.store.tables import results
from tests.integration.controlplane.plane import Plane

LONG_AGO = 2 * NEVER_PRUNED


async def fill(plane: Plane, test: str, count: int, *, age: int = LONG_AGO) -> list[str]:
    """Results of *test*, a second apart, the newest *age* milliseconds old; their ids, the oldest first."""
    newest = plane.now() - age
    rows = [
        {
            "id": str(uuid.uuid4()),
            "origin": "worker",
            "test_id": test,
            "test_name": test,
            "location_id": "office",
            "status": "passed",
            "runs": 1,
            "stored_at": newest - 1000 * (count - 1 - number),
            "outcome": "{}",
        }
        for number in range(count)
    ]
    async with plane.database.write() as connection:
        await connection.execute(results.insert(), rows)
    return [str(row["id"]) for row in rows]


async def left(plane: Plane) -> list[str]:
    return [row.id for row in (await plane.rows(results))[0]]


async def prune_all(plane: Plane, *, kept: int) -> int:
    """As many turns as it takes to go through all tests; their number."""
    after, turns = "", 0
    while True:
        turns += 1
        after = await upkeep.prune_by_count(plane.database, plane.clock, after=after, kept=kept)
        if not after:
            return turns


async def test_the_newest_results_of_each_test_stay(plane: Plane) -> None:
    few, many = await fill(plane, "few-few-few", 3), await fill(plane, "man-man-man", 9)
    assert await prune_all(plane, kept=4) == 1
    assert await left(plane) == few + many[-4:]
    assert await prune_all(plane, kept=4) == 1
    assert await left(plane) == few + many[-4:], "a second time finds nothing"


async def test_results_of_the_last_hour_stay_whatever_their_number(plane: Plane) -> None:
    old, new = await fill(plane, "tes-tes-tes", 5), await fill(plane, "tes-tes-tes", 5, age=0)
    await prune_all(plane, kept=2)
    assert await left(plane) == new
    assert old


async def test_one_turn_looks_at_a_bounded_number_of_tests_and_the_next_one_goes_on(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "TESTS_LOOKED_AT", 2)
    for letter in "abcde":
        await fill(plane, f"{letter}aa-aaa-aaa", 3)
    assert await upkeep.prune_by_count(plane.database, plane.clock, after="", kept=1) == "baa-aaa-aaa"
    assert Counter(row.test_id for row in (await plane.rows(results))[0]) == {
        "aaa-aaa-aaa": 1,
        "baa-aaa-aaa": 1,
        "caa-aaa-aaa": 3,
        "daa-aaa-aaa": 3,
        "eaa-aaa-aaa": 3,
    }
    assert await prune_all(plane, kept=1) == 3
    assert len(await left(plane)) == 5


async def test_what_is_dropped_goes_in_bounded_steps(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "PRUNE_BATCH", 2)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(plane.clock, "sleep", sleep)
    await fill(plane, "tes-tes-tes", 9)
    await prune_all(plane, kept=4)
    assert len(await left(plane)) == 4
    assert slept == [plane.database.rest_seconds] * 2, "other writers had their turns between the steps"
