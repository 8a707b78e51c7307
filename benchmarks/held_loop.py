"""What hostile targets and authors do to the event loop: `python -m benchmarks.held_loop [--rounds 3] [--seconds 4] [ATTACK…]`.

A runner with everything behind it, in this process: ten tests at once, of which nine are one kind of attack, each again as soon
as it has ended, and one is an honest test of a target that answers after 10 ms. Calm stretches, with the honest test alone, take
turns with the attacks. Printed for each attack: what its runs came to, how late the loop was at worst, calm and attacked, and how
many honest tests failed, told as the target's failure or with the worker's own trouble beside it.

The hostile servers are nice: on a machine of their own they would not take processors from the worker.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import shutil
import ssl
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import trustme
import uvloop

from benchmarks.processes import process, running
from benchmarks.timing import ASSERTIONS
from tests.support.definitions import api_test
from tests.support.dh import write_group
from tests.support.policy import policy_of
from tests.support.servers import hostile_http as servers
from tests.support.servers.http import Conversation, Server, reply
from worker.apitest.definition import APITest
from worker.apitest.parse import parse
from worker.apitest.result import Result, Status
from worker.checks.evidence import AssertionLimits
from worker.clock import SystemClock
from worker.evaluators.pool import Evaluators
from worker.net.dns.resolver import Resolver
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.net.trust import TrustStore
from worker.probers.limits import ProbeLimits
from worker.program.loading import without_collections
from worker.telemetry.vitals import Vitals
from worker.work.runner import RunLimits, Runner

ATTACKERS = 9
"""Of the ten tests that run at once by default."""
DELAY = 0.01
PATIENCE = 2.0
"""Seconds that an honest test may take."""
IMPATIENCE = 1.0
"""Seconds of a hostile one: a stretch lasts until the last of them has ended."""
TICK = 0.005
"""Seconds between looks at the loop."""
BODY = 4_900_000
"""Bytes of a hostile body: what the options allow by default."""
NEEDLE = {"type": "body", "operator": "contains", "target": "needle"}
STATUS = {"type": "statusCode", "operator": "is", "target": 200}
AS_TARGET = "[" + ",".join(["[1,2]"] * 1_300_000) + "]"
"""7.8 MB of JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """*dh* has the bits of a Diffie-Hellman group, *chain* the number of certificates that are shown."""

    answer: bytes = b""
    conversation: Conversation | None = None
    assertions: Sequence[dict[str, Any]] = (NEEDLE,)
    dh: int = 0
    chain: int = 0

    @property
    def secure(self) -> bool:
        return bool(self.dh or self.chain)


def coded(coding: str, body: bytes) -> Attack:
    return Attack(answer=reply(body, headers=(f"Content-Encoding: {coding}",)))


def cookies() -> bytes:
    fields = tuple(f"Set-Cookie: n{number}={'v' * 200}; Path=/; Domain=127.0.0.1" for number in range(200))
    return reply(status="302 Found", headers=("Location: /", *fields))


SMALL = reply(b"[]", headers=("Content-Type: application/json",))
PAGE = reply(b"a" * 64_000)
CHUNKS = b"8\r\n01234567\r\n" * 5_000
JSON_TARGET = {"jsonPath": "$", "operator": "is", "targetValue": AS_TARGET}

ATTACKS: dict[str, Callable[[], Attack]] = {
    "brotli of single bytes": lambda: coded("br", servers.brotli_of_single_bytes(BODY)),
    "brotli of nothing": lambda: coded("br", servers.brotli_of_nothing(BODY)),
    "deflate of single bytes": lambda: coded("deflate", servers.deflate_of_single_bytes(BODY)),
    "gzip bomb": lambda: coded("gzip", servers.bomb("gzip", 1_000_000_000)),
    "zstd bomb": lambda: coded("zstd", servers.bomb("zstd", 1_000_000_000)),
    "5 MB of text": lambda: Attack(answer=reply(b"x" * BODY)),
    "eight-byte chunks": lambda: Attack(conversation=servers.endless(CHUNKS, servers.CHUNKED)),
    "endless fields": lambda: Attack(conversation=servers.sending(servers.endless_fields)),
    "redirects that set 200 cookies": lambda: Attack(answer=cookies()),
    "DHE of 1,279 bits": lambda: Attack(answer=SMALL, dh=1279),
    "DHE of 4,253 bits": lambda: Attack(answer=SMALL, dh=4253),
    "DHE of 9,941 bits": lambda: Attack(answer=SMALL, dh=9941),
    "a chain of 60 certificates": lambda: Attack(answer=SMALL, chain=60),
    "a target of 7.8 MB of JSON": lambda: Attack(
        answer=SMALL, assertions=[{"type": "body", "operator": "validatesJSONPath", "target": JSON_TARGET}]
    ),
    "twenty targets of 390 kB": lambda: Attack(
        answer=PAGE, assertions=[NEEDLE | {"target": "a" * 390_000 + str(number)} for number in range(20)]
    ),
}
"""Made where they are needed: bombs take a while."""


