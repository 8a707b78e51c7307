"""The control plane's own notices: a location that nobody pulls for, a full outbox, a disk that fills."""

from __future__ import annotations

import json

import aiohttp
import pytest

from controlplane import epoch
from controlplane.alerts.notices import ABSENT_MS, TROUBLED_MS, OwnState
from controlplane.service.notices import NoticeWatch
from controlplane.store.alerttables import routes, transitions
from controlplane.store.channeltables import notices
from tests.integration.controlplane.plane import Plane
from tests.support.alerts import Outbound
from tests.support.servers.http import Server, reply, serving


class Machine:
    """The state of the machine, as a test has it."""

    def __init__(self) -> None:
        self.state = OwnState()

    def __call__(self) -> OwnState:
        return self.state


async def route_notices(plane: Plane, *handles: str) -> None:
    row = {"name": "all", "tags": "[]", "handles": json.dumps(handles), "created_at": 0, "created_by": "tests"}
    async with plane.database.write() as connection:
        await connection.execute(routes.insert().values(**row))


def titles(server: Server) -> list[str]:
    return [json.loads(seen.body)["data"]["title"] for seen in server.seen]


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def watch(plane: Plane, machine: Machine) -> NoticeWatch:
    return NoticeWatch(plane.database, plane.clock, machine)


async def test_a_location_that_is_not_seen_is_told_of_once_and_its_return_too(
    plane: Plane, watch: NoticeWatch, session: aiohttp.ClientSession
) -> None:
    worker = await plane.add_location("office")
    await plane.add_test(worker.location)
    outbound = Outbound(plane.database, plane.clock)
    async with serving(reply(b"ok")) as server:
        await outbound.add("ops", type="webhook", url=server.url())
        await route_notices(plane, "ops")
        await worker.pull(session)
        await watch.look()
        for _ in range(3):
            plane.clock.stall(ABSENT_MS / 1000)
            await watch.look()
            await outbound.send()
        await worker.pull(session)
        await watch.look()
        await outbound.send()
        await watch.look()
        await outbound.send()
    assert titles(server) == ["[Triggered] Location office is not seen", "[Recovered] Location office is not seen"]
    first, last = (json.loads(seen.body)["data"] for seen in server.seen)
    assert first["incident"] == last["incident"]
    assert "`location list` shows its workers" in first["message"]
    assert await plane.rows(notices) == [[]]


async def test_a_full_outbox_is_told_of_when_it_lasts(
    plane: Plane, watch: NoticeWatch, session: aiohttp.ClientSession
) -> None:
    worker = await plane.add_location("office")
    await plane.add_test(worker.location)
    for _ in range(2):
        await worker.pull(session, degraded="outbox", free_slots=0)
        await watch.look()
        plane.clock.stall(TROUBLED_MS / 1000)
    (found,) = (await plane.rows(transitions))[0]
    assert found.name == "Workers of office are in trouble"
    assert "its outbox is full" in found.summary


async def test_the_control_planes_own_troubles_are_told_of(plane: Plane, watch: NoticeWatch, machine: Machine) -> None:
    machine.state = OwnState(free=1, size=100, certificate_ends=plane.clock.now())
    await watch.look()
    await watch.look()
    machine.state = OwnState(free=50, size=100)
    await watch.look()
    told = [(row.kind, row.subject) for row in (await plane.rows(transitions))[0]]
    assert sorted(told) == [
        ("notice", "certificate"),
        ("notice", "disk"),
        ("notice_over", "certificate"),
        ("notice_over", "disk"),
    ]


async def test_a_new_process_knows_what_was_told(plane: Plane, machine: Machine) -> None:
    machine.state = OwnState(free=1, size=100)
    for _ in range(2):
        await NoticeWatch(plane.database, plane.clock, machine).look()
    assert len((await plane.rows(transitions))[0]) == 1
    assert epoch.milliseconds(plane.clock) == (await plane.rows(transitions))[0][0].at
