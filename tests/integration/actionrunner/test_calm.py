"""Calm pulls of runners: one update each while nothing changes, and whole pulls again whatever changes, whoever changes it."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from controlplane.errors import RefusedError, SequenceError
from controlplane.leases import Grace
from controlplane.service import calm, runners, tasks
from controlplane.service.attendance import RunnerCaller
from controlplane.service.tasks import RunnerWorkGiven
from controlplane.store import runners as stored_runners
from controlplane.store.runnertables import runner_instances
from tests.support.runnerplane import BOSS, RunnerPlane, played_runner, runner_plane
from worker.wire.proof import Proof, RunnerEndpoint
from worker.wire.runner_messages import RunnerPull

IDLE = RunnerPull(concurrency=5, free_slots=5, keys=("k",), epoch=1, keyset=1)
INSTANCE = str(uuid.uuid4())


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        await running.enrol()
        await whole(running, 1, msgspec.structs.replace(IDLE, epoch=0))  # it takes the epoch
        await whole(running, 2)
        yield running


async def caller(plane: RunnerPlane, number: int) -> RunnerCaller:
    """The runner as it is now, with request *number* of its instance."""
    stamp = plane.database.versions.memory(stored_runners.CALLERS).stamp()
    async with plane.database.read() as connection:
        keys = await plane.context.runner_keyring.current(connection)
        runner = await stored_runners.find(connection, plane.database.sealer, "berlin")
    assert keys is not None
    proof = Proof(token="", kid="", issuer="", instance=INSTANCE, endpoint=RunnerEndpoint.PULL, number=number, body="")
    return RunnerCaller(runner=runner, proof=proof, keys=keys, seen=stamp)


async def whole(plane: RunnerPlane, number: int, message: RunnerPull = IDLE) -> RunnerWorkGiven:
    asking = await caller(plane, number)
    return await tasks.pull(plane.database, plane.clock, Grace(0), asking, message, present=lambda: True)


async def calmly(asking: RunnerCaller, plane: RunnerPlane, message: RunnerPull = IDLE) -> RunnerWorkGiven | None:
    return await tasks.pull_calmly(plane.database, plane.clock, Grace(0), asking, message)


async def last_number(plane: RunnerPlane) -> int:
    async with plane.database.read() as connection:
        row = (await connection.execute(runner_instances.select())).one()
        return int(row.pull_number)


async def test_a_pull_like_the_last_one_is_a_heartbeat_and_answers_the_same(plane: RunnerPlane) -> None:
    answer = await calmly(await caller(plane, 3), plane)
    assert answer is not None
    assert (answer.attendance.epoch, answer.given, answer.cancel, answer.more) == (1, (), (), False)
    assert await last_number(plane) == 3
    assert await calmly(await caller(plane, 4), plane) is not None


async def test_a_number_that_was_used_is_refused(plane: RunnerPlane) -> None:
    assert await calmly(await caller(plane, 7), plane) is not None
    with pytest.raises(SequenceError) as caught:
        await calmly(await caller(plane, 7), plane)
    assert caught.value.last == 7


@pytest.mark.parametrize(
    "changes", [{"epoch": 0}, {"foreign": "x"}, {"after": ("a",)}, {"report": "a" * 64}, {"release": ("l.1",)}]
)
async def test_a_pull_that_says_anything_else_is_a_whole_one(plane: RunnerPlane, changes: dict[str, object]) -> None:
    other = msgspec.structs.replace(IDLE, **changes)
    assert await calmly(await caller(plane, 3), plane) is not None
    assert await calmly(await caller(plane, 4), plane, other) is None
    assert await last_number(plane) == 3


async def a_task(plane: RunnerPlane) -> None:
    await plane.order()


async def a_revocation(plane: RunnerPlane) -> None:
    await runners.set_state(plane.database, plane.clock, BOSS, "berlin", "revoked")


async def another_process(plane: RunnerPlane) -> None:
    with closing(sqlite3.connect(plane.folder / "controlplane.db")) as other, other:
        other.execute("UPDATE runners SET rotate = 1")


@pytest.mark.parametrize("change", [a_task, a_revocation, another_process])
async def test_whatever_changes_ends_the_calm(
    plane: RunnerPlane, change: Callable[[RunnerPlane], Awaitable[None]]
) -> None:
    assert await calmly(await caller(plane, 3), plane) is not None
    asking = await caller(plane, 4)
    await change(plane)
    assert await calmly(asking, plane) is None
    assert await last_number(plane) == 3


async def test_a_runner_of_several_instances_is_never_calm(plane: RunnerPlane) -> None:
    """The time alone tells when there are too many of them."""
    with closing(sqlite3.connect(plane.folder / "controlplane.db")) as other, other:
        other.execute("UPDATE runners SET instances = 3")
    for number in (3, 4):
        await whole(plane, number)
    assert await calmly(await caller(plane, 5), plane) is None


async def test_over_the_wire_a_task_reaches_whoever_is_calm_at_once(tmp_path: Path) -> None:
    async with runner_plane(tmp_path) as plane:
        identity, _ = await plane.enrol()
        async with played_runner(plane, identity) as runner:
            for _ in range(3):
                run = await plane.order()
                assert (await plane.ended(run.run.id)).state.value == "succeeded"
            assert len(runner.actions.acted) == 3


async def test_whoever_is_revoked_while_remembered_is_refused(plane: RunnerPlane) -> None:
    asking = await caller(plane, 3)
    waiting = asyncio.create_task(calmly(asking, plane, msgspec.structs.replace(IDLE, wait_ms=10_000)))
    await asyncio.sleep(0)
    await a_revocation(plane)
    assert await waiting is None
    with pytest.raises(RefusedError, match="not enabled"):
        await whole(plane, 4)


def test_a_heartbeat_waits_for_less_than_what_a_runner_waits_for() -> None:
    assert calm.PATIENCE_SECONDS * 1000 < 1_000
