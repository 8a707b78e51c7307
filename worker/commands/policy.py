"""`policy HOST…`: look hosts up as a test would, and explain the policy's word on each of their addresses. Dials nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson

from worker.clock import Clock
from worker.egress.explain import explain
from worker.egress.policy import Policy
from worker.errors import ExitCode
from worker.net.dns.resolver import Resolver
from worker.net.failure import DoorError
from worker.net.host import Address, Name, parse_host
from worker.net.recorder import NANOSECONDS, Recorder

LOOKUP_SECONDS = 10
"""Longest look-up of one host: every server has had its turn by then."""


async def policy(
    hosts: Sequence[str],
    judge: Policy,
    resolver: Resolver,
    clock: Clock,
    *,
    as_json: bool,
    show: Callable[[str], None],
    complain: Callable[[str], None],
) -> int:
    """Explain each host; the exit code says whether a test may reach all of them. A failed look-up goes to *complain*."""
    exit_code = ExitCode.DONE
    for host in hosts:
        try:
            name, addresses = await _looked_up(host, judge, resolver, clock)
        except DoorError as error:
            complain(f"{host}: {error.failure.message}")
            name, addresses = host, ()
        explanation = explain(judge, name, addresses)
        show(orjson.dumps(explanation.as_json()).decode() if as_json else explanation.as_text())
        if not explanation.reachable:
            exit_code = ExitCode.FAILED
    return exit_code


async def _looked_up(host: str, judge: Policy, resolver: Resolver, clock: Clock) -> tuple[str, tuple[Address, ...]]:
    """The host as the door reads it, and what it means; nothing for a denied name. Raises DoorError."""
    parsed = parse_host(host)
    name = str(parsed)
    if not isinstance(parsed, Name):
        return name, (parsed,)
    if not judge.judge_name(name).allowed:
        return name, ()
    deadline = clock.monotonic_ns() + LOOKUP_SECONDS * NANOSECONDS
    return name, await resolver.resolve(parsed, Recorder(clock, deadline))
