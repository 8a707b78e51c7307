"""A loop that is held at random moments: no test of a target that answered in time fails without `unhealthy`.

The targets run in a thread of their own and say themselves how long they took: on a machine that is too busy for them they are
not honest any more, and nothing is demanded of such a run.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.definitions import STATUS, api_test
from tests.support.servers.dns import DNSServer, Query, Reaction, zone
from tests.support.servers.door import loopback_door
from tests.support.servers.elsewhere import elsewhere
from tests.support.servers.http import Server, read_request, reply
from worker.apitest.parse import parse
from worker.apitest.result import Result, Status
from worker.checks.evidence import AssertionLimits
from worker.clock import SystemClock
from worker.evaluators.pool import Evaluators
from worker.net.http.response import HTTPLimits
from worker.probers.limits import ProbeLimits
from worker.telemetry.vitals import Vitals
from worker.work.runner import RunLimits, Runner

NAME = "www.example.org"
LOOK_UP = 0.03
ANSWER = 0.06
"""Seconds that the name server and each exchange of a target take."""
LIMIT = 0.35
"""Seconds of a test: a look-up and three exchanges in the longest of them."""
SPARE = 0.08
"""Of it for connects and handshakes; what the targets take beyond `LIMIT - SPARE` is their own failure."""
AT_ONCE = 12
HOLDS = (0.02, 0.35)
"""Seconds for which the loop is held, one hold after another: shorter ones than the vitals count as trouble, and longer ones."""
LIMITS = AssertionLimits(max_body_bytes=1_000_000, pattern_seconds=0.5)
PIECES = 5


@dataclass
class Targets:
    """*took* has the seconds that the servers took for each test, by its number."""

    plain: Server
    secure: Server
    names: DNSServer
    took: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))


def conversing(took: defaultdict[str, float], tls: ssl.SSLContext | None) -> Server:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = await read_request(reader)
        began = time.monotonic()
        await asyncio.sleep(ANSWER)
        body = b"x" * 200_000
        number, _, hops = seen.target.strip("/").partition("/")
        if hops:
            answers = [reply(status="302 Found", headers=(f"Location: /{number}{hops[1:] and '/' + hops[1:]}",))]
        else:
            whole = reply(body)
            size = len(whole) // PIECES + 1
            answers = [whole[at : at + size] for at in range(0, len(whole), size)]
        for answer in answers:
            writer.write(answer)
            await writer.drain()
            await asyncio.sleep(0.005)
        took[number] += time.monotonic() - began
        await reader.read()

    return Server(conversation=converse, tls=tls)


@contextlib.asynccontextmanager
async def running_targets(authority: trustme.CA) -> AsyncIterator[Targets]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME).configure_cert(context)
    honest = zone({NAME: {"A": ["127.0.0.1"]}})

    def slowly(query: Query) -> Reaction:
        return replace(honest(query), delay=LOOK_UP)

    took: defaultdict[str, float] = defaultdict(float)
    async with (
        elsewhere(conversing(took, None)) as plain,
        elsewhere(conversing(took, context)) as secure,
        elsewhere(DNSServer(slowly)) as names,
    ):
        yield Targets(plain, secure, names, took)


def definition(targets: Targets, number: int) -> dict[str, Any]:
    server = targets.secure if number % 3 == 0 else targets.plain
    hops = "x" * (number % 3)
    url = f"{'https' if server is targets.secure else 'http'}://{NAME}:{server.port}/{number}{hops and '/' + hops}"
    looked_into = {
        "type": "body",
        "operator": "matches" if number % 2 else "contains",
        "target": "x+" if number % 2 else "x",
    }
    return api_test("http", STATUS, looked_into, url=url, follow_redirects=True, timeout=LIMIT)


async def hold(seconds: float, chance: random.Random) -> None:
    """Hold the loop again and again, for *seconds*."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(chance.uniform(0.0, 0.1))
        time.sleep(chance.uniform(*HOLDS))  # noqa: ASYNC251  # that is the point


async def run_some(targets: Targets, ca_file: Path, seed: int) -> list[tuple[int, Result]]:
    clock = SystemClock()
    vitals = Vitals(clock)
    async with Evaluators(2, LIMITS, clock) as evaluators:
        runner = Runner(
            door=loopback_door(targets.names.address, ca_files=[ca_file]),
            evaluators=evaluators,
            clock=clock,
            limits=RunLimits(
                max_timeout=5.0, probes=ProbeLimits(http=HTTPLimits(max_body_bytes=1_000_000)), checks=LIMITS
            ),
            vitals=vitals,
            worker_id="worker",
            version="1",
        )
        await runner.run(parse(definition(targets, 1)))
        watching = asyncio.create_task(vitals.run())
        holding = asyncio.create_task(hold(2.0, random.Random(seed)))
        finished: list[tuple[int, Result]] = []
        try:
            numbers = iter(range(seed * 10_000, (seed + 1) * 10_000))

            async def keep_running() -> None:
                while not holding.done():
                    number = next(numbers)
                    finished.append((number, await runner.run(parse(definition(targets, number)))))

            await asyncio.gather(*(keep_running() for _ in range(AT_ONCE)))
        finally:
            watching.cancel()
            holding.cancel()
            await asyncio.gather(watching, holding, return_exceptions=True)
    return finished


@pytest.mark.parametrize("seed", range(1, 4))
async def test_no_honest_test_fails_without_saying_that_the_worker_was_in_trouble(seed: int, tmp_path: Path) -> None:
    authority = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    async with running_targets(authority) as targets:
        finished = await run_some(targets, ca_file, seed)
        honest = [result for number, result in finished if 0 < targets.took[str(number)] + LOOK_UP < LIMIT - SPARE]
    assert len(honest) > AT_ONCE
    blamed = [result for result in honest if result.status is Status.FAILED and result.unhealthy is None]
    assert [(result.failure, result.timings.as_json()) for result in blamed] == []
    assert any(result.unhealthy for result in honest), "the loop was not held"
