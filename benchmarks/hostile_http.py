"""What attacking HTTP targets cost the tests of others: `python -m benchmarks.hostile_http [--rounds 3] [ATTACK…]`.

A whole worker with default options: ten slots, of which nine run tests of a hostile server, each again as soon as its result is
there, and one is left to the tests of an honest target, the bystanders, which answers after 10 ms and says itself how long it
took. The same worker runs the bystanders alone before each attack. Printed for each attack: what its runs came to, the
worker's CPU a run (everything that it did meanwhile, bystanders and pulls too), and by how much the bystanders' figures
exceed the target's truth, calm and attacked: `firstByte` alone, and the whole test, which holds the connect too. Last, the
largest proportional set size of worker and evaluators, looked at after the timings, with what earlier attacks left of their heap.
Timings are medians over rounds, each a worker of its own.

The hostile servers are nice, and never of real-time priority: on a machine of their own they would not take processors from
the worker.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from operator import attrgetter
from typing import Any

import uvloop

from benchmarks.fed_worker import FedWorker, definition, fed_worker
from benchmarks.processes import cpu_seconds, family_size, process, running
from benchmarks.timing import ASSERTIONS, Errors
from tests.support.servers import hostile_http as servers
from tests.support.servers.http import Conversation, Server

ATTACKERS = 9
"""Tests under way, unpushed results included: all of the ten slots but one."""
LOOKED_INTO = (*ASSERTIONS, {"type": "body", "operator": "contains", "target": "needle"})
"""What an attacker's test asserts: a body must be decoded for it."""
RATE = 20.0
"""Bystanders a second: what one slot can do, pulls included, with room to spare."""
DELAY = 0.01
PATIENCE = 3.0
"""Seconds that a test may take; all attacks end sooner at a bound, on a machine that is not busy."""
SETTLE = 2.0
"""Seconds before a new worker counts: caches are warm, evaluators are up."""
RAMP = 0.5
"""Seconds from the beginning of an attack to its being counted."""
WATCH = 1.0
"""Seconds for which the memory under attack is looked at."""

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


def serve(ports: Connection, names: Sequence[str]) -> None:
    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            opened = [await stack.enter_async_context(Server(conversation=ATTACKS[name])) for name in names]
            ports.send([server.port for server in opened])
            await asyncio.Event().wait()

    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(19)
    uvloop.run(main())


@contextlib.contextmanager
def attackers(names: Sequence[str]) -> Iterator[list[str]]:
    """The URLs of hostile servers, in a process of their own."""
    with running(serve, names) as ports:
        yield [f"http://127.0.0.1:{port}/" for port in ports]


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """Milliseconds by which bystanders were measured beyond the target's truth."""

    first_byte: Errors
    whole: Errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One round of one kind. *ends* counts what its runs came to, *memory* is in bytes."""

    calm: Late
    attacked: Late
    ends: Counter[str]
    cpu_ms: float
    memory: int


def sorted_out(outcomes: Sequence[dict[str, Any]]) -> tuple[Late, Counter[str]]:
    """The bystanders' lateness, and what the others came to."""
    first_byte, whole, ends = [], [], Counter[str]()
    for outcome in outcomes:
        response, timings, failure = outcome["response"] or {}, outcome["timings"], outcome["failure"]
        headers = {name.lower(): value for name, value in (response.get("headers") or {}).items()}
        if "x-first-byte-us" in headers:
            truth = float(headers["x-first-byte-us"]) / 1000
            first_byte.append(timings["firstByte"] - truth)
            whole.append(timings["total"] - truth)
        else:
            ends["a response" if failure is None else failure["code"]] += 1
    if not whole:
        raise SystemExit("no bystander's result came back")
    return Late(first_byte=Errors(values=tuple(sorted(first_byte))), whole=Errors(values=tuple(sorted(whole)))), ends


