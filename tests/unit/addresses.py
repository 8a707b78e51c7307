"""Addresses worth judging: each boundary of each block, one before, one after; and each of those inside each IPv6 form."""

from __future__ import annotations

from collections.abc import Iterator

from tests.unit.naive_policy import IPV4, IPV6, nat64_address, octets

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


def embeddings(ipv4: bytes) -> Iterator[tuple[str, bytes]]:
    """Every IPv6 address that carries *ipv4* in a known form, with the form's name. Mapped addresses are not among them."""
    public = octets("8.8.8.8")
    yield "IPv4-compatible", bytes(12) + ipv4
    yield "IPv4-translated", bytes(8) + b"\xff\xff\x00\x00" + ipv4
    yield "NAT64", octets("64:ff9b::")[:12] + ipv4
    yield "6to4", b"\x20\x02" + ipv4 + bytes(9) + b"\x01"
    yield "Teredo server", b"\x20\x01\x00\x00" + ipv4 + b"\x80\x00\xff\xff" + inverted(public)
    yield "Teredo client", b"\x20\x01\x00\x00" + public + b"\x80\x00\xff\xff" + inverted(ipv4)
    for flags in range(4):
        yield f"ISATAP {flags:02x}", octets("2a00:5efe:1:2::")[:8] + bytes([flags]) + b"\x00\x5e\xfe" + ipv4
    yield "ISATAP link-local", octets("fe80::")[:8] + b"\x00\x00\x5e\xfe" + ipv4
    for length in (48, 56, 64, 96):
        yield f"local-use /{length}", nat64_address(octets("64:ff9b:1::"), length, ipv4)
    for length, prefix in OPERATOR_NAT64.items():
        yield f"operator /{length}", nat64_address(prefix, length, ipv4)


def inverted(ipv4: bytes) -> bytes:
    return bytes(octet ^ 0xFF for octet in ipv4)
