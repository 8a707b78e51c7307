"""Processes in the sandbox, with an owner that keeps what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil

from worker.sandbox.process import Command, Process, python_module

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
        async with asyncio.timeout(10):
            return await self.frames.get()

    async def death(self) -> None:
        async with asyncio.timeout(10):
            await self.dead.wait()


@asynccontextmanager
async def started(command: Command = ECHO) -> AsyncIterator[tuple[Process, Recorder]]:
    owner = Recorder()
    process = Process(owner, MAX_FRAME)
    await process.start(command)
    try:
        yield process, owner
    finally:
        process.kill()
        await owner.death()
        assert owner.deaths == 1
        assert not psutil.pid_exists(process.pid)
