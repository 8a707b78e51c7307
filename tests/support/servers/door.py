"""A real door for tests: loopback is allowed, names are asked of the test's own servers, a test's own authority is trusted."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from ipaddress import ip_address
from pathlib import Path

from tests.support.policy import policy_of
from worker.egress.nameserver import Nameserver
from worker.egress.proxy import Proxy
from worker.net.dns.resolver import Resolver
from worker.net.door import Door
from worker.net.trust import TrustStore

LOOPBACK = ("127.0.0.0/8", "::1/128")


def loopback_door(
    *servers: str,
    allow: tuple[str, ...] = LOOPBACK,
    ca_files: Iterable[Path] = (),
    deny: tuple[str, ...] = (),
    deny_names: tuple[str, ...] = (),
    ipv6: bool = False,
    proxy: Proxy | None = None,
) -> Door:
    """*servers* are DNS servers, as `host:port`; without any, names cannot be looked up."""
    return Door(
        policy=policy_of(allow=allow, deny=deny, deny_names=deny_names),
        resolver=Resolver(nameservers(servers), ipv6=ipv6),
        trust=trust_store(tuple(ca_files)),
        proxy=proxy,
    )


@cache
def trust_store(ca_files: tuple[Path, ...]) -> TrustStore:
    """Reading the system's authorities takes longer than most tests."""
    return TrustStore(ca_files)


def nameservers(texts: Iterable[str]) -> tuple[Nameserver, ...]:
    """From `host:port`, IPv6 in brackets."""
    split = (text.rpartition(":") for text in texts)
    return tuple(Nameserver(ip_address(host.strip("[]")), int(port)) for host, _, port in split)
