"""Whoever wears the port for pages out leaves pulls undisturbed: silent connections, slow heads and bodies, large bodies.

Besiegers and runner are processes of their own: what the runner grows by is its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from controlplane.service import apps
from tests.support.apptokens import HOST
from tests.support.besiegers import Besieged, besiegers
from tests.support.programs import Program
from tests.support.pushplane import DESK, HOST_URL, page_request
from tests.support.pushprograms import push_program
from tests.support.runnerplane import BOSS, RunnerPlane, runner_plane
from worker.actionrunner.listener import MOST_CONNECTIONS

MiB = 1024 * 1024
GIGABYTE = 1024 * MiB
MOST_GROWN = 20 * MiB
"""Of the runner's resident memory (design of private actions, check 18)."""


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


class Fort:
    """A runner under siege: who pulls, and who asks as a page, is served all the while."""

    def __init__(self, plane: RunnerPlane, program: Program, outside: Besieged, port: int) -> None:
        self.plane = plane
        self.outside = outside
        self._port = port
        self._account = Path(f"/proc/{program.process.pid}/status")

    async def holds(self) -> None:
        """Somebody's order is carried out at once, and a page is answered: who asks for something is let in."""
        order = await self.plane.order(arguments={"program": ".", "value": 1})
        async with asyncio.timeout(10):
            assert (await self.plane.ended(order.run.id)).state.value == "succeeded"
        page, _ = await page_request(self.plane, {"id": 1})
        answer = await page.send(self._port)
        assert answer.status == 200, answer.body

    def resident(self, name: str) -> int:
        """Bytes by a line of the kernel's own account: `VmRSS` now, `VmHWM` at the highest."""
        [line] = [each for each in self._account.read_text().splitlines() if each.startswith(f"{name}:")]
        return int(line.split()[1]) * 1024


@asynccontextmanager
async def fort(plane: RunnerPlane, folder: Path) -> AsyncIterator[Fort]:
    await plane.enrol(modes=("pull", "push"), host=HOST_URL)
    await apps.push(plane.database, plane.clock, BOSS, DESK)
    program, port = await push_program(plane, folder / "runner")
    try:
        lines = ["POST /v1/actions/data.jq HTTP/1.1", f"Host: {HOST}", f"Origin: {plane.url}"]
        head = "\r\n".join([*lines, "Content-Type: application/json", ""])
        async with besiegers(port, head) as outside:
            yield Fort(plane, program, outside, port)
    finally:
        program.kill()


@pytest.mark.long
async def test_ten_thousand_connections_slow_ones_and_gigabytes_disturb_nobody(
    plane: RunnerPlane, tmp_path: Path
) -> None:
    async with fort(plane, tmp_path) as there:
        await there.holds()
        before = there.resident("VmRSS")
        outside, many = there.outside, MOST_CONNECTIONS // 2
        for wave, count in (
            (outside.silent, 10_000),
            (outside.heads, many),
            (outside.bodies, many),
            (outside.pipelines, many),
        ):
            assert await wave(count) == count
            await there.holds()
        for pour in (outside.pour, outside.pour_chunks):
            assert await pour(GIGABYTE) < GIGABYTE, "it is refused by its size"
            await there.holds()
        grown = there.resident("VmHWM") - before
    print(f"the runner grew by {grown / MiB:.1f} MiB")
    assert grown < MOST_GROWN, f"{grown / MiB:.1f} MiB"
