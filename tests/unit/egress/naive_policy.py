"""The address policy a second time, written to be obvious: every range compared in turn, bytes instead of shifts.

It shares no code and no data with the worker. `inet_pton` reads addresses, so that not even that is common.
"""

from __future__ import annotations

from dataclasses import dataclass
from socket import AF_INET, AF_INET6, inet_pton

from tests.unit.egress.special_purpose_facts import ADDED_IPV4, ADDED_IPV6, REGISTRY_IPV4, REGISTRY_IPV6

Range = tuple[bytes, bytes]


def octets(text: str) -> bytes:
    """An address as its 4 or 16 octets."""
    return inet_pton(AF_INET6 if ":" in text else AF_INET, text)


def facts(*tables: str) -> list[tuple[bytes, bytes, bool]]:
    rows = (line.split() for table in tables for line in table.splitlines() if line)
    return [(octets(first), octets(last), reachable == "yes") for first, last, reachable in rows]


IPV4 = facts(REGISTRY_IPV4, ADDED_IPV4)
IPV6 = facts(REGISTRY_IPV6, ADDED_IPV6)


@dataclass(frozen=True, kw_only=True)
class NaivePolicy:
    """Ranges are (first, last) in octets; NAT64 prefixes are (octets, length in bits)."""

    allow: tuple[Range, ...] = ()
    deny: tuple[Range, ...] = ()
    block_special_purpose: bool = True
    nat64: tuple[tuple[bytes, int], ...] = ()

    def allows(self, address: bytes) -> bool:
        if len(address) == 4:
            return self._reaches(address)
        if address[:12] == bytes(10) + b"\xff\xff":
            return self._reaches(address[12:])
        return self._reaches(address) and all(self._reaches(inner) for inner in self._inside(address))

    def _reaches(self, address: bytes) -> bool:
        """A kernel that is told to connect to 0.0.0.0 or :: connects to loopback."""
        meant = {bytes(4): b"\x7f\x00\x00\x01", bytes(16): bytes(15) + b"\x01"}.get(address, address)
        return self._passes(address) and self._passes(meant)

    def _passes(self, address: bytes) -> bool:
        for first, last in self.allow:
            if len(first) == len(address) and first <= address <= last:
                return True
        for first, last in self.deny:
            if len(first) == len(address) and first <= address <= last:
                return False
        if not self.block_special_purpose:
            return True
        table = IPV4 if len(address) == 4 else IPV6
        around = [row for row in table if row[0] <= address <= row[1]]
        if not around:
            return len(address) == 4 or address[0] >> 5 == 1 or self._is_nat64(address)
        narrowest = min(int.from_bytes(last) - int.from_bytes(first) for first, last, _ in around)
        return all(good for first, last, good in around if int.from_bytes(last) - int.from_bytes(first) == narrowest)

    def _is_nat64(self, address: bytes) -> bool:
        return any(address[: length // 8] == prefix[: length // 8] for prefix, length in self.nat64)

    def _inside(self, address: bytes) -> list[bytes]:
        found = []
        if address[:12] == bytes(12) and address not in (bytes(16), bytes(15) + b"\x01"):
            found.append(address[12:])
        if address[:12] == bytes(8) + b"\xff\xff\x00\x00":
            found.append(address[12:])
        if address[:12] == b"\x00\x64\xff\x9b" + bytes(8):
            found.append(address[12:])
        if address[:2] == b"\x20\x02":
            found.append(address[2:6])
        if address[:4] == b"\x20\x01\x00\x00":
            found.append(address[4:8])
            found.append(bytes(255 - octet for octet in address[12:]))
        if address[8] in (0, 1, 2, 3) and address[9:12] == b"\x00\x5e\xfe":
            found.append(address[12:])
        named = [length for prefix, length in self.nat64 if address[: length // 8] == prefix[: length // 8]]
        found += [nat64_part(address, length) for length in named]
        if address[:6] == b"\x00\x64\xff\x9b\x00\x01" and not [length for length in named if length >= 48]:
            found += [nat64_part(address, length) for length in (48, 56, 64, 96)]
        return found


def nat64_part(address: bytes, length: int) -> bytes:
    """RFC 6052 section 2.2, the figure, row by row."""
    return {
        32: address[4:8],
        40: address[5:8] + address[9:10],
        48: address[6:8] + address[9:11],
        56: address[7:8] + address[9:12],
        64: address[9:13],
        96: address[12:16],
    }[length]


def nat64_address(prefix: bytes, length: int, ipv4: bytes) -> bytes:
    """The same figure the other way round, suffix zero."""
    if length == 96:
        return prefix[:12] + ipv4
    kept = prefix[: length // 8]
    before = 8 - len(kept)
    return (kept + ipv4[:before] + b"\x00" + ipv4[before:]).ljust(16, b"\x00")
