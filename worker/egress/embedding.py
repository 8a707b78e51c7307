"""Reader of the IPv4 addresses that an IPv6 address carries, in each form that a translator or tunnel may act upon.

It judges nothing. IPv4-mapped addresses (::ffff:a.b.c.d) are not here: the kernel dials them as IPv4, so that is
what they are.

Bits that a standard calls reserved (the u octet and the suffix of RFC 6052, the u and g bits of an interface
identifier) are not asked for their value: a lax translator ignores them, and one reading too many only ever denies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Network
from typing import NamedTuple

NAT64_LENGTHS = (32, 40, 48, 56, 64, 96)
"""RFC 6052 section 2.2: where in an address the IPv4 part may begin."""

_COMPATIBLE = 0
_TRANSLATED = 0xFFFF_0000
_WELL_KNOWN = 0x0064_FF9B << 64
_LOCAL_USE = 0x0064_FF9B_0001
_TEREDO = 0x2001_0000
_6TO4 = 0x2002
_ISATAP = 0x0000_5EFE
_ISATAP_MASK = 0xFCFF_FFFF
_U32 = 0xFFFF_FFFF


class Embedded(NamedTuple):
    """An IPv4 address as a number, and the form that carries it.

    *guessed*: the form leaves the place open, so that each possible one is read; naming the translator's prefix
    settles it.
    """

    form: str
    ipv4: int
    guessed: bool = False

    @property
    def address(self) -> IPv4Address:
        return IPv4Address(self.ipv4)


def translated(number: int, length: int) -> int:
    """The IPv4 part of an address under a NAT64 prefix of *length* bits; the octet at bits 64 to 71 is stepped over."""
    if length == 96:
        return number & _U32
    low = length - 32  # how many of the 32 bits stand behind the u octet
    high = number >> 64 & (1 << 32 - low) - 1
    return high << low | number >> 56 - low & (1 << low) - 1


def embedded(number: int, nat64_prefixes: Sequence[IPv6Network] = ()) -> Iterator[Embedded]:
    """Yield each reading of the IPv6 address *number*.

    64:ff9b:1::/48 leaves the length to its operator (RFC 8215): all are read, unless a given prefix inside it settles
    it.
    """
    top96 = number >> 32
    if top96 == _COMPATIBLE and number > 1:  # :: and ::1 are assignments of their own
        yield Embedded("IPv4-compatible", number)
    elif top96 == _TRANSLATED:
        yield Embedded("IPv4-translated", number & _U32)
    elif top96 == _WELL_KNOWN:
        yield Embedded("NAT64", number & _U32)
    elif number >> 112 == _6TO4:
        yield Embedded("6to4", number >> 80 & _U32)
    elif number >> 96 == _TEREDO:
        yield Embedded("Teredo server", number >> 64 & _U32)
        yield Embedded("Teredo client", number & _U32 ^ _U32)
    if number >> 32 & _ISATAP_MASK == _ISATAP:
        yield Embedded("ISATAP", number & _U32)
    settled = False
    for prefix in nat64_prefixes:
        length = prefix.prefixlen
        if number >> 128 - length == int(prefix.network_address) >> 128 - length:
            yield Embedded(f"NAT64 /{length}", translated(number, length))
            settled = settled or length >= 48
    if number >> 80 == _LOCAL_USE and not settled:
        for length in NAT64_LENGTHS[2:]:
            yield Embedded(f"NAT64 /{length}", translated(number, length), guessed=True)
