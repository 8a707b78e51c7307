"""`policy HOST…`: look hosts up as a test would, and explain the policy's decision on each of their addresses. Dials nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from worker.clock import Clock
from worker.egress.explain import Explanation, explain, unreadable
from worker.egress.hosts import Address, Host, Name, parse_host
from worker.egress.policy import Policy
from worker.errors import ExitCode, HostError
from worker.net.deadline import Deadline
from worker.net.dns.resolver import Resolver
from worker.net.failure import DoorError
from worker.net.recorder import Recorder
from worker.text import json_line

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
    """Explain each host; the exit code says whether a test may reach all of them. What is wrong with one goes to *complain*."""
    exit_code = ExitCode.DONE
    for text in hosts:
        explanation = await _explained(text, judge, resolver, clock, complain)
        show(json_line(explanation.as_json()) if as_json else explanation.as_text())
        if not explanation.reachable:
            exit_code = ExitCode.FAILED
    return exit_code


async def _explained(
    text: str, judge: Policy, resolver: Resolver, clock: Clock, complain: Callable[[str], None]
) -> Explanation:
    try:
        host = parse_host(text)
    except HostError as error:
        complain(f"{text}: {error.reason}")
        return unreadable(text, error)
    try:
        return explain(judge, host, await _answers(host, judge, resolver, clock))
    except DoorError as error:
        complain(f"{text}: {error.failure.message}")
        return explain(judge, host, ())


async def _answers(host: Host, judge: Policy, resolver: Resolver, clock: Clock) -> tuple[Address, ...]:
    """Look a name up; nothing for a denied one, which is not asked of anybody. Raises DoorError."""
    if not isinstance(host, Name) or not judge.judge_name(host).allowed:
        return ()
    return await resolver.resolve(host, Recorder(clock, Deadline(clock, LOOKUP_SECONDS)))
