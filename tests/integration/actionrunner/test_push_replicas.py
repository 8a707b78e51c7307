"""Three processes of one runner: each token is carried out by one of them, once, also when one is killed and starts again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from controlplane.service import apps, runners
from controlplane.store.apptables import app_claims
from tests.support.apptokens import PageRequest
from tests.support.pushplane import DESK, HOST_URL, page_request
from tests.support.pushprograms import push_program
from tests.support.runnerplane import BOSS, RunnerPlane, runner_plane

PAIRS = 200
KILLED_AFTER = 100


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


async def three_are_there(plane: RunnerPlane) -> None:
    while True:
        [found] = await runners.list_all(plane.database, plane.clock, BOSS)
        if len(found.alive) == 3:
            return
        await asyncio.sleep(0.02)


@pytest.mark.long
async def test_200_racing_pairs_over_three_processes_of_which_one_is_killed(plane: RunnerPlane, tmp_path: Path) -> None:
    await plane.enrol(modes=("pull", "push"), host=HOST_URL, instances=3)
    await apps.push(plane.database, plane.clock, BOSS, DESK)
    started = [await push_program(plane, tmp_path / f"replica-{number}") for number in range(3)]
    programs, ports = [program for program, _ in started], [port for _, port in started]
    spent: list[PageRequest] = []
    answers: Counter[frozenset[Any]] = Counter()
    try:
        async with asyncio.timeout(30):
            await three_are_there(plane)
        for number in range(PAIRS):
            if number == KILLED_AFTER:
                programs[2].kill()
                programs[2], ports[2] = await push_program(plane, tmp_path / "replica-2")
                for page in spent[:10]:
                    again = await page.send(ports[2])
                    assert (again.status, again.code) == (409, "used"), "what was spent before the kill stays spent"
            page, _ = await page_request(plane, {"id": number}, query="health")
            first, second = ports[number % 3], ports[(number + 1) % 3]
            pair = await asyncio.gather(page.send(first), page.send(second))
            answers[frozenset(answer.said.get("outcome", answer.status) for answer in pair)] += 1
            spent.append(page)
    finally:
        for program in programs:
            program.kill()
    assert answers == {frozenset({"succeeded", 409}): PAIRS}
    async with plane.database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(app_claims)) == PAIRS
