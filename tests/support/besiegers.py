"""Besiegers of a runner's port in a process of their own, so that what the runner grows by is the runner's alone.

As a program it connects to a port of loopback, does what each line of its standard input says, and answers each by a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.support.programs import command, environment
from tests.support.waiting import PATIENCE

BEGUN = b"POST /v1/act"
"""A request that goes no further."""
MOST_UNREAD = 8 * 1024 * 1024
"""Bytes that one besieger asks for and never reads: more than kernels hold for it."""
PIECE = 256 * 1024
AT_A_TIME = 500
"""Connections that are made at once: the listener's queue is short."""


class Besieged:
    """The parent's side: each call is one wave, and returns when it has come; with the number of connections that were made."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def silent(self, count: int) -> int:
        """*count* connections that begin a request and say no more."""
        return await self._wave("silent", count)

    async def heads(self, count: int) -> int:
        """*count* connections with heads that are as large as they may be, and never end."""
        return await self._wave("heads", count)

    async def bodies(self, count: int) -> int:
        """*count* connections that send nearly all of a body, and never its end."""
        return await self._wave("bodies", count)

    async def pipelines(self, count: int) -> int:
        """*count* connections that ask again and again, and read no answer."""
        return await self._wave("pipelines", count)

    async def pour(self, size: int) -> int:
        """One connection with a body of *size* bytes; returns how many of them were taken."""
        return await self._wave("pour", size)

    async def pour_chunks(self, size: int) -> int:
        """The same, its size not announced."""
        return await self._wave("pour_chunks", size)

    async def _wave(self, name: str, number: int) -> int:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps([name, number]).encode() + b"\n")
        async with asyncio.timeout(4 * PATIENCE):
            return int(json.loads(await stdout.readline()))


@asynccontextmanager
async def besiegers(port: int, head: str) -> AsyncIterator[Besieged]:
    """Besiegers of *port*, until the block is left. *head* is that of a page's request, without its end."""
    process = await asyncio.create_subprocess_exec(
        *command("tests.support.besiegers", str(port), head),
        env=environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Besieged(process)
    finally:
        process.kill()
        await process.wait()


class _Besiegers:
    """The child's side."""

    def __init__(self, port: int, head: bytes) -> None:
        self._port = port
        self._head = head
        self._kept: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    def waves(self) -> dict[str, Callable[[int], Awaitable[int]]]:
        line = b"X-Padding: " + b"x" * 8000 + b"\r\n"
        whole = 512 * 1024
        body = self._head + b"Content-Length: %d\r\n\r\n" % whole + bytes(whole - 1)
        return {
            "silent": lambda count: self._come(count, BEGUN),
            "heads": lambda count: self._come(count, self._head + line * 120),
            "bodies": lambda count: self._come(count, body),
            "pipelines": lambda count: self._come(count, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * (MOST_UNREAD // 27)),
            "pour": lambda size: self._pour(self._head + b"Content-Length: %d\r\n\r\n" % size, size),
            "pour_chunks": lambda size: self._pour(
                self._head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size, size
            ),
        }

    async def _come(self, count: int, said: bytes) -> int:
        before = len(self._kept)
        for start in range(0, count, AT_A_TIME):
            await asyncio.gather(*(self._one(said) for _ in range(min(AT_A_TIME, count - start))))
        return len(self._kept) - before

    async def _one(self, said: bytes) -> None:
        """Say all of it that is taken at once; what is cut off or refused is what the runner does about it."""
        with contextlib.suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1024)
            self._kept.append((reader, writer))
            async with asyncio.timeout(1):
                for start in range(0, len(said), PIECE):
                    writer.write(said[start : start + PIECE])
                    await writer.drain()

    async def _pour(self, head: bytes, size: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._kept.append((reader, writer))
        writer.write(head)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < size and not reader.at_eof():
                writer.write(bytes(PIECE))
                await writer.drain()
                sent += PIECE
        return sent


async def _obey(port: int, head: bytes) -> None:
    there = _Besiegers(port, head)
    waves = there.waves()
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, number = json.loads(line)
        print(await waves[name](number), flush=True)


if __name__ == "__main__":
    asyncio.run(_obey(int(sys.argv[1]), sys.argv[2].encode()))
