"""Rules as an operator writes them to steer the policy: address ranges, NAT64 prefixes and domain globs, parsed strictly.

A rule that can be misread is refused, never repaired: a policy that differs from what its author meant is worse than
none.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network

from msgspec import Struct

from worker.egress.address_table import Network
from worker.egress.embedding import NAT64_LENGTHS
from worker.egress.hosts import canonical_name
from worker.errors import PolicyError

ALLOW_RANGES = {4: "whitelistedRange.4", 6: "whitelistedRange.6"}
DENY_RANGES = {4: "blacklistedRange.4", 6: "blacklistedRange.6"}
ALLOW_NAMES = "allowedDomainNames"
DENY_NAMES = "blockedDomainNames"
NAT64_PREFIXES = "nat64Prefixes"

MAPPED = IPv6Network("::ffff:0:0/96")

_GLOB = re.compile(r"[a-z0-9_*-]{1,63}(?:\.[a-z0-9_*-]{1,63})*|(?=.*:)[0-9a-f:.*]+", re.ASCII)
_CIDR = re.compile(r"[0-9a-fA-F.:]+(?:/(?:0|[1-9][0-9]{0,2}))?", re.ASCII)


def parse_range(rule: str) -> Network:
    """Read a CIDR range, or a single address. PolicyError for anything else, host bits and mapped IPv4 included."""
    if not _CIDR.fullmatch(rule):
        raise PolicyError(rule, "not an address range such as 10.0.0.0/8 or fd00::/8")
    try:
        network = ip_network(rule, strict=False)
    except ValueError:
        raise PolicyError(rule, "not an address range such as 10.0.0.0/8 or fd00::/8") from None
    if "/" in rule and ip_network(rule.partition("/")[0])[0] != network[0]:
        raise PolicyError(rule, f"has bits set behind its prefix; the range is written {network}")
    if isinstance(network, IPv6Network) and network != MAPPED and network.subnet_of(MAPPED):
        inner = IPv4Network((int(network[0]) & 0xFFFF_FFFF, network.prefixlen - 96))
        raise PolicyError(rule, f"IPv4-mapped addresses are judged as IPv4; the range is written {inner}")
    return network


def written(network: Network) -> str:
    """Spell a range as operators write it: Python 3.13 spells one of them otherwise, the mapped block (`::ffff:0.0.0.0/96`)."""
    return "::ffff:0:0/96" if network == MAPPED else str(network)


def parse_nat64_prefix(rule: str) -> IPv6Network:
    """Read the prefix of a translator, of a length that RFC 6052 defines. PolicyError for anything else."""
    network = parse_range(rule)
    if not isinstance(network, IPv6Network) or network.prefixlen not in NAT64_LENGTHS:
        raise PolicyError(rule, "not a NAT64 prefix: an IPv6 range of length 32, 40, 48, 56, 64 or 96 (RFC 6052)")
    if network.prefixlen == 96 and int(network[0]) >> 56 & 0xFF:
        raise PolicyError(rule, "not a NAT64 prefix: bits 64 to 71 must be zero (RFC 6052 section 2.2)")
    return network


class Glob(Struct, frozen=True):
    """A domain rule. `*` stands for any run of characters, dots included.

    `*.example.com` matches a.example.com and a.b.example.com, not example.com.
    """

    text: str
    pattern: re.Pattern[str]

    def matches(self, name: str) -> bool:
        """Match all of *name*: the text of a host that `parse_host` returned."""
        return self.pattern.fullmatch(name) is not None

    def covers(self, other: Glob) -> bool:
        """Match each name that *other* matches. A star in *other* can only be met by a star here."""
        return self.matches(other.text)

    def __str__(self) -> str:
        return self.text

    @property
    def is_address(self) -> bool:
        """True where it reads like an address, or the beginning of one: a mistake, since names are not ranges."""
        return re.fullmatch(r"[0-9.*]*[0-9][0-9.*]*|[0-9a-f:*]*:[0-9a-f:.*]*", self.text) is not None


def parse_glob(rule: str) -> Glob:
    """Read a domain glob; labels outside ASCII become A-labels. PolicyError for what could match no host name."""
    text = _canonical_glob(rule)
    pieces = (re.escape(piece) for piece in text.split("*"))
    # Atomic and lazy: each star takes the first fit for what follows it and is never reopened, so no input is slow.
    first, *rest = pieces
    if not rest:
        return Glob(text, re.compile(first))
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1])
    return Glob(text, re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL))


def _canonical_glob(rule: str) -> str:
    labels = re.sub(r"\*+", "*", rule).removesuffix(".").split(".")
    try:
        text = ".".join(label if "*" in label else canonical_name(label) for label in labels)
    except UnicodeError:
        raise PolicyError(rule, "not a domain name, not even an international one") from None
    text = text.lower()
    if not _GLOB.fullmatch(text):
        raise PolicyError(rule, 'not a domain name with "*" as the only wildcard, and none beside ü')
    return text
