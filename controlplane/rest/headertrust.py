"""HeaderTrust: the header that names a user, and the proxies whose word is taken for it. From all others it is nothing."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from controlplane.rest.forwarding import read_address


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderTrust:
    """*name* is the header's, *proxies* are the networks from which it counts."""

    name: str
    proxies: tuple[IPv4Network | IPv6Network, ...]

    def covers(self, address: str) -> bool:
        """Tell if the word of the peer at *address* is taken. An IPv4 address within IPv6 is the IPv4 address."""
        peer = read_address(address)
        return peer is not None and any(peer in network for network in self.proxies)
