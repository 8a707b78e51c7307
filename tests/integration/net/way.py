"""Short ways to a recorder and a door for tests against loopback servers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path

from worker.clock import SystemClock
from worker.net.door import Door
from worker.net.exchange import Nameserver
from worker.net.recorder import Recorder
from worker.net.resolver import Resolver
from worker.net.trust import TrustStore
from worker.policy import Policy

CLOCK = SystemClock()
LOOPBACK = ("127.0.0.0/8", "::1/128")


def recorder(seconds: float = 5.0) -> Recorder:
    return Recorder(CLOCK, CLOCK.monotonic_ns() + round(seconds * 1e9))


def door(
    *servers: str,
    policy: Policy | None = None,
    ca_files: Iterable[Path] = (),
    ipv6: bool = False,
) -> Door:
    """A door that may reach loopback and asks *servers* (`host:port`) for names."""
    return Door(
        policy=policy or Policy.build(allow=LOOPBACK),
        resolver=Resolver(nameservers(servers), ipv6=ipv6),
        trust=TrustStore(ca_files),
    )


def nameservers(texts: Sequence[str]) -> tuple[Nameserver, ...]:
    """From `host:port`, IPv6 in brackets."""
    split = (text.rpartition(":") for text in texts)
    return tuple(Nameserver(ip_address(host.strip("[]")), int(port)) for host, _, port in split)


def open_descriptors() -> int:
    """How many file descriptors this process has; equal before and after means that nothing leaked."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def settled() -> None:
    """Let the loop close what was handed to it: transports close in the turns after `close`."""
    for _ in range(5):
        await asyncio.sleep(0)
