"""Push mode: time from a token to the answer beside the same request sent directly, CPU per request; many slow actions at once.

`python -m benchmarks.push` has a runner of its own process answer requests as a page sends them. Tokens are minted beforehand.
The 500 slow actions are pulled, as a runner keeps 200 connections of pages: all of them wait for a service at once, for two
seconds. At last, what pulls and pages of a smaller runner leave each other while one of them holds all that it may take.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections import Counter

import aiohttp

from benchmarks.pushrig import PushRig, push_rig, timed, told

LOOK_SECONDS = 0.5
SLOW_SECONDS = 2.0
"""For which the service holds all of them once the last has come."""
BATCH = 100
"""Tokens that are minted at a time: each lives for a minute."""
SLOTS = 10
"""Of a runner where nothing is said, two of them left to the other side."""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--slow", type=int, default=500)
    parser.add_argument("--saturated", type=int, default=100, help="requests beside slots that are all taken")
    asked = parser.parse_args()
    async with push_rig(slots=asked.slow + 2) as rig:
        print(f"memory at rest: {rig.mib():.0f} MiB")
        before = rig.cpu()
        pushed = await _pushed(rig, asked.requests)
        cpu = (rig.cpu() - before) / asked.requests * 1000
        told("token → answer", pushed)
        told("the same request sent directly, a new connection each", await _direct(rig, asked.requests))
        print(f"CPU per request of a page, HTTP action included: {cpu:.2f} ms")
        await _slow(rig, asked.slow)
    async with push_rig(slots=SLOTS) as rig:
        await _saturated(rig, asked.saturated)


async def _pushed(rig: PushRig, count: int) -> list[float]:
    """Milliseconds of each request, one at a time."""
    took: list[float] = []
    async with aiohttp.ClientSession() as session:
        while len(took) < count:
            minted = [await rig.mint(number) for number in range(min(BATCH, count - len(took)))]
            took += [await timed(rig.ask(session, token, text)) for token, text in minted]
    return took


async def _direct(rig: PushRig, count: int) -> list[float]:
    async def ask() -> None:
        async with session.get(f"{rig.target}/v1/customers/7") as answer:
            await answer.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        return [await timed(ask()) for _ in range(count)]


async def _slow(rig: PushRig, count: int) -> None:
    """Have *count* actions wait for the service together."""
    before = rig.mib()
    rig.service.hold()
    rig.lags()
    waiting = {await rig.order("/slow") for _ in range(count)}
    await rig.service.until_held(count)
    coming = rig.lags()
    rig.service.let_go(after=SLOW_SECONDS)
    ends: Counter[str] = Counter()
    highest = 0.0
    while waiting:
        highest = max(highest, rig.mib())
        await asyncio.sleep(LOOK_SECONDS)
        for run in sorted(waiting)[:BATCH]:
            view = await rig.shown(run)
            if view.has_ended:
                waiting.discard(run)
                ends[view.state.value] += 1
    ending = rig.lags()
    each = (highest - before) * 1024 / count
    print(f"{count} HTTP actions of {SLOW_SECONDS:.0f} s at once: {dict(ends)}, {each:.0f} KiB each")
    for name, lags in (("they begin", coming), ("they wait and end", ending)):
        late = statistics.quantiles(lags, n=100, method="inclusive")[98]
        print(f"lag of the runner's loop while {name}: p99 {late:.1f} ms, worst {max(lags):.1f} ms")


async def _saturated(rig: PushRig, count: int) -> None:
    """Ask as a page while pulls hold all that they may take, and order while pages do; beside the same with all slots free."""
    told("token → answer, all slots free", await _pushed(rig, count))
    told("order → its end, all slots free", await _ordered(rig, count))
    rig.service.hold()
    held = [await rig.order("/slow") for _ in range(3 * SLOTS)]
    await rig.service.until_held(SLOTS - 2)
    told(f"token → answer, pulls hold {rig.service.held} of {SLOTS} slots", await _pushed(rig, count))
    rig.service.let_go()
    while not all([(await rig.shown(run)).has_ended for run in held]):  # noqa: ASYNC110 - it ends in another process
        await asyncio.sleep(LOOK_SECONDS)
    rig.service.hold()
    async with aiohttp.ClientSession() as session:
        minted = [await rig.mint(number, "slow") for number in range(SLOTS - 2)]
        pages = [asyncio.create_task(rig.ask(session, token, text)) for token, text in minted]
        await rig.service.until_held(SLOTS - 2)
        told(f"order → its end, pages hold {rig.service.held} of {SLOTS} slots", await _ordered(rig, count))
        rig.service.let_go()
        await asyncio.gather(*pages)


async def _ordered(rig: PushRig, count: int) -> list[float]:
    """Milliseconds from an order to the sight of its end, one at a time; another process makes orders, so 250 ms are usual."""

    async def one() -> None:
        run = await rig.order("/v1/customers/7")
        while not (await rig.shown(run)).has_ended:  # noqa: ASYNC110 - it ends in another process
            await asyncio.sleep(0.002)

    return [await timed(one()) for _ in range(count)]


if __name__ == "__main__":
    asyncio.run(main())
