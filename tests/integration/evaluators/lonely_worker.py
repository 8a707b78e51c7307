"""A worker that is about to be killed: starts evaluators, keeps one busy, prints their process ids, waits."""

from __future__ import annotations

import asyncio

import psutil

from tests.integration.evaluators.pools import deeds, pool_of, seen
from tests.support.waiting import until


async def main() -> None:
    async with pool_of(2) as pool:
        await until(lambda: pool.idle == 3)
        busy = asyncio.create_task(pool.evaluate("key", deeds(*["burn 0.1"] * 100), seen()))
        await until(lambda: pool.working == 1)
        print(*(child.pid for child in psutil.Process().children()), flush=True)
        await busy


if __name__ == "__main__":
    asyncio.run(main())
