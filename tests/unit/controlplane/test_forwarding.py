"""The visitor behind proxies: only these proxies' word counts, and of their word what no visitor can have written."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from controlplane.rest.forwarding import MOST_HOPS, NO_PROXY, ForwardTrust

TRUST = ForwardTrust((ip_network("10.0.0.0/8"), ip_network("fd00::/8")))


@pytest.mark.parametrize(
    ("peer", "headers", "visitor"),
    [
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("198.51.100.1", ["203.0.113.9"], "198.51.100.1"),  # no proxy of ours: it says so of itself
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),  # what stands before is the visitor's own
        ("10.0.0.1", ["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7, 10.1.1.1, 10.2.2.2"], "198.51.100.7"),
        ("10.0.0.1", ["10.1.1.1"], "10.1.1.1"),
        ("10.0.0.1", ["198.51.100.7, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, , 10.1.1.1"], "10.1.1.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("fd00::1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("", ["198.51.100.7"], ""),
        ("10.0.0.1", ["198.51.100.7" + ", 10.1.1.1" * MOST_HOPS], "10.1.1.1"),
    ],
)
def test_the_visitor_is_the_last_address_that_is_no_proxy_of_ours(peer: str, headers: list[str], visitor: str) -> None:
    assert TRUST.visitor(peer, headers) == visitor


def test_without_a_proxy_the_header_is_nothing() -> None:
    assert NO_PROXY.visitor("10.0.0.1", ["198.51.100.7"]) == "10.0.0.1"
