"""The two policies of actions: what each opens, and what stays shut under both, in every spelling of an address."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from worker.actionrunner.doors import EgressRules
from worker.egress.hosts import Address, parse_host

PRIVATE = (
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.1.1",
    "fd00::1",
    "fc00::1",
    "fdff:ffff::1",
    "::ffff:10.0.0.1",
)
PUBLIC = ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c")
METADATA = ("169.254.169.254", "fd00:ec2::254", "fd20:ce::254", "168.63.129.16")
SHUT = (
    *(
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "169.254.0.1",
        "169.254.170.2",
        "100.64.0.1",
        "192.0.0.1",
        "192.0.2.1",
    ),
    *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
    *(
        "::1",
        "::",
        "fe80::1",
        "ff02::1",
        "fec0::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
    ),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:127.0.0.1", "2002:a9fe:a9fe::1", "100::1"),
    *("2130706433", "0x7f.1", "017700000001", "127.1", "0251.0376.0251.0376", "2852039166", "0xa9fea9fe", "4000::1"),
    *METADATA,
)


def address(text: str) -> Address:
    host = parse_host(text)
    assert not hasattr(host, "text"), text
    return host


@pytest.mark.parametrize("text", [*SHUT, *(f"64:ff9b:1::{text}" for text in ("10.0.0.1",))])
def test_what_is_shut_is_shut_under_both(text: str) -> None:
    """Check 23, for addresses."""
    rules = EgressRules()
    assert not rules.free().judge(address(text)).allowed
    assert not rules.named().judge(address(text)).allowed


@pytest.mark.parametrize("text", PRIVATE)
def test_private_space_is_open_for_hosts_that_a_connection_names_alone(text: str) -> None:
    assert EgressRules().named().judge(address(text)).allowed
    assert not EgressRules().free().judge(address(text)).allowed


@pytest.mark.parametrize("text", PUBLIC)
def test_public_space_is_open_under_both(text: str) -> None:
    assert EgressRules().named().judge(address(text)).allowed
    assert EgressRules().free().judge(address(text)).allowed


@pytest.mark.parametrize("text", METADATA)
def test_metadata_is_open_where_the_operator_says_so(text: str) -> None:
    rules = EgressRules(metadata=True)
    assert rules.named().judge(address(text)).allowed
    assert rules.free().judge(address(text)).allowed


def test_ranges_of_the_operator_shut_private_space_and_open_other() -> None:
    rules = EgressRules(
        deny=(ip_network("10.1.0.0/16"), ip_network("fd00:1::/32")), allow=(ip_network("127.0.0.1/32"),)
    )
    assert not rules.named().judge(ip_address("10.1.2.3")).allowed
    assert not rules.named().judge(ip_address("fd00:1::1")).allowed
    assert rules.named().judge(ip_address("10.2.2.3")).allowed
    assert rules.free().judge(ip_address("127.0.0.1")).allowed
    assert not EgressRules(deny=(ip_network("0.0.0.0/0"),)).named().judge(ip_address("10.2.2.3")).allowed
