"""The text of a host becomes an address or a DNS name, or is refused. Nothing is looked up here.

Whatever a C library might read as a number is read as a number here (`127.1`, `0x7f.1`, `2130706433`, full-width digits), so that it is
judged as the address it means and never travels on as a "name". A host whose last label is numeric and that is no address is refused
(WHATWG URL §3.5, "ends in a number"), and so are zone ids. An IPv4-mapped IPv6 address is the IPv4 address.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

import idna

from worker.apitest.failure import FailureCode
from worker.net.failure import shut

Address: TypeAlias = IPv4Address | IPv6Address

MAX_NAME = 253
"""RFC 1035 §2.3.4 allows 255 octets on the wire: 253 characters of text."""

_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_FOUR_DECIMALS = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}")


@dataclass(frozen=True, slots=True)
class Name:
    """A DNS name in lower-case ASCII. *text* has no trailing dot; *absolute* says that one was written (no search domains)."""

    text: str
    absolute: bool = False


@lru_cache(maxsize=1024)
def parse_host(text: str) -> Address | Name:
    """Read a host as a person or a URL writes it, IPv6 with or without brackets. Raises DoorError(INVALID_REQUEST)."""
    if _FOUR_DECIMALS.fullmatch(text):
        return IPv4Address(text)
    if text.startswith("[") and text.endswith("]"):
        return _parse_ipv6(text[1:-1])
    if ":" in text:
        return _parse_ipv6(text)
    return _parse_name(text)


def unmapped(address: Address) -> Address:
    """`::ffff:a.b.c.d` is the IPv4 address: the kernel would dial exactly that."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _parse_ipv6(text: str) -> Address:
    if "%" in text:
        raise shut(FailureCode.INVALID_REQUEST, "an address with a zone id (%…) cannot be a target")
    try:
        return unmapped(IPv6Address(text))
    except ValueError:
        raise shut(FailureCode.INVALID_REQUEST, f"{text[:80]!r} is no IPv6 address") from None


def _parse_name(text: str) -> Address | Name:
    ascii_text = _to_ascii(text)
    absolute = ascii_text.endswith(".")
    bare = ascii_text.removesuffix(".")
    labels = bare.split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        return _parse_numeric(bare)
    if len(bare) > MAX_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise shut(FailureCode.INVALID_REQUEST, f"{text[:80]!r} is no host name")
    return Name(bare, absolute)


def _to_ascii(text: str) -> str:
    if text.isascii():
        return text.lower()
    try:
        return idna.encode(text[: MAX_NAME + 1], uts46=True).decode()
    except UnicodeError:
        pass
    try:
        # Full-width digits and the like: a number after mapping, which idna refuses as a label only for its other rules.
        mapped = idna.uts46_remap(text[: MAX_NAME + 1])
    except UnicodeError:
        mapped = ""
    if mapped.isascii() and mapped:
        return mapped
    raise shut(FailureCode.INVALID_REQUEST, f"{text[:80]!r} is no host name")


def _parse_numeric(text: str) -> IPv4Address:
    try:
        return IPv4Address(socket.inet_aton(text))
    except OSError:
        raise shut(FailureCode.INVALID_REQUEST, f"{text[:80]!r} is neither an IPv4 address nor a name") from None
