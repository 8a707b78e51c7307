"""The peers of a round in one thread: an event loop with the honest target and a gate for each worker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from tests.faults.gate import Gate
from tests.faults.target import HonestTarget


@contextmanager
def running_peers(count: int, random: Random) -> Iterator[tuple[HonestTarget, list[Gate]]]:
    """Serve a target and *count* gates until the end of the block."""
    target, gates = HonestTarget(), [Gate(random) for _ in range(count)]
    loop = asyncio.new_event_loop()

    async def start() -> list[asyncio.Server]:
        return [await target.start(), *[await gate.start() for gate in gates]]

    servers = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, name="peers", daemon=True)
    thread.start()
    try:
        yield target, gates
    finally:
        asyncio.run_coroutine_threadsafe(_stop(servers), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


async def _stop(servers: list[asyncio.Server]) -> None:
    for server in servers:
        server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
