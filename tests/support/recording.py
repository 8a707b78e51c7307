"""A proxy on loopback that passes every byte on and keeps a copy: what somebody sees who opens TLS in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(slots=True)
class Recording:
    """*url* is where to go through it; *seen* all bytes of both directions."""

    url: str
    seen: bytearray = field(default_factory=bytearray)


@asynccontextmanager
async def recording(url: str) -> AsyncIterator[Recording]:
    """Listen, and pass on to *url*."""
    target = urlsplit(url)
    found = Recording("")
    passing: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(target.hostname, target.port)
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(_pass_on(source, sink, found.seen))
            passing.add(task)
            task.add_done_callback(passing.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        server.close()
        for task in tuple(passing):
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter, seen: bytearray) -> None:
    try:
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                seen += data
                sink.write(data)
                await sink.drain()
    finally:
        sink.close()
