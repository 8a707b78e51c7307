"""Whoever wears the port for pages out leaves pulls undisturbed: silent connections, slow heads and bodies, large bodies."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controlplane.service import apps
from tests.support.apptokens import HOST
from tests.support.pushplane import DESK, HOST_URL, PushRunner, page_request, push_runner
from tests.support.runnerplane import BOSS, RunnerPlane, runner_plane
from tests.support.waiting import until
from worker.actionrunner.listener import MAX_BODY_BYTES, MOST_BODIES, MOST_CONNECTIONS

MiB = 1024 * 1024


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


def head(plane: RunnerPlane, length: int) -> bytes:
    lines = [
        "POST /v1/actions/data.jq HTTP/1.1",
        f"Host: {HOST}",
        f"Origin: {plane.url}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


class Besiegers:
    """Connections that ask for nothing, or never to the end."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.writers: list[asyncio.StreamWriter] = []

    async def come(self, count: int, said: bytes) -> None:
        for _ in range(count):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(said)
                self.writers.append(writer)

    async def pour(self, said: bytes, size: int) -> int:
        """Send *said* and then bytes, until they are not taken any more; returns how many were."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self.writers.append(writer)
        writer.write(said)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < size and not reader.at_eof():
                writer.write(bytes(256 * 1024))
                await writer.drain()
                sent += 256 * 1024
        return sent

    def leave(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


async def pulls_go_on(plane: RunnerPlane) -> None:
    """An order of somebody else is carried out at once."""
    order = await plane.order()
    async with asyncio.timeout(10):
        assert (await plane.ended(order.run.id)).state.value == "succeeded"


async def besieged(plane: RunnerPlane, there: PushRunner, *, silent: int, large: int) -> None:
    besiegers = Besiegers(there.port)
    try:
        await besiegers.come(silent, b"POST /v1/act")
        await pulls_go_on(plane)
        page, _ = await page_request(plane, {"id": 1})
        assert (await page.send(there.port)).status == 200, "who asks for something is let in"
        await besiegers.come(MOST_CONNECTIONS // 2, head(plane, MAX_BODY_BYTES) + bytes(100_000))
        await pulls_go_on(plane)
        sent = await besiegers.pour(head(plane, large), large)
        assert sent < large or large < 64 * MiB, "it is refused by its announced size"
        await pulls_go_on(plane)
    finally:
        besiegers.leave()


async def besieged_plane(plane: RunnerPlane, *, silent: int, large: int) -> float:
    """Besiege; returns by how many MiB the process has grown at its highest."""
    identity, _ = await plane.enrol(modes=("pull", "push"), host=HOST_URL)
    await apps.push(plane.database, plane.clock, BOSS, DESK)
    async with push_runner(plane, identity) as there:
        await until(lambda: there.runner.channel.last_signed_reply_ns is not None)
        await pulls_go_on(plane)
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await besieged(plane, there, silent=silent, large=large)
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


async def test_silent_slow_and_large_clients_disturb_no_pull(plane: RunnerPlane) -> None:
    await besieged_plane(plane, silent=MOST_CONNECTIONS + 50, large=4 * MiB)


@pytest.mark.long
async def test_ten_thousand_connections_and_a_gigabyte_disturb_no_pull(plane: RunnerPlane) -> None:
    """Bodies that are read at a time are bounded as a whole; the rest is the connections' own."""
    assert 8 * MiB >= MOST_BODIES
    grown = await besieged_plane(plane, silent=10_000, large=1024 * MiB)
    assert grown < 64, "of the besiegers, the control plane and the runner, all in this one process"
