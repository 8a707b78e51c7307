"""Apps from push to answer: a control plane that mints, runners that answer, one use of each token, and nothing told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from controlplane.errors import DatabaseError, ForbiddenError, NotFoundError, RefusedError, UnusableError
from controlplane.service import apps, audit, runners
from controlplane.service.principal import KeyScope, Principal
from controlplane.store.apptables import app_claims
from controlplane.store.apptables import apps as app_rows
from tests.support.pushplane import ALICE, DESK, HOST_URL, page_request, push_runner
from tests.support.runnerplane import BOSS, PlayedActions, RunnerPlane, runner_plane
from tests.support.waiting import until
from worker.actions.action import ActionOutcome, Order, succeeded
from worker.wire.signingkey import VerifyingKey

CANARY = 8_675_309_024_601
SATURATED_SECONDS = 1.0
"""For an answer on one channel while the other has all the slots that it may take."""


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


async def enrolled(plane: RunnerPlane, **changes: Any) -> Any:
    identity, _ = await plane.enrol(**{"modes": ("pull", "push"), "host": HOST_URL, **changes})
    await apps.push(plane.database, plane.clock, BOSS, DESK)
    return identity


def raw(plane: RunnerPlane) -> bytes:
    """Every byte of the database's files."""
    return b"".join(path.read_bytes() for path in sorted(plane.folder.glob("controlplane.db*")))


async def test_a_page_is_answered_and_the_control_plane_learns_neither_value_nor_answer(
    plane: RunnerPlane, caplog: pytest.LogCaptureFixture
) -> None:
    identity = await enrolled(plane)
    async with push_runner(plane, identity) as there:
        await there_is_an_instance(plane)
        page, minted = await page_request(plane, {"id": CANARY})
        answer = await page.send(there.port)
        assert answer.status == 200, answer.body
        assert answer.said["outputs"]["value"] == {"id": CANARY}
        [key] = (VerifyingKey.from_jwk(jwk, "ES256") for jwk in minted.runner_keys)
        assert answer.is_proven(key, minted.jti)
        again = await page.send(there.port)
        assert (again.status, again.code) == (409, "used")
        [order] = there.runner.actions.acted
        assert (order.client, order.caller) == ("app", "user/alice@corp.example")
    entries = await audit.newest(plane.database, BOSS, limit=5, subject=minted.jti)
    assert [entry.action for entry in entries] == ["app.token"], "the runner's own log has the same id"
    assert str(CANARY).encode() not in raw(plane)
    assert str(CANARY) not in caplog.text


async def there_is_an_instance(plane: RunnerPlane) -> None:
    """Wait for the first pull, by which the control plane knows which instance is the runner."""
    while True:
        [found] = await runners.list_all(plane.database, plane.clock, BOSS)
        if len(found.alive) >= found.runner.instances:
            return
        await asyncio.sleep(0.005)


async def test_several_instances_spend_each_token_once_among_them(plane: RunnerPlane) -> None:
    identity = await enrolled(plane, instances=3)
    actions = PlayedActions()
    async with AsyncExitStack() as stack:
        there = [await stack.enter_async_context(push_runner(plane, identity, actions, several=True)) for _ in range(3)]
        await there_is_an_instance(plane)
        for number in range(5):
            page, _ = await page_request(plane, {"id": number})
            answers = await asyncio.gather(*(page.send(each.port) for each in there))
            assert sorted(answer.status for answer in answers) == [200, 409, 409]
    assert sorted(order.input["value"]["id"] for order in actions.acted) == list(range(5))
    async with plane.database.read() as connection:
        assert len((await connection.execute(select(app_claims.c.jti))).all()) == 5


async def test_without_the_control_plane_a_token_of_several_is_not_carried_out(plane: RunnerPlane) -> None:
    identity = await enrolled(plane, instances=2)
    async with AsyncExitStack() as stack:
        there = [await stack.enter_async_context(push_runner(plane, identity, several=True)) for _ in range(2)]
        await there_is_an_instance(plane)
        page, _ = await page_request(plane, {"id": 1})
        await runners.set_state(plane.database, plane.clock, BOSS, "berlin", "disabled")
        answer = await page.send(there[0].port)
        assert (answer.status, answer.code) == (503, "claim")
        assert there[0].runner.actions.acted == []


async def test_a_token_dies_with_its_instance_and_the_page_asks_anew(plane: RunnerPlane) -> None:
    identity = await enrolled(plane)
    async with push_runner(plane, identity):
        await there_is_an_instance(plane)
        page, _ = await page_request(plane, {"id": 1})
    async with push_runner(plane, identity) as after:
        answer = await page.send(after.port)
        assert (answer.status, answer.code) == (401, "instance")
        await until(lambda: after.runner.channel.last_signed_reply_ns is not None)
        page, _ = await page_request(plane, {"id": 1})
        assert (await page.send(after.port)).status == 200


async def quickest(work: Callable[[], Awaitable[None]]) -> float:
    """Seconds of the fastest of three: a machine that is busy with other things delays one, and not all."""
    took = []
    for _ in range(3):
        began = time.monotonic()
        await work()
        took.append(time.monotonic() - began)
    return min(took)


