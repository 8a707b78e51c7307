"""Check 23: the kernel's attacks on the egress policy, each under the two policies of HTTP actions. Nothing is dialled or asked.

`free` shuts what the kernel shuts. `named` opens RFC 1918 and unique local addresses, and nothing else: an address that leads to
one of these is as open as the one that it leads to.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from tests.vectors.egress import DENIED, INVALID, UNKNOWN, Vector, vectors
from worker.actionrunner.doors import EgressRules
from worker.actions.action import ActionFailure
from worker.actions.weburl import absolute
from worker.egress.hosts import Address, Name, parse_host
from worker.errors import HostError
from worker.net.http.error import HTTPError
from worker.net.http.url import parse, resolve

PORT = 8080
RULES = EgressRules()
FREE, NAMED = RULES.free(), RULES.named()
OPENED = [ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")]
SHUT = [ip_address(text) for text in ("fd00:ec2::254", "fd20:ce::254", "168.63.129.16")]
NAT64 = ip_network("64:ff9b::/96")
BASE = parse(f"http://outside.test:{PORT}/a/b")
RECORDS = {"A", "AAAA"}
ALIASES = {one.target.lower().rstrip("."): one for one in vectors() if one.by == "name"}

JUDGED = [one for one in vectors() if one.by != "header"]
"""A field of an answer that is no redirect names nobody: test_http.py has those."""


def private(address: Address) -> bool:
    return address not in SHUT and any(address.version == net.version and address in net for net in OPENED)


def targets(vector: Vector) -> Iterator[Address | Name]:
    """Everybody whom an HTTP action would ask. Raises for a text that names nobody."""
    text = vector.target.replace("{port}", str(PORT))
    match vector.by:
        case "host":
            yield parse_host(text)
        case "url":
            yield parse_host(absolute(text).host)
        case "location":
            yield parse_host(resolve(BASE, text).host)
        case "name":
            parse_host(text)
            yield from addresses(vector)


def addresses(vector: Vector, hops: int = 5) -> Iterator[Address]:
    for kind, found in vector.records.items():
        for text in found:
            if kind in RECORDS:
                yield ip_address(text)
            elif hops:
                yield from addresses(ALIASES[text.rstrip(".")], hops - 1)


@pytest.mark.parametrize("kind", sorted({one.kind for one in JUDGED}))
def test_each_attack_ends_as_the_kernel_says_under_both_policies(kind: str) -> None:
    wrong = [f"{one}: {reason}" for one in JUDGED if one.kind == kind and (reason := mistake(one))]
    assert wrong == []


def mistake(vector: Vector) -> str:
    """The way in which *vector* ends otherwise than the kernel says, or nothing."""
    try:
        found = list(targets(vector))
    except (ActionFailure, HostError, HTTPError):
        # An action refuses a login in its URL as well, which a test may have.
        return "" if vector.expected == INVALID or "@" in vector.target else "refused as malformed"
    if vector.expected == INVALID:
        return "not refused as malformed"
    for target in found:
        if isinstance(target, Name):  # it is looked up, and each answer judged
            if vector.expected != UNKNOWN and target.text not in ALIASES:
                return f"the name {target}"
            continue
        is_open = vector.expected != DENIED
        if FREE.judge(target).allowed is not is_open:
            return f"{target} under free"
        if NAMED.judge(target).allowed is not (is_open or private(_dialled(target))):
            return f"{target} under named"
    return ""


def _dialled(address: Address) -> Address:
    """The IPv4 address at which packets to *address* end: mapped (RFC 4291), NAT64 (RFC 6052 section 2.1), ISATAP (RFC 5214)."""
    if not isinstance(address, IPv6Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    is_isatap = address.packed[8:12] in (b"\0\0\x5e\xfe", b"\x02\0\x5e\xfe")
    return IPv4Address(address.packed[12:]) if address in NAT64 or is_isatap else address


def test_there_are_as_many_as_the_kernel_has() -> None:
    assert len(JUDGED) > 250
    assert {one.by for one in JUDGED} == {"host", "url", "location", "name"}
