"""Hosts: a text becomes the address or the DNS name that it means, or is refused. The only reader of hosts in the worker.

Options, tests, the policy, proxies and the door all read by `parse_host`, and hand its value on, never its text: nothing can
be judged under one reading and dialled under another. Nothing is looked up here.

Whatever a C library might read as a number is read as a number (`127.1`, `0x7f.1`, `2130706433`, full-width digits), so that
it is judged as the address that it means and never travels on as a "name". A host whose last label is numeric and that is
not an address is refused (WHATWG URL §3.5, "ends in a number"), and so are zone ids. An IPv4-mapped IPv6 address is the
IPv4 address: the kernel would dial exactly that.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from typing import TypeAlias
from urllib.parse import urlsplit

import idna
from msgspec import Struct

from worker.errors import HostError

Address: TypeAlias = IPv4Address | IPv6Address

WEB_PORTS = {"http": 80, "https": 443}
"""The port of each scheme where a URL names none."""

_LABELS = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.ASCII)
_NUMBER = re.compile(r"0x([0-9a-f]*)|(0[0-9]*)|([1-9][0-9]*)")
"""A part of an IPv4 address as `inet_aton` reads it: hexadecimal, octal or decimal."""
_MAX_NAME = 253  # RFC 1035 section 2.3.4, without the root's dot
_MAX_INPUT = 1024  # IDNA mapping is not linear: stop long inputs before it


class Name(Struct, frozen=True):
    """A DNS name in lower-case A-labels. *text* has no last dot; *absolute* says that one was written (no search domains)."""

    text: str
    absolute: bool = False

    def __str__(self) -> str:
        return self.text


Host: TypeAlias = Address | Name


@lru_cache(maxsize=4096)
def parse_host(text: str) -> Host:
    """Read a host as a person or a URL writes it, IPv6 with or without brackets. Raises HostError."""
    if text[:1] == "[" and text[-1:] == "]":
        return _ipv6(text[1:-1])
    if ":" in text:
        return _ipv6(text)
    name = _name(text)
    if _NUMBER.fullmatch(name[name.rfind(".") + 1 :]):
        return _ipv4(name)
    return Name(name, absolute=text.endswith("."))


def parse_address(text: str) -> Address:
    """Read an address in its usual spelling, as an operator writes it: no short form such as 8.8.8, which is more likely a slip.

    A zone id is kept, because the interfaces are the operator's own. Raises HostError.
    """
    try:
        return ip_address(text)
    except ValueError:
        raise HostError("not an IP address") from None


def canonical_name(text: str) -> str:
    """Lower case, A-labels, no dot at the end: one spelling of each name. UnicodeError where it cannot be written so.

    UTS 46 mapping without its transitional rules, then IDNA 2008 for labels that are still outside ASCII; other labels are
    not looked at. An address comes back as it is spelt.
    """
    if text.isascii():
        return text.lower().removesuffix(".")
    labels = idna.uts46_remap(text, std3_rules=False).removesuffix(".").split(".")
    return ".".join(label if label.isascii() else idna.alabel(label).decode("ascii") for label in labels)


@lru_cache(maxsize=1024)
def authority(host: Host, port: int) -> str:
    """*host* and *port* as people, URLs and CONNECT write them."""
    return f"[{host}]:{port}" if isinstance(host, IPv6Address) else f"{host}:{port}"


def unmapped(address: Address) -> Address:
    """The IPv4 address of `::ffff:a.b.c.d`, any other address as it is."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _ipv6(text: str) -> Address:
    if "%" in text:
        raise HostError("an address with a zone id names an interface of the worker")
    try:
        return unmapped(IPv6Address(text))
    except AddressValueError:
        raise HostError("neither an address nor a host name") from None


def _ipv4(text: str) -> IPv4Address:
    """Up to four numbers, of which the last fills all octets that are left (inet_aton(3))."""
    *octets, rest = map(_number, text.split("."))
    if len(octets) > 3 or max(octets, default=0) > 255 or rest >= 256 ** (4 - len(octets)):
        raise _not_ipv4()
    return IPv4Address(int.from_bytes(bytes(octets)) << 8 * (4 - len(octets)) | rest)


def is_private_way(url: str) -> bool:
    """Tell if nobody else can listen on the way to *url*: TLS, or an exchange that stays on this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        return parts.scheme == "https" or host == "localhost" or parse_address(host).is_loopback
    except HostError:
        return False


def _number(text: str) -> int:
    digits = _NUMBER.fullmatch(text)
    if digits is None:
        raise _not_ipv4()
    hexadecimal, octal, decimal = digits.groups()
    try:
        return int(decimal) if decimal else int(octal, 8) if octal else int(hexadecimal, 16)
    except ValueError:
        raise _not_ipv4() from None


def _not_ipv4() -> HostError:
    return HostError("it ends in a number and is not an IPv4 address")


def _name(text: str) -> str:
    if not text:
        raise HostError("the host is empty")
    if len(text) > _MAX_INPUT:
        raise HostError("the host name is too long")
    try:
        name = canonical_name(text)
    except UnicodeError:  # idna.IDNAError is one
        raise HostError("not an international host name") from None
    if len(name) > _MAX_NAME:
        raise HostError("the host name is too long")
    if not _LABELS.fullmatch(name):
        raise HostError("neither an address nor a host name")
    return name