async def test_saturated_by_pulls_a_page_is_answered_within_a_second_and_the_other_way_round(
    plane: RunnerPlane,
) -> None:
    """What is held ends only after the answer: nothing that is answered has waited for a slot."""
    identity = await enrolled(plane)
    held = asyncio.Event()

    async def slow(order: Order) -> ActionOutcome:
        await held.wait()
        return succeeded(order.input)

    async def ask() -> None:
        page, _ = await page_request(plane, {"id": 1})
        assert (await page.send(there.port)).status == 200

    async def order() -> None:
        made = await plane.order("http.request", arguments={"verb": "GET"})
        assert (await plane.ended(made.run.id)).state.value == "succeeded"

    actions = PlayedActions({"checks.run": slow})
    async with push_runner(plane, identity, actions, slots=4, reserved=1) as there:
        await there_is_an_instance(plane)
        for _ in range(6):
            await plane.order("checks.run", arguments={"test": {}})
        await until(lambda: len(actions.acted) == 3)
        assert there.slots.free == 0
        assert await quickest(ask) < SATURATED_SECONDS
        held.set()
        await until(lambda: len(actions.acted) == 9)
        held.clear()
        actions.plays["data.jq"] = slow
        pages = [(await page_request(plane, {"id": number}))[0] for number in range(4)]
        asked = [asyncio.create_task(page.send(there.port)) for page in pages]
        await until(lambda: there.runs.running == 3)
        assert await quickest(order) < SATURATED_SECONDS
        held.set()
        assert sorted([(await each).status for each in asked]) == [200, 200, 200, 429]


def desk_with(**changes: Any) -> dict[str, Any]:
    return {**DESK, "queries": {"customer": {**DESK["queries"]["customer"], **changes}}}


async def test_versions_follow_each_other_and_nobody_publishes_what_they_may_not_order(plane: RunnerPlane) -> None:
    await plane.enrol(modes=("push",), host=HOST_URL)
    made = await apps.push(plane.database, plane.clock, BOSS, DESK)
    same = await apps.push(plane.database, plane.clock, BOSS, DESK)
    assert (made.app.version, same.app.version, same.is_changed) == (1, 1, False)
    changed = await apps.push(plane.database, plane.clock, BOSS, {**DESK, "title": "Customer desk"})
    assert (changed.app.id, changed.app.version) == (made.app.id, 2)
    broken = {"type": "object", "properties": {"id": {"type": "string", "pattern": "("}}}
    with pytest.raises(UnusableError, match=r"queries\.customer\.params"):
        await apps.push(plane.database, plane.clock, BOSS, desk_with(params=broken))
    author = Principal(name="ci", via="api", scopes=frozenset({KeyScope.WRITE}), key="k", actions=("http.*",))
    with pytest.raises(ForbiddenError, match=r"data\.jq"):
        await apps.push(plane.database, plane.clock, author, DESK)
    with pytest.raises(NotFoundError, match="paris"):
        await apps.push(plane.database, plane.clock, BOSS, {**DESK, "runner": "paris"})
    await plane.enrol("rome")
    with pytest.raises(UnusableError, match="lack push"):
        await apps.push(plane.database, plane.clock, BOSS, {**DESK, "runner": "rome"})
    await apps.delete(plane.database, plane.clock, BOSS, "desk")
    assert await apps.list_all(plane.database, BOSS) == ()


async def test_a_token_is_for_whom_the_app_is_and_while_its_runner_is_there(plane: RunnerPlane) -> None:
    await enrolled(plane)
    with pytest.raises(RefusedError, match="not heard"):
        await page_request(plane, {"id": 1})
    await runners.set_state(plane.database, plane.clock, BOSS, "berlin", "disabled")
    with pytest.raises(RefusedError, match="is disabled"):
        await page_request(plane, {"id": 1})
    with pytest.raises(NotFoundError):
        await page_request(plane, {"id": 1}, by=replace(ALICE, name="eve@evil.example"))
    with pytest.raises(NotFoundError, match="customer"):
        await page_request(plane, {"id": 1}, query="orders")
    assert await apps.list_usable(plane.database, replace(ALICE, name="eve@evil.example")) == ()
    assert [view.app.name for view in await apps.list_usable(plane.database, ALICE)] == ["desk"]


async def test_who_can_only_write_the_database_makes_no_app(plane: RunnerPlane) -> None:
    await enrolled(plane)
    for values in ({"version": 7}, {"name": "other"}, {"runner_id": "x"}, {"definition_sealed": b"x" * 64}):
        await apps.delete(plane.database, plane.clock, BOSS, "desk")
        await apps.push(plane.database, plane.clock, BOSS, DESK)
        await plane.write(app_rows, values)
        with pytest.raises(DatabaseError):
            await apps.list_all(plane.database, BOSS)
        await plane.write(app_rows, {"name": "desk"})
        async with plane.database.write() as connection:
            await connection.execute(app_rows.delete())
        await apps.push(plane.database, plane.clock, BOSS, DESK)
