"""Each block of the registries, at its first and last address and one beyond, against facts typed a second time."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tests.support.policy import policy_of
from tests.unit.egress.addresses import boundaries_ipv4, boundaries_ipv6
from tests.unit.egress.naive_policy import IPV4, IPV6, NaivePolicy, facts
from tests.unit.egress.special_purpose_facts import ADDED_IPV4, ADDED_IPV6
from worker.egress.policy import DecisionKind
from worker.egress.special_purpose import BLOCKS

DEFAULT = policy_of()
NAIVE = NaivePolicy()


def test_the_two_tables_hold_the_same_blocks() -> None:
    ours = {(b.network[0].packed, b.network[-1].packed, b.reachable) for b in BLOCKS}
    assert ours == set(IPV4) | set(IPV6)
    assert len(BLOCKS) == len(IPV4) + len(IPV6)


def test_what_we_add_is_not_called_registered() -> None:
    added = {(first, last) for first, last, _ in facts(ADDED_IPV4, ADDED_IPV6)}
    assert {(b.network[0].packed, b.network[-1].packed) for b in BLOCKS if not b.registered} == added


@pytest.mark.parametrize("octets", boundaries_ipv4() + boundaries_ipv6(), ids=lambda octets: str(ip_address(octets)))
def test_each_boundary_is_judged_as_its_most_specific_block(octets: bytes) -> None:
    assert DEFAULT.judge(ip_address(octets)).allowed == NAIVE.allows(octets)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("192.0.0.7", False), ("192.0.0.8", False), ("192.0.0.9", True), ("192.0.0.10", True), ("192.0.0.11", False),
        ("192.88.98.255", True), ("192.88.99.0", False), ("192.88.99.2", False), ("192.88.100.0", True),
        ("9.255.255.255", True), ("11.0.0.0", True), ("100.63.255.255", True), ("100.128.0.0", True),
        ("172.15.255.255", True), ("172.32.0.0", True), ("223.255.255.255", True), ("224.0.0.0", False),
        ("168.63.129.15", True), ("168.63.129.16", False), ("168.63.129.17", True), ("1.0.0.0", True),
        ("2001:1::", False), ("2001:1::1", True), ("2001:1::3", True), ("2001:1::4", False), ("2001:200::", True),
        ("2001:f:ffff:ffff:ffff:ffff:ffff:ffff", False), ("2001:20::", True), ("2001:3f:ffff::", True),
        ("2001:40::", False), ("2001:db7:ffff::", True), ("2001:db9::", True), ("3ffe:ffff::", True), ("2000::", True),
        ("1fff:ffff::", False), ("4000::", False),
        ("fbff:ffff::", False), ("fc00::", False), ("fe00::", False), ("fe7f:ffff::", False), ("fec0::", False),
    ],
)  # fmt: skip
def test_known_neighbours(address: str, allowed: bool) -> None:
    assert DEFAULT.judge(ip_address(address)).allowed is allowed


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("127.8.8.8", "denied by the IANA special-purpose block 127.0.0.0/8 (loopback, RFC 1122)"),
        ("192.0.0.6", "denied by the IANA special-purpose block 192.0.0.0/29 (IPv4 service continuity, RFC 7335)"),
        (
            "192.0.0.9",
            "allowed by the IANA special-purpose block 192.0.0.9/32 (port control protocol anycast, RFC 7723)",
        ),
        ("239.1.2.3", "denied by the built-in block 224.0.0.0/4 (multicast, RFC 5771)"),
        ("168.63.129.16", "denied by the built-in block 168.63.129.16/32 (cloud metadata, Azure)"),
        ("fd00:ec2::254", "denied by the IANA special-purpose block fc00::/7 (unique local, RFC 4193)"),
        ("::ffff:127.8.8.8", "denied by the IANA special-purpose block 127.0.0.0/8 (loopback, RFC 1122)"),
    ],
)
def test_a_decision_names_the_most_specific_block_its_purpose_and_its_source(address: str, rule: str) -> None:
    decision = DEFAULT.judge(ip_address(address))
    assert (decision.kind, decision.rule) == (DecisionKind.SPECIAL_PURPOSE, rule)


# Where Python's own idea of "global" is right it is a third witness. These are its mistakes and choices in 3.11.7, 3.12.1 and
# 3.13.0, each range with what is_global says there.
PYTHON_DIFFERS = """
192.0.0.0       192.0.0.255     before 3.13 it knows two /29s and two addresses of it only
192.88.99.0     192.88.99.255   global: the row of 6to4 relay anycast has no flags any more
168.63.129.16   168.63.129.16   global: no registry has it
224.0.0.0       239.255.255.255 global: multicast is a question of its own there
::              ::255.255.255.255                       global but for :: and ::1
::ffff:0:0.0.0.0 ::ffff:0:255.255.255.255               global
64:ff9b::       64:ff9b::255.255.255.255                global whatever it embeds
64:ff9b:1::     64:ff9b:1:ffff:ffff:ffff:ffff:ffff      global before 3.13
100::1:0:0:0:0  100::1:ffff:ffff:ffff:ffff              global: python/cpython#151749
2001::          2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff  not global as a whole before 3.13; 2001:1::3 in no release
2002::          2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff global before 3.13
3fff::          3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff  global
5f00::          5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff global: python/cpython#151749
fec0::          feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff global
ff00::          ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff global: multicast is a question of its own there
"""


def test_python_agrees_outside_its_known_differences() -> None:
    known = [
        tuple(ip_address(text).packed for text in line.split()[:2]) for line in PYTHON_DIFFERS.strip().splitlines()
    ]
    agreed, octets_of_nat64 = 0, ip_address("64:ff9b::").packed[:12]
    for octets in boundaries_ipv4() + boundaries_ipv6():
        if any(first <= octets <= last for first, last in known if len(first) == len(octets)):
            continue
        if len(octets) == 16 and octets[0] >> 5 != 1 and octets[:12] != octets_of_nat64:
            continue  # Python calls global what IANA has given to nobody
        assert ip_address(octets).is_global == DEFAULT.judge(ip_address(octets)).allowed, str(ip_address(octets))
        agreed += 1
    assert agreed >= 80