def besiege(worker: FedWorker, seats: Sequence[int], seconds: float) -> Attack:
    """Calm, then with attackers on *seats*."""
    worker.seat([0] * len(seats))
    while any(worker.seated()):
        time.sleep(0.1)
    calm, _ = sorted_out(heard(worker, seconds))
    worker.seat(seats)
    time.sleep(RAMP)
    cpu = cpu_seconds(worker.pid)
    attacked, ends = sorted_out(heard(worker, seconds))
    cpu_ms = (cpu_seconds(worker.pid) - cpu) * 1000 / max(1, ends.total())
    until, memory = time.monotonic() + WATCH, 0
    while time.monotonic() < until:
        memory = max(memory, family_size(worker.pid).pss)
    return Attack(calm=calm, attacked=attacked, ends=ends, cpu_ms=cpu_ms, memory=memory)


def heard(worker: FedWorker, seconds: float) -> list[dict[str, Any]]:
    """The outcomes of the next *seconds*."""
    worker.outcomes()
    time.sleep(seconds)
    return worker.outcomes()


def one_round(honest: str, hostile: Sequence[str], seconds: float) -> list[Attack]:
    tests = [definition(honest, ASSERTIONS), *(definition(url, LOOKED_INTO, PATIENCE) for url in hostile)]
    sieges = [[ATTACKERS * (kind == attacked) for kind in hostile] for attacked in hostile]
    with fed_worker(tests, RATE, "--drainTimeout=0", seats=[0] * len(hostile)) as worker:
        worker.wait_for("passed")
        time.sleep(SETTLE)
        return [besiege(worker, seats, seconds) for seats in sieges]


def row(name: str, rounds: Sequence[Attack]) -> str:
    ends = "/".join(sorted({end for attack in rounds for end in attack.ends}))
    cells = [f"{name:27}{ends:20}{statistics.median(attack.cpu_ms for attack in rounds):8.1f}"]
    cells += [
        beyond(rounds, part, percent)
        for part in (attrgetter("first_byte"), attrgetter("whole"))
        for percent in (50, 99)
    ]
    return "".join(cells) + f"{max(attack.memory for attack in rounds) / 2**20:8.1f}"


def beyond(rounds: Sequence[Attack], part: Callable[[Late], Errors], percent: int) -> str:
    """A percentile of *part*, calm, attacked, and the difference."""
    calm = statistics.median(part(attack.calm).at(percent) for attack in rounds)
    attacked = statistics.median(part(attack.attacked).at(percent) for attack in rounds)
    return f"{calm:8.2f}{attacked:8.2f}{attacked - calm:+8.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="counted calm, and again under each attack")
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", choices=[*ATTACKS, []], help="default: all")
    arguments = parser.parse_args()
    names = arguments.attacks or list(ATTACKS)
    with process(sys.executable, "-m", "benchmarks.target", f"--delay={DELAY}") as (_, port), attackers(names) as urls:
        rounds: list[list[Attack]] = []
        for number in range(arguments.rounds):
            rounds.append(one_round(f"http://127.0.0.1:{port}/", urls, arguments.seconds))
            print(f"round {number + 1} of {arguments.rounds} is done", flush=True)
    columns = ("first byte p50", "first byte p99", "whole test p50", "whole test p99")
    print(f"{'bystanders, ms beyond the truth':55}" + "".join(f"{column:>24}" for column in columns))
    print(
        f"{'attack':27}{'came to':20}{'CPU ms':>8}" + f"{'calm':>8}{'attack':>8}{'differ':>8}" * 4 + f"{'PSS MiB':>8}"
    )
    for number, name in enumerate(names):
        print(row(name, [attacks[number] for attacks in rounds]))
    counted = [
        len(late.whole.values) for attacks in rounds for attack in attacks for late in (attack.calm, attack.attacked)
    ]
    print(f"bystanders, a round: {min(counted)} to {max(counted)}")


if __name__ == "__main__":
    main()