def tls_of(attack: Attack, directory: Path) -> ssl.SSLContext:
    authority = trustme.CA(key_type=trustme.KeyType.RSA)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf = authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.RSA)
    pems = [leaf.private_key_pem, *leaf.cert_chain_pems, *[authority.cert_pem] * max(0, attack.chain - 1)]
    path = directory / "server.pem"
    path.write_bytes(b"".join(pem.bytes() for pem in pems))
    context.load_cert_chain(path)
    if attack.dh:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("DHE-RSA-AES256-GCM-SHA384:@SECLEVEL=0")
        context.load_dh_params(str(write_group(directory / "group.pem", attack.dh)))
    return context


def serve(url: Connection, name: str) -> None:
    attack = ATTACKS[name]()

    async def main() -> None:
        with tempfile.TemporaryDirectory() as directory:
            tls = tls_of(attack, Path(directory)) if attack.secure else None
            conversation = attack.conversation or servers.once(attack.answer)
            async with Server(conversation=conversation, tls=tls) as server:
                url.send(server.url())
                await asyncio.Event().wait()

    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(19)
    uvloop.run(main())


LARGE_GROUP = "ffdhe8192 of TLS 1.3"


@contextlib.contextmanager
def large_group_of_tls_1_3() -> Iterator[int | None]:
    """OpenSSL's test server, which can be told its groups; None where it is not installed."""
    if shutil.which("openssl") is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "server.pem")
        trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(path))
        options = ("-accept", "127.0.0.1:0", "-www", "-tls1_3", "-groups", "ffdhe8192")
        with process("nice", "openssl", "s_server", "-cert", str(path), "-key", str(path), *options) as (server, first):
            assert server.stdout is not None
            lines = itertools.chain([first], server.stdout)
            listening = next(line for line in lines if line.startswith("ACCEPT"))
            yield int(listening.rpartition(":")[2])


@dataclass(slots=True)
class Stretch:
    """*lags* in milliseconds; honest tests that *passed*, *failed* as the target's, and failed in the worker's own trouble."""

    lags: list[float] = field(default_factory=list)
    passed: int = 0
    failed: int = 0
    excused: int = 0
    ends: Counter[str] = field(default_factory=Counter)

    def count(self, result: Result) -> None:
        if result.status is Status.PASSED:
            self.passed += 1
        elif result.unhealthy is None:
            self.failed += 1
            print(f"FAILED: {result.failure} {result.timings.as_json()}", file=sys.stderr)
        else:
            self.excused += 1


async def watch(stretch: Stretch) -> None:
    while True:
        due = time.perf_counter() + TICK
        await asyncio.sleep(TICK)
        stretch.lags.append((time.perf_counter() - due) * 1000)


async def stretch_of(runner: Runner, honest: APITest, hostile: APITest | None, seconds: float) -> Stretch:
    stretch = Stretch()
    end = time.perf_counter() + seconds

    async def behave() -> None:
        while time.perf_counter() < end:
            stretch.count(await runner.run(honest))

    async def attack(test: APITest) -> None:
        while time.perf_counter() < end:
            result = await runner.run(test)
            stretch.ends[result.failure.code.value if result.failure else "passed"] += 1

    watching = asyncio.create_task(watch(stretch))
    await asyncio.gather(behave(), *(attack(hostile) for _ in range(ATTACKERS) if hostile is not None))
    watching.cancel()
    return stretch


