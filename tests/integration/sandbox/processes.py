"""Processes in the sandbox, with an owner that keeps what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil

from tests.support.children import children_from_now_on
from worker.sandbox.forkserver import ForkServer
from worker.sandbox.process import Command, Process, Starter, python_module

ECHO = python_module("tests.integration.sandbox.echo", "one", "two")
MAX_FRAME = 1_000_000


class Recorder:
    """An owner that keeps what it is told. *position* is that of the dead process."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()
        self.position = -1
        self.deaths = 0
        self.dead = asyncio.Event()

    def on_frame(self, process: Process, payload: bytes) -> None:
        self.frames.put_nowait(payload)

    def on_death(self, process: Process) -> None:
        self.position = process.position
        self.deaths += 1
        self.dead.set()

    async def frame(self) -> bytes:
        async with asyncio.timeout(60):
            return await self.frames.get()

    async def death(self) -> None:
        async with asyncio.timeout(60):
            await self.dead.wait()


class Server(ForkServer):
    """A fork server, and the exit codes of its processes that it has told of."""

    def __init__(self, command: Command) -> None:
        super().__init__(command, self._note)
        self.ends: list[int | None] = []

    def _note(self, exit_code: int | None) -> None:
        self.ends.append(exit_code)


@asynccontextmanager
async def serving(command: Command) -> AsyncIterator[Server]:
    """A fork server, which has to leave no process."""
    children = children_from_now_on()
    server = Server(command)
    try:
        yield server
    finally:
        await server.close()
        assert not children()


@asynccontextmanager
async def started(starter: Starter = ECHO) -> AsyncIterator[tuple[Process, Recorder]]:
    owner = Recorder()
    process = Process(owner, MAX_FRAME)
    await process.start(starter)
    try:
        yield process, owner
    finally:
        process.kill()
        await owner.death()
        assert owner.deaths == 1
        assert not psutil.pid_exists(process.pid)
