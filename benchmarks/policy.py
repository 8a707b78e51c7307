"""What one judgement costs: `python -m benchmarks.policy` prints medians. It stands in the way of every dial.

Each address is judged by the default policy, and by one with three hundred ranges of either kind, which should make no
difference: a judgement is a binary search. `ipaddress` itself, parsing the same text, is printed beside it for scale.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address

from worker.egress.hosts import parse_host
from worker.egress.policy import Policy
from worker.egress.rules import parse_glob, parse_nat64_prefix, parse_range

ROUNDS = 7
"""Medians of this many rounds of CALLS calls each: one round that was disturbed does not move them."""
CALLS = 20_000

ADDRESSES = {
    "public IPv4": "93.184.216.34",
    "private IPv4": "10.1.2.3",
    "public IPv6": "2606:4700:4700::1111",
    "IPv4-mapped": "::ffff:93.184.216.34",
    "NAT64 of a public IPv4": "64:ff9b::93.184.216.34",
    "NAT64 of a private IPv4": "64:ff9b::10.1.2.3",
}


def median_microseconds(call: Callable[[], object], calls: int) -> float:
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        for _ in range(calls):
            call()
        rounds.append((time.perf_counter_ns() - began) / calls / 1000)
    return statistics.median(rounds)


def crowded() -> Policy:
    """Six hundred ranges of our own, none of them around the addresses above."""
    allow = [f"{IPv4Address((172 << 24) + (16 << 16) + number * 256)}/28" for number in range(300)]
    deny = [f"{IPv4Address((5 << 24) + number * 256)}/28" for number in range(300)]
    return Policy.build(
        allow=map(parse_range, allow), deny=map(parse_range, deny), nat64_prefixes=[parse_nat64_prefix("fd64::/96")]
    )


def main() -> None:
    print(
        f"Python {platform.python_version()}, {platform.machine()}; microseconds a judgement, median of {ROUNDS} rounds"
    )
    print(f"{'':<26}{'default':>10}{'600 rules':>12}{'parsing it':>12}")
    default, many = Policy.build(), crowded()
    for what, text in ADDRESSES.items():
        address = ip_address(text)
        calls = [lambda: default.judge(address), lambda: many.judge(address), lambda: ip_address(text)]  # noqa: B023
        ours, crowd, parsing = (median_microseconds(call, CALLS) for call in calls)
        print(f"{what:<26}{ours:>10.2f}{crowd:>12.2f}{parsing:>12.2f}")
    by_name = Policy.build(allow_names=[parse_glob("*.corp.example")], deny_names=[parse_glob("*")])
    host = parse_host("db.corp.example")
    print(f"{'a name, two globs':<26}{median_microseconds(lambda: by_name.judge_name(host), CALLS):>10.2f}")
    print(f"{'building the default':<26}{median_microseconds(Policy.build, 50):>10.0f}")


if __name__ == "__main__":
    main()
