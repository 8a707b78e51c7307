"""Warnings about egress rules that do nothing, or less than they seem to: sentences for the operator at start, never errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from ipaddress import IPv4Network, IPv6Network, collapse_addresses

from worker.egress.address_table import Network, overlay
from worker.egress.rules import (
    ALLOW_NAMES,
    ALLOW_RANGES,
    DENY_NAMES,
    DENY_RANGES,
    MAPPED,
    NAT64_PREFIXES,
    Glob,
    written,
)
from worker.egress.special_purpose import GLOBAL_UNICAST, NOT_GLOBAL_UNICAST, Block

_WELL_KNOWN = IPv6Network("64:ff9b::/96")
_LOCAL_USE = IPv6Network("64:ff9b:1::/48")
_EMBEDDING = tuple(map(IPv6Network, ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")))


def range_warnings(allow: Sequence[Network], deny: Sequence[Network], blocks: Sequence[Block]) -> Iterator[str]:
    """Warn of ranges that another range of their own list, or of the stronger one, leaves without effect."""
    yield from _own_list(ALLOW_RANGES, allow)
    yield from _own_list(DENY_RANGES, deny)
    joined = _joined(allow)
    for network, wider in _supernets(deny, joined).items():
        if wider or network in joined:
            option = ALLOW_RANGES[network.version]
            yield f"{DENY_RANGES[network.version]} {written(network)} never matches: {option} covers it, and allowed wins"
    for version in (4, 6):
        yield from _needless(version, allow, deny, blocks)


def _own_list(options: Mapping[int, str], ranges: Sequence[Network]) -> Iterator[str]:
    times = Counter(ranges)
    for network, wider in _supernets(ranges, times.keys()).items():
        rule = f"{options[network.version]} {written(network)}"
        if network == MAPPED:
            yield f"{rule} matches nothing: IPv4-mapped addresses are judged as IPv4, by {options[4]}"
        if times[network] > 1:
            yield f"{rule} is written {times[network]} times"
        if wider:
            yield f"{rule} adds nothing: the same option has {wider}"


def _supernets(networks: Sequence[Network], ranges: AbstractSet[Network]) -> dict[Network, Network | None]:
    """The narrowest of *ranges* that holds it and more, for each network."""
    lengths = sorted({other.prefixlen for other in ranges}, reverse=True)
    found: dict[Network, Network | None] = {}
    for network in networks:
        wider = (network.supernet(new_prefix=length) for length in lengths if length < network.prefixlen)
        found[network] = next((supernet for supernet in wider if supernet in ranges), None)
    return found


def _joined(ranges: Sequence[Network]) -> set[Network]:
    """The fewest ranges that hold the same addresses."""
    ipv4 = collapse_addresses(network for network in ranges if isinstance(network, IPv4Network))
    ipv6 = collapse_addresses(network for network in ranges if isinstance(network, IPv6Network))
    return {*ipv4, *ipv6}


def _needless(
    version: int, allow: Sequence[Network], deny: Sequence[Network], blocks: Sequence[Block]
) -> Iterator[str]:
    denied = overlay(
        (
            [(network, True) for network in deny if network.version == version],
            [(block.network, not block.reachable) for block in blocks if block.network.version == version],
            [(NOT_GLOBAL_UNICAST.network, True), (GLOBAL_UNICAST, False)] if blocks and version == 6 else [],
        ),
        default=False,
    )
    for network in allow:
        if network.version == version and network != MAPPED and not any(denied.within(network)):
            yield f"{ALLOW_RANGES[version]} {network} changes nothing: nothing denies these addresses"


def nat64_warnings(allow: Sequence[Network], prefixes: Sequence[IPv6Network]) -> Iterator[str]:
    """Warn of allowed prefixes that carry IPv4 addresses, and of NAT64 prefixes that need not be named."""
    for prefix, times in Counter(prefixes).items():
        if prefix == _WELL_KNOWN:
            yield f"{NAT64_PREFIXES} {prefix} changes nothing: the well-known prefix is always judged by what it embeds"
        if times > 1:
            yield f"{NAT64_PREFIXES} {prefix} is written {times} times"
    for network in allow:
        rule = f"{ALLOW_RANGES[6]} {network}"
        if _inside(network, _LOCAL_USE) and not any(_inside(prefix, _LOCAL_USE) for prefix in prefixes):
            yield f"{rule} opens next to nothing: {NAT64_PREFIXES} has to say where these addresses hold IPv4"
        elif any(_inside(network, outer) and network.prefixlen < 128 for outer in (*_EMBEDDING, *prefixes)):
            yield f"{rule} does not open the IPv4 addresses embedded in it: {ALLOW_RANGES[4]} does"


def name_warnings(allow: Sequence[Glob], deny: Sequence[Glob]) -> Iterator[str]:
    """Warn of globs that never matter, and globs that look like ranges."""
    for option, globs in ((ALLOW_NAMES, allow), (DENY_NAMES, deny)):
        for glob, times in Counter(globs).items():
            if times > 1:
                yield f"{option} {glob.text} is written {times} times"
            if wider := next((other for other in globs if other != glob and other.covers(glob)), None):
                yield f"{option} {glob.text} adds nothing: the same option has {wider.text}"
            if glob.is_address:
                yield f"{option} {glob.text} is compared with names, not with what they resolve to: ranges do that"
    for glob in dict.fromkeys(deny):
        if wider := next((other for other in allow if other.covers(glob)), None):
            yield f"{DENY_NAMES} {glob.text} never matches: {ALLOW_NAMES} {wider.text} covers it, and allowed wins"
    if allow and not deny:
        yield f'{ALLOW_NAMES} changes nothing without {DENY_NAMES}; to deny all other names, deny "*"'


def _inside(network: Network, other: Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(other, IPv4Network) and network.subnet_of(other)
    return isinstance(other, IPv6Network) and network.subnet_of(other)
