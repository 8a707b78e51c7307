"""A DNS server, as a value."""

from __future__ import annotations

from ipaddress import ip_address

from msgspec import Struct

from worker.egress.hosts import Address, authority

DNS_PORT = 53


class Nameserver(Struct, frozen=True):
    """The server that is asked: an address, never a name."""

    address: Address
    port: int = DNS_PORT

    def __str__(self) -> str:
        return str(self.address) if self.port == DNS_PORT else authority(self.address, self.port)


def of_this_machine(server: Nameserver) -> Nameserver:
    """An operator's server as it is reached: to a resolver 0.0.0.0 and :: mean this machine (resolv.conf(5))."""
    if not server.address.is_unspecified:
        return server
    return Nameserver(ip_address("127.0.0.1" if server.address.version == 4 else "::1"), server.port)
