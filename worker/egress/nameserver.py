"""A DNS server, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from worker.egress.hosts import Address, authority

DNS_PORT = 53


@dataclass(frozen=True, slots=True)
class Nameserver:
    """The server that is asked: an address, never a name."""

    address: Address
    port: int = DNS_PORT

    def __str__(self) -> str:
        return str(self.address) if self.port == DNS_PORT else authority(self.address, self.port)
