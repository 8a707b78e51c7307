"""The addresses that are not the public internet: the IANA special-purpose registries, pinned, and what they omit.

Data, and nothing else. `ipaddress.is_private` and `is_global` are not used anywhere in the worker: their answers change
between Python releases, and they call NAT64 of 127.0.0.1, site-local and multicast addresses global.

*reachable* is the registry's "Globally Reachable". Where a registry says N/A, or gives no flags because the
assignment has ended, the block counts as unreachable. IPv4 hidden inside an IPv6 address is worker/egress/embedding.py's
subject.

Sources: iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry, as published in August 2026.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

from msgspec import Struct


class Block(Struct, frozen=True, kw_only=True):
    """One block. *registered* tells the registries' blocks from those that we add."""

    network: IPv4Network | IPv6Network
    purpose: str
    reference: str
    reachable: bool
    registered: bool = True


def _unreachable(network: str, purpose: str, reference: str) -> Block:
    return Block(network=ip_network(network), purpose=purpose, reference=reference, reachable=False)


def _reachable(network: str, purpose: str, reference: str) -> Block:
    return Block(network=ip_network(network), purpose=purpose, reference=reference, reachable=True)


def _added(network: str, purpose: str, reference: str) -> Block:
    return Block(network=ip_network(network), purpose=purpose, reference=reference, reachable=False, registered=False)


BLOCKS: tuple[Block, ...] = (
    _unreachable("0.0.0.0/8", "this network", "RFC 791"),
    _unreachable("0.0.0.0/32", "this host", "RFC 1122"),
    _unreachable("10.0.0.0/8", "private use", "RFC 1918"),
    _unreachable("100.64.0.0/10", "shared address space", "RFC 6598"),
    _unreachable("127.0.0.0/8", "loopback", "RFC 1122"),
    _unreachable("169.254.0.0/16", "link-local", "RFC 3927"),
    _unreachable("172.16.0.0/12", "private use", "RFC 1918"),
    _unreachable("192.0.0.0/24", "IETF protocol assignments", "RFC 6890"),
    _unreachable("192.0.0.0/29", "IPv4 service continuity", "RFC 7335"),
    _unreachable("192.0.0.8/32", "dummy address", "RFC 7600"),
    _reachable("192.0.0.9/32", "port control protocol anycast", "RFC 7723"),
    _reachable("192.0.0.10/32", "TURN anycast", "RFC 8155"),
    _unreachable("192.0.0.170/32", "NAT64/DNS64 discovery", "RFC 8880"),
    _unreachable("192.0.0.171/32", "NAT64/DNS64 discovery", "RFC 8880"),
    _unreachable("192.0.2.0/24", "documentation", "RFC 5737"),
    _reachable("192.31.196.0/24", "AS112", "RFC 7535"),
    _reachable("192.52.193.0/24", "automatic multicast tunneling", "RFC 7450"),
    _unreachable("192.88.99.0/24", "deprecated 6to4 relay anycast", "RFC 7526"),
    _unreachable("192.88.99.2/32", "6a44 relay anycast", "RFC 6751"),
    _unreachable("192.168.0.0/16", "private use", "RFC 1918"),
    _reachable("192.175.48.0/24", "AS112 direct delegation", "RFC 7534"),
    _unreachable("198.18.0.0/15", "benchmarking", "RFC 2544"),
    _unreachable("198.51.100.0/24", "documentation", "RFC 5737"),
    _unreachable("203.0.113.0/24", "documentation", "RFC 5737"),
    _unreachable("240.0.0.0/4", "reserved", "RFC 1112"),
    _unreachable("255.255.255.255/32", "limited broadcast", "RFC 919"),
    _added("224.0.0.0/4", "multicast", "RFC 5771"),
    # A public address by its number; inside Azure it is the platform's metadata and provisioning server.
    _added("168.63.129.16/32", "cloud metadata", "Azure"),
    _unreachable("::1/128", "loopback", "RFC 4291"),
    _unreachable("::/128", "unspecified", "RFC 4291"),
    _unreachable("::ffff:0:0/96", "IPv4-mapped", "RFC 4291"),
    _reachable("64:ff9b::/96", "IPv4-IPv6 translation", "RFC 6052"),
    _unreachable("64:ff9b:1::/48", "local-use IPv4-IPv6 translation", "RFC 8215"),
    _unreachable("100::/64", "discard only", "RFC 6666"),
    _unreachable("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
    _unreachable("2001::/23", "IETF protocol assignments", "RFC 2928"),
    _unreachable("2001::/32", "Teredo", "RFC 4380"),
    _reachable("2001:1::1/128", "port control protocol anycast", "RFC 7723"),
    _reachable("2001:1::2/128", "TURN anycast", "RFC 8155"),
    _reachable("2001:1::3/128", "DNS-SD service registration anycast", "RFC 9665"),
    _unreachable("2001:2::/48", "benchmarking", "RFC 5180"),
    _reachable("2001:3::/32", "automatic multicast tunneling", "RFC 7450"),
    _reachable("2001:4:112::/48", "AS112", "RFC 7535"),
    _unreachable("2001:10::/28", "deprecated ORCHID", "RFC 4843"),
    _reachable("2001:20::/28", "ORCHIDv2", "RFC 7343"),
    _reachable("2001:30::/28", "drone remote identification", "RFC 9374"),
    _unreachable("2001:db8::/32", "documentation", "RFC 3849"),
    _unreachable("2002::/16", "6to4", "RFC 3056"),
    _reachable("2620:4f:8000::/48", "AS112 direct delegation", "RFC 7534"),
    _unreachable("3fff::/20", "documentation", "RFC 9637"),
    _unreachable("5f00::/16", "segment routing identifiers", "RFC 9602"),
    _unreachable("fc00::/7", "unique local", "RFC 4193"),
    _unreachable("fe80::/10", "link-local", "RFC 4291"),
    _added("ff00::/8", "multicast", "RFC 4291"),
    _added("fec0::/10", "deprecated site-local", "RFC 3879"),
    _added("::/96", "deprecated IPv4-compatible", "RFC 4291"),
    _added("::ffff:0:0:0/96", "IPv4-translated", "RFC 2765"),
)

NOT_GLOBAL_UNICAST = _added("::/0", "outside the global unicast space 2000::/3", "RFC 4291")
"""Addresses that IANA has given to nobody: judged after every block, and not for prefixes of translators, which are judged by
what they embed. Nothing is reached there on purpose, and what a network routes there is its own."""
GLOBAL_UNICAST = IPv6Network("2000::/3")
