"""The control plane's own notices: a location that nobody pulls for, a full outbox, a disk that fills."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from controlplane import epoch
from controlplane.alerts.notices import ABSENT_MS, TROUBLED_MS, OwnState
from controlplane.app import own_state
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
    outbound = Outbound(plane.database, plane.clock)
    async with serving(reply(b"ok")) as server:
        await outbound.add("ops", type="webhook", url=server.url())
        await route_notices(plane, "ops")
        for trouble in ("outbox", "outbox", None):
            await worker.pull(session, degraded=trouble, free_slots=0)
            await watch.look()
            await outbound.send()
            plane.clock.stall(TROUBLED_MS / 1000)
    assert titles(server) == [
        "[Triggered] Workers of office are in trouble",
        "[Recovered] Workers of office are in trouble",
    ]
    assert "its outbox is full" in json.loads(server.seen[0].body)["data"]["message"]


async def test_the_control_planes_own_troubles_are_told_of(plane: Plane, watch: NoticeWatch, machine: Machine) -> None:
    outbound = Outbound(plane.database, plane.clock)
    ends = plane.clock.now() + timedelta(days=3)
    async with serving(reply(b"ok")) as server:
        await outbound.add("ops", type="webhook", url=server.url())
        await route_notices(plane, "ops")
        for state in (OwnState(free=2**30, size=2**40, certificate_ends=ends),) * 2 + (OwnState(free=50, size=100),):
            machine.state = state
            await watch.look()
            await outbound.send()
    assert sorted(titles(server)) == [
        "[Recovered] The control plane's certificate ends",
        "[Recovered] The control plane's disk fills up",
        "[Triggered] The control plane's certificate ends",
        "[Triggered] The control plane's disk fills up",
    ]
    said = " ".join(json.loads(seen.body)["data"]["message"] for seen in server.seen)
    assert f"The certificate of the control plane ends at {ends:%Y-%m-%d %H:%M} UTC" in said
    assert "1.0 GiB of 1024.0 GiB are free on the database's disk" in said


async def test_a_look_without_a_thread_for_it_is_left_out_and_ends_nothing(
    plane: Plane, watch: NoticeWatch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        await watch.look()
    assert "cannot look for notices: can't start new thread" in caplog.messages
    await watch.look()
    assert await plane.rows(notices) == [[]]


def test_the_disk_is_that_of_the_database(tmp_path: Path) -> None:
    there = shutil.disk_usage(tmp_path)
    found = own_state(str(tmp_path / "c.db"), None)
    assert (found.size, found.certificate_ends) == (there.total, None)
    assert 0 < found.free <= there.total
    assert own_state("postgresql://plane.example/db", None) == OwnState()


async def test_a_new_process_knows_what_was_told(plane: Plane, machine: Machine) -> None:
    machine.state = OwnState(free=1, size=100)
    for _ in range(2):
        await NoticeWatch(plane.database, plane.clock, machine).look()
    assert len((await plane.rows(transitions))[0]) == 1
    assert epoch.milliseconds(plane.clock) == (await plane.rows(transitions))[0][0].at
