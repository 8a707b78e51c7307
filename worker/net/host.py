"""The text of a host becomes an address or a DNS name, or is refused. Nothing is looked up here.

Whatever a C library might read as a number is read as a number here (`127.1`, `0x7f.1`, `2130706433`, full-width
digits), so that it is judged as the address it means and never travels on as a "name". A host whose last label is
numeric and that is no address is refused (WHATWG URL §3.5, "ends in a number"), and so are zone ids. An IPv4-mapped
IPv6 address is the IPv4 address.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from worker.egress import hosts
from worker.errors import HostError
from worker.net.failure import door_error
from worker.outcome.failure import FailureCode

Address: TypeAlias = IPv4Address | IPv6Address

_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Name:
    """A DNS name in lower-case ASCII. *text* has no last dot; *absolute* says that one was written (no search
    domains).
    """

    text: str
    absolute: bool = False

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=1024)
def parse_host(text: str) -> Address | Name:
    """Read a host as a person or a URL writes it, IPv6 with or without brackets. Raises DoorError(INVALID_REQUEST)."""
    try:
        host = hosts.parse_host(text)
    except HostError as error:
        raise door_error(
            FailureCode.INVALID_REQUEST, f"the host {text[:80]!r} cannot be used: {error.reason}"
        ) from None
    if not isinstance(host, str):
        return unmapped(host)
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        return _parse_number(host)
    return Name(host, absolute=text.endswith("."))


@lru_cache(maxsize=1024)
def authority(host: Address | Name, port: int) -> str:
    """*host* and *port* as people, URLs and CONNECT write them."""
    return f"[{host}]:{port}" if isinstance(host, IPv6Address) else f"{host}:{port}"


def unmapped(address: Address) -> Address:
    """`::ffff:a.b.c.d` is the IPv4 address: the kernel would dial exactly that."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _parse_number(text: str) -> IPv4Address:
    try:
        return IPv4Address(socket.inet_aton(text))
    except OSError:
        reason = f"the host {text[:80]!r} ends in a number and is no IPv4 address"
        raise door_error(FailureCode.INVALID_REQUEST, reason) from None