def test_of(name: str, url: str, assertions: Sequence[dict[str, Any]], timeout: float) -> APITest:
    definition = api_test("http", *assertions, url=url, timeout=timeout, follow_redirects=True, allow_insecure=True)
    return parse(json.loads(json.dumps(definition | {"public_id": name})))


@contextlib.asynccontextmanager
async def everything_behind() -> Any:
    clock, limits = SystemClock(), AssertionLimits(max_body_bytes=5_000_000, pattern_seconds=0.5)
    vitals = Vitals(clock)
    door = Door(policy=policy_of(allow=["127.0.0.1/32"]), resolver=Resolver(()), trust=TrustStore())
    async with Evaluators(2, limits, clock) as evaluators:
        watching = asyncio.create_task(vitals.run())
        yield Runner(
            door=door,
            evaluators=evaluators,
            clock=clock,
            limits=RunLimits(
                max_timeout=60.0, probes=ProbeLimits(http=HTTPLimits(max_body_bytes=5_000_000)), checks=limits
            ),
            vitals=vitals,
            worker_id="worker",
            version="1",
        )
        watching.cancel()


async def besiege(honest_url: str, urls: dict[str, str], rounds: int, seconds: float) -> int:
    """The number of honest tests that failed as the target's."""
    failed = 0
    honest = test_of("honest", honest_url, ASSERTIONS, PATIENCE)
    print(f"{'attack':32}{'came to':34}{'worst lag, ms: calm':>20}{'attacked':>10}{'differ':>9}{'honest: failed':>16}")
    async with everything_behind() as runner:
        with without_collections():  # as a worker starts
            for _ in range(20):
                await runner.run(honest)
        for name, url in urls.items():
            hostile = test_of("bad", url, ATTACKS[name]().assertions if name in ATTACKS else (STATUS,), IMPATIENCE)
            pairs = []
            for _ in range(rounds):
                calm = await stretch_of(runner, honest, None, seconds)
                pairs.append((calm, await stretch_of(runner, honest, hostile, seconds)))
            failed += show(name, pairs)
    return failed


def show(name: str, pairs: Sequence[tuple[Stretch, Stretch]]) -> int:
    """Print a row; the number of honest tests that failed as the target's."""
    calm, attacked = (statistics.median(max(pair[which].lags) for pair in pairs) for which in (0, 1))
    ends = sum((pair[1].ends for pair in pairs), Counter[str]())
    honest = [stretch for pair in pairs for stretch in pair]
    came = ", ".join(f"{count} {end}" for end, count in ends.most_common(2))
    tally = f"{sum(s.failed for s in honest)} of {sum(s.passed + s.failed + s.excused for s in honest)}"
    excused = sum(s.excused for s in honest)
    print(
        f"{name:32}{came:34}{calm:20.1f}{attacked:10.1f}{attacked - calm:+9.1f}{tally:>16}"
        + (f" ({excused} unhealthy)" if excused else ""),
        flush=True,
    )
    return sum(s.failed for s in honest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each stretch, calm and attacked")
    known = (*ATTACKS, LARGE_GROUP)
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=f"default: all of {', '.join(known)}")
    arguments = parser.parse_args()
    asked = arguments.attacks or known
    if unknown := [name for name in asked if name not in known]:
        parser.error(f"{unknown[0]!r} is not a valid attack: {', '.join(known)}")
    with contextlib.ExitStack() as stack:
        _, port = stack.enter_context(process(sys.executable, "-m", "benchmarks.target", f"--delay={DELAY}"))
        urls = {}
        for name in asked:
            if name in ATTACKS:
                urls[name] = stack.enter_context(running(serve, name))
        large = stack.enter_context(large_group_of_tls_1_3()) if LARGE_GROUP in asked else None
        if large is not None:
            urls[LARGE_GROUP] = f"https://127.0.0.1:{large}/"
        failed = uvloop.run(besiege(f"http://127.0.0.1:{port}/health", urls, arguments.rounds, arguments.seconds))
    if failed:
        sys.exit(f"{failed} honest tests failed as the target's")


if __name__ == "__main__":
    main()
