"""What an attacking HTTP target costs: `python -m benchmarks.hostile_http [--probes N] [ATTACK…]`.

Nine runs at once, the default concurrency but one, go against a hostile server, and again half a second after each
ended; the tenth is a bystander that probes an honest target, which answers after 50 ms and says itself how long it took.
Printed for each attack: what a run against it came to, CPU a run (the bystander's included), the dearest turn of the
event loop (its CPU, so that a busy machine does not count), and the bystander's timing error (first byte measured, minus
the target's own truth) beside what it is without an attacker.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from multiprocessing.connection import Connection
from typing import Any

import uvloop

from benchmarks.processes import end
from tests.servers import hostile_http as servers
from tests.servers.door import loopback_door
from tests.servers.http import Conversation, Server
from worker.apitest.observation import HTTPResponse, Observation
from worker.apitest.request import HTTPRequest
from worker.clock import SystemClock
from worker.probers.http import HTTPLimits, probe

AT_ONCE = 9
DELAY = 0.05
REST = 0.5
LIMITS = HTTPLimits(max_body_bytes=5_000_000)

ATTACKS: dict[str, Conversation] = {
    "one-byte chunks": servers.endless(b"1\r\nx\r\n" * 5_000, servers.CHUNKED),
    "eight-byte chunks": servers.endless(b"8\r\n01234567\r\n" * 5_000, servers.CHUNKED),
    "48-byte chunks": servers.endless((b"30\r\n" + b"x" * 48 + b"\r\n") * 1_000, servers.CHUNKED),
    "endless chunk extension": servers.endless(b"e" * 65_536, servers.CHUNKED + b"5;"),
    "endless interim responses": servers.endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000),
    "endless body": servers.endless(b"x" * 65_536, servers.UNTIL_CLOSE),
    "endless fields": servers.sending(servers.endless_fields),
    "brotli bomb": servers.once(servers.coded("br", servers.bomb("br", 1_000_000_000))),
    "garbage": servers.endless(b"\x00\xff" * 10_000),
}


def serve(name: str, port: Connection) -> None:
    async def main() -> None:
        async with Server(conversation=ATTACKS[name]) as server:
            port.send(server.port)
            await asyncio.Event().wait()

    uvloop.run(main())


@contextlib.contextmanager
def attacker(name: str) -> Iterator[str]:
    """The URL of a hostile server in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(name, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/"
    finally:
        process.terminate()
        process.join()


@contextlib.contextmanager
def honest_target() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.target", "--delay", str(DELAY)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/"
    finally:
        end(process)


Probe = Callable[[str], Coroutine[Any, Any, Observation]]


def prober() -> Probe:
    door, clock = loopback_door(), SystemClock()
    return lambda url: probe(HTTPRequest(url=url, timeout=30), door, clock, LIMITS)


async def bystander(one: Probe, url: str, probes: int) -> list[float]:
    """Milliseconds by which the first byte was measured late, in order of size."""
    errors = []
    for _ in range(probes):
        observation = await one(url)
        assert isinstance(observation.response, HTTPResponse), observation.failure
        truth = next(value for name, value in observation.response.headers if name == "X-First-Byte-Us")
        errors.append(dict(observation.timings.tenths)["firstByte"] / 10 - int(truth) / 1000)
    return sorted(errors)


async def dearest_turn(found: list[float]) -> None:
    """Append the CPU seconds of each turn of the loop, for ever."""
    while True:
        before = time.thread_time()
        await asyncio.sleep(0.001)
        found.append(time.thread_time() - before)


async def again_and_again(one: Probe, url: str, outcomes: list[str]) -> None:
    while True:
        failure = (await one(url)).failure
        outcomes.append("a response" if failure is None else failure.code.value)
        await asyncio.sleep(REST)


async def under_attack(hostile: str, honest: str, probes: int) -> tuple[str, float, float, list[float]]:
    """What runs came to, CPU seconds a run, the dearest turn in seconds, and the bystander's errors."""
    one = prober()
    outcomes: list[str] = []
    turns: list[float] = []
    cpu = cpu_seconds()
    side = [asyncio.create_task(again_and_again(one, hostile, outcomes)) for _ in range(AT_ONCE)]
    side.append(asyncio.create_task(dearest_turn(turns)))
    errors = await bystander(one, honest, probes)
    spent = (cpu_seconds() - cpu) / max(1, len(outcomes))
    for task in side:
        task.cancel()
    await asyncio.gather(*side, return_exceptions=True)
    return "/".join(sorted(set(outcomes))), spent, max(turns), errors


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def row(name: str, outcome: str, spent: float, turn: float, errors: list[float]) -> str:
    p99 = errors[int(len(errors) * 0.99)]
    return f"{name:27}{outcome:20}{spent * 1e3:10.2f}{turn * 1e3:12.2f}{statistics.median(errors):12.2f}{p99:9.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probes", type=int, default=200, help="of the bystander, under each attack")
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", choices=[*ATTACKS, []], help="default: all")
    arguments = parser.parse_args()
    print(f"{'attack':27}{'outcome':20}{'CPU ms/run':>10}{'ms/turn':>12}{'late p50 ms':>12}{'p99':>9}")
    with honest_target() as honest:
        errors = uvloop.run(bystander(prober(), honest, arguments.probes))
        print(row("none", "", 0, 0, errors))
        for name in arguments.attacks or ATTACKS:
            with attacker(name) as hostile:
                print(row(name, *uvloop.run(under_attack(hostile, honest, arguments.probes))), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of the probing process: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
