"""Addresses worth judging: each boundary of each block, one before, one after; and each of those inside each IPv6 form."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.unit.egress.naive_policy import IPV4, IPV6, nat64_address, octets

OPERATOR_NAT64 = {
    32: octets("2a00:64::"),
    40: octets("2a00:164:aa00::"),
    48: octets("2a00:264:aaaa::"),
    56: octets("2a00:364:aaaa:bb00::"),
    64: octets("2a00:464:aaaa:bbbb::"),
    96: octets("2a00:564:aaaa:bbbb:cc:dddd::"),
}
"""One prefix of each length of RFC 6052, in space that no block is about."""


def beside(first: bytes, last: bytes) -> set[bytes]:
    """Both ends of a range, one before and one after, where the family goes on."""
    low, high, end = int.from_bytes(first), int.from_bytes(last), (1 << 8 * len(first)) - 1
    return {n.to_bytes(len(first)) for n in (low - 1, low, high, high + 1) if 0 <= n <= end}


def boundaries_ipv4() -> list[bytes]:
    return sorted({address for first, last, _ in IPV4 for address in beside(first, last)})


def boundaries_ipv6() -> list[bytes]:
    return sorted({address for first, last, _ in IPV6 for address in beside(first, last)})


def inverted(ipv4: bytes) -> bytes:
    return bytes(octet ^ 0xFF for octet in ipv4)


_PUBLIC = octets("8.8.8.8")
_ISATAP = octets("2a00:5efe:1:2::")[:8]
_LOCAL_USE = octets("64:ff9b:1::")

EMBEDDINGS: dict[str, Callable[[bytes], bytes]] = {
    "IPv4-compatible": lambda ipv4: bytes(12) + ipv4,
    "IPv4-translated": lambda ipv4: bytes(8) + b"\xff\xff\x00\x00" + ipv4,
    "NAT64": lambda ipv4: octets("64:ff9b::")[:12] + ipv4,
    "6to4": lambda ipv4: b"\x20\x02" + ipv4 + bytes(9) + b"\x01",
    "Teredo server": lambda ipv4: b"\x20\x01\x00\x00" + ipv4 + b"\x80\x00\xff\xff" + inverted(_PUBLIC),
    "Teredo client": lambda ipv4: b"\x20\x01\x00\x00" + _PUBLIC + b"\x80\x00\xff\xff" + inverted(ipv4),
    **{
        f"ISATAP {flags:02x}": lambda ipv4, flags=flags: _ISATAP + bytes([flags]) + b"\x00\x5e\xfe" + ipv4  # type: ignore[misc]
        for flags in range(4)
    },
    "ISATAP link-local": lambda ipv4: octets("fe80::")[:8] + b"\x00\x00\x5e\xfe" + ipv4,
    **{f"local-use /{length}": partial(nat64_address, _LOCAL_USE, length) for length in (48, 56, 64, 96)},
    **{f"operator /{length}": partial(nat64_address, prefix, length) for length, prefix in OPERATOR_NAT64.items()},
}
"""Every form in which an IPv6 address carries an IPv4 address, by name. Mapped addresses are not among them."""
