"""ForwardTrust: the address of a visitor behind proxies, by `X-Forwarded-For`. From anybody but the named proxies it is nothing.

Each proxy adds the address of its own peer at the end, so that all before the first foreign address, read from the right, may be
the visitor's own invention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import islice

HEADER = "X-Forwarded-For"
MOST_HOPS = 20
"""Addresses that are looked at, from the right: nobody has more proxies in a row."""


@dataclass(frozen=True, slots=True)
class ForwardTrust:
    """The networks of the proxies in front of us."""

    proxies: tuple[IPv4Network | IPv6Network, ...]

    def visitor(self, peer: str, headers: Sequence[str]) -> str:
        """The address that stands for who asks: *peer*, or what the proxies say with their *headers*, in the order of arrival."""
        if not self.proxies or not self._covers(read_address(peer)):
            return peer
        hops = (part.strip() for line in reversed(headers) for part in reversed(line.split(",")))
        found = peer
        for hop in islice(hops, MOST_HOPS):
            address = read_address(hop)
            if address is None:  # a proxy does not write this: what is left of it is not one's word either
                return found
            found = str(address)
            if not self._covers(address):
                return found
        return found

    def _covers(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self.proxies)


NO_PROXY = ForwardTrust(())
"""Nothing stands in front: every peer is who asks."""


def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """An address as proxies write it, also `[::1]:443`, `10.0.0.1:443` and with a zone; IPv4 within IPv6 is IPv4."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped
