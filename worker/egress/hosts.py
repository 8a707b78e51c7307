"""The one reading of a host that a test names: an address, or the name that will be looked up, in lower-case A-labels.

The policy judges what this returns and the look-up asks for what this returns, so that nothing can be judged under one
spelling and dialled under another. It looks nothing up, and it does not interpret numeric spellings such as 127.1 or
0x7f000001: they stay names, and are judged by what they resolve to.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TypeAlias

import idna

from worker.errors import HostError

Host: TypeAlias = IPv4Address | IPv6Address | str

_LABELS = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.ASCII)
_MAX_NAME = 253  # RFC 1035 section 2.3.4, without the root's dot
_MAX_INPUT = 1024  # IDNA mapping is not linear: stop long inputs before it


@lru_cache(maxsize=4096)
def parse_host(text: str) -> Host:
    """A literal with or without brackets, or a name. HostError for a zone id, and for what is neither."""
    if text[:1] == "[" and text[-1:] == "]":
        return _ipv6(text[1:-1])
    if ":" in text:
        return _ipv6(text)
    name = _name(text)
    try:
        return IPv4Address(name)
    except AddressValueError:
        return name


def _ipv6(text: str) -> IPv6Address:
    if "%" in text:
        raise HostError("an address with a zone id names an interface of the worker")
    try:
        return IPv6Address(text)
    except AddressValueError:
        raise HostError("neither an address nor a host name") from None


def spelling(host: Host) -> str:
    """One spelling of each host. IPv4-mapped addresses in mixed notation (RFC 5952 section 5), which Python 3.13 began with."""
    mapped = host.ipv4_mapped if isinstance(host, IPv6Address) else None
    return str(host) if mapped is None else f"::ffff:{mapped}"


def canonical_name(text: str) -> str:
    """Lower case, A-labels, no dot at the end: one spelling of each name. UnicodeError where there is none.

    UTS 46 mapping without its transitional rules, then IDNA 2008 for labels that are still outside ASCII; other labels are
    not looked at. An address comes back as it is spelt.
    """
    if text.isascii():
        return text.lower().removesuffix(".")
    labels = idna.uts46_remap(text, std3_rules=False).removesuffix(".").split(".")
    return ".".join(label if label.isascii() else idna.alabel(label).decode("ascii") for label in labels)


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
