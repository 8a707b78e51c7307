"""The egress policy: one immutable value that says which names may be looked up and which addresses may be dialled.

It looks nothing up, dials nothing and logs nothing, and it knows no exceptions: the operator's own intake, proxies and
resolvers are not judged, and so are not brought here.

Names: a name that a deny glob matches is refused unless an allow glob matches it too (allowed wins over blocked, as
in the reference system). A list of allowed names therefore forbids nothing by itself: to reach only `*.example.com`,
deny `*` and allow `*.example.com`. The globs see addresses that stand in place of a name as well, in their usual spelling, so
that denying `*` leaves no way around it. What is allowed by name is still judged by address.

Addresses: the allow list, then the deny list, then the special-purpose blocks, the most specific first; an address
that nothing is about is allowed, of IPv6 in 2000::/3 and in the prefixes of translators only. The unspecified addresses are
judged as the loopback addresses too, because a kernel connects to those. An IPv4-mapped address is judged as the IPv4
address that it is. An address that embeds IPv4 in any other form must pass as it stands, and each embedded address must
pass too: allowing the outer prefix allows nothing inside it.

Ranges are laid over each other once, when the policy is built; judging is one binary search, a few for an embedding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from msgspec import Struct
from msgspec.structs import replace

from worker.egress.address_table import Network, Table, overlay
from worker.egress.embedding import Embedded, embedded
from worker.egress.hosts import Address, Host
from worker.egress.rules import (
    ALLOW_NAMES,
    ALLOW_RANGES,
    DENY_NAMES,
    DENY_RANGES,
    NAT64_PREFIXES,
    Glob,
)
from worker.egress.special_purpose import BLOCKS, GLOBAL_UNICAST, NOT_GLOBAL_UNICAST, Block
from worker.egress.warnings import name_warnings, nat64_warnings, range_warnings

_U32 = 0xFFFF_FFFF
_LOOPBACK_4, _LOOPBACK_6 = 0x7F00_0001, 1
_UNSPECIFIED = "this host"
"""The meaning of the unspecified addresses to a kernel that is asked to connect to them: its own loopback address."""


class DecisionKind(Enum):
    """The layer that decided. The values are stable."""

    ALLOWED_NAME = "allowed_name"
    ALLOWED_RANGE = "allowed_range"
    DENIED_NAME = "denied_name"
    DENIED_RANGE = "denied_range"
    NO_RULE = "no_rule"
    SPECIAL_PURPOSE = "special_purpose"


class Decision(Struct, frozen=True, kw_only=True):
    """One judgement.

    *rule* is for the operator and may name addresses; *reason* says the same without the address that was judged.
    *option* is what an operator would set to change the decision, None where nothing would.
    *embedding* is the form of the embedded IPv4 address that decided, None if none did.
    """

    allowed: bool
    kind: DecisionKind
    rule: str
    reason: str
    option: str | None
    embedding: str | None = None

    @property
    def message(self) -> str:
        """Text for results: the rule and the option that would allow it, never the address."""
        if self.allowed or self.option is None:
            return self.reason
        return f"{self.reason}; {self.option} would allow it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All rules, and the tables derived from them: made by `Policy.build`."""

    allow: tuple[Network, ...]
    deny: tuple[Network, ...]
    allow_names: tuple[Glob, ...]
    deny_names: tuple[Glob, ...]
    block_special_purpose: bool
    nat64_prefixes: tuple[IPv6Network, ...]
    ipv4: Table[Decision] = field(repr=False, compare=False)
    ipv6: Table[Decision] = field(repr=False, compare=False)

    @classmethod
    def build(
        cls,
        *,
        allow: Iterable[Network] = (),
        deny: Iterable[Network] = (),
        allow_names: Iterable[Glob] = (),
        deny_names: Iterable[Glob] = (),
        block_special_purpose: bool = True,
        nat64_prefixes: Iterable[IPv6Network] = (),
    ) -> Policy:
        """Lay the rules over each other, both address families in one list. `egress.rules` reads them from text."""
        allowed, denied, prefixes = tuple(allow), tuple(deny), tuple(nat64_prefixes)
        blocks = BLOCKS if block_special_purpose else ()
        assigned = (GLOBAL_UNICAST, *prefixes) if block_special_purpose else ()
        return cls(
            allow=allowed,
            deny=denied,
            allow_names=tuple(allow_names),
            deny_names=tuple(deny_names),
            block_special_purpose=block_special_purpose,
            nat64_prefixes=prefixes,
            ipv4=_table(4, allowed, denied, blocks),
            ipv6=_table(6, allowed, denied, blocks, assigned),
        )

    def warnings(self) -> tuple[str, ...]:
        """A sentence for each rule that does nothing, or not what it seems to do. None of them is an error."""
        blocks = BLOCKS if self.block_special_purpose else ()
        return (
            *range_warnings(self.allow, self.deny, blocks),
            *nat64_warnings(self.allow, self.nat64_prefixes),
            *name_warnings(self.allow_names, self.deny_names),
        )

    def judge_name(self, host: Host) -> Decision:
        """Judge *host* by the domain rules: it may be looked up, or dialled where it is an address, or it may not."""
        name = str(host)
        for glob in self.allow_names:
            if glob.matches(name):
                return _by_name(glob, allowed=True)
        for glob in self.deny_names:
            if glob.matches(name):
                return _by_name(glob, allowed=False)
        return _NAMELESS

    def judge(self, address: Address) -> Decision:
        """Judge *address*: it may be dialled, or it may not. A zone id is not looked at."""
        number = int(address)
        if address.version == 4:
            return self._judge_ipv4(number)
        if number >> 32 == 0xFFFF:
            return self._judge_ipv4(number & _U32)
        outside = self.ipv6.at(number)
        if not number:
            return _as_loopback(outside, self.ipv6.at(_LOOPBACK_6))
        if outside.allowed:
            for inner in embedded(number, self.nat64_prefixes):
                inside = self._judge_ipv4(inner.ipv4)
                if not inside.allowed:
                    return _embedding(inner, inside)
        return outside

    def _judge_ipv4(self, number: int) -> Decision:
        decision = self.ipv4.at(number)
        return decision if number else _as_loopback(decision, self.ipv4.at(_LOOPBACK_4))

    def readings(self, address: Address) -> Iterator[tuple[Address, Decision]]:
        """Yield each address that *address* stands for, itself first, and its own decision. All must pass for `judge`."""
        number = int(address)
        if address.version == 6 and number >> 32 == 0xFFFF:
            address = IPv4Address(number & _U32)
        if isinstance(address, IPv4Address):
            yield from self._readings_ipv4(address)
            return
        yield address, self.ipv6.at(number)
        if not number:
            yield IPv6Address(_LOOPBACK_6), replace(self.ipv6.at(_LOOPBACK_6), embedding=_UNSPECIFIED)
        for inner in embedded(number, self.nat64_prefixes):
            for reading, decision in self._readings_ipv4(inner.address):
                yield reading, _as_embedded(inner, decision)

    def _readings_ipv4(self, address: IPv4Address) -> Iterator[tuple[Address, Decision]]:
        yield address, self.ipv4.at(int(address))
        if not int(address):
            yield IPv4Address(_LOOPBACK_4), replace(self.ipv4.at(_LOOPBACK_4), embedding=_UNSPECIFIED)


_NAMELESS = Decision(
    allowed=True, kind=DecisionKind.NO_RULE, rule="no rule is about it", reason="no rule is about it", option=DENY_NAMES
)


def _by_name(glob: Glob, *, allowed: bool) -> Decision:
    kind = DecisionKind.ALLOWED_NAME if allowed else DecisionKind.DENIED_NAME
    rule = f"allowed by {ALLOW_NAMES} {glob.text}" if allowed else f"denied by {DENY_NAMES} {glob.text}"
    return Decision(allowed=allowed, kind=kind, rule=rule, reason=rule, option=ALLOW_NAMES)


def _as_loopback(decision: Decision, loopback: Decision) -> Decision:
    """The decision on an unspecified address, which a kernel takes for its loopback address: both must be allowed."""
    if not decision.allowed or loopback.allowed:
        return decision
    return replace(
        loopback,
        rule=f"means the loopback address, {loopback.rule}",
        reason=f"means the loopback address, {loopback.reason}",
        embedding=_UNSPECIFIED,
    )


def _embedding(inner: Embedded, inside: Decision) -> Decision:
    """The decision on an embedded address, for the address that carries it."""
    return replace(
        _as_embedded(inner, inside),
        rule=f"embeds {inner.address} ({inner.form}), {inside.rule}",
        reason=f"embeds an IPv4 address ({inner.form}), {inside.reason}",
    )


def _as_embedded(inner: Embedded, inside: Decision) -> Decision:
    option = NAT64_PREFIXES if inner.guessed and not inside.allowed else inside.option
    return replace(inside, option=option, embedding=inner.form)


def _allowed_range(network: Network) -> Decision:
    option = ALLOW_RANGES[network.version]
    rule, reason = f"allowed by {option} {network}", f"allowed by {option} {_shown(network)}"
    return Decision(allowed=True, kind=DecisionKind.ALLOWED_RANGE, rule=rule, reason=reason, option=option)


def _denied_range(network: Network) -> Decision:
    deny = DENY_RANGES[network.version]
    rule, reason = f"denied by {deny} {network}", f"denied by {deny} {_shown(network)}"
    option = ALLOW_RANGES[network.version]
    return Decision(allowed=False, kind=DecisionKind.DENIED_RANGE, rule=rule, reason=reason, option=option)


def _special_purpose(block: Block) -> Decision:
    verb = "allowed" if block.reachable else "denied"
    source = "the IANA special-purpose block" if block.registered else "the built-in block"
    about = f"({block.purpose}, {block.reference})"
    return Decision(
        allowed=block.reachable,
        kind=DecisionKind.SPECIAL_PURPOSE,
        rule=f"{verb} by {source} {block.network} {about}",
        reason=f"{verb} by {source} {_shown(block.network)} {about}",
        option=(DENY_RANGES if block.reachable else ALLOW_RANGES)[block.network.version],
    )


def _shown(network: Network) -> str:
    """A range as a result may name it: a range of one address would name the address."""
    return "of one address" if network.num_addresses == 1 else str(network)


def _table(
    version: int,
    allow: Sequence[Network],
    deny: Sequence[Network],
    blocks: Sequence[Block],
    assigned: Sequence[Network] = (),
) -> Table[Decision]:
    """*assigned* is the space about which no rule has to be for it to be allowed; all, where none is given."""
    rest = "no rule is about it"
    free = Decision(allowed=True, kind=DecisionKind.NO_RULE, rule=rest, reason=rest, option=DENY_RANGES[version])
    outside = [(NOT_GLOBAL_UNICAST.network, _special_purpose(NOT_GLOBAL_UNICAST))] if assigned else []
    return overlay(
        (
            [(network, _allowed_range(network)) for network in allow if network.version == version],
            [(network, _denied_range(network)) for network in deny if network.version == version],
            [(block.network, _special_purpose(block)) for block in blocks if block.network.version == version],
            [*outside, *((network, free) for network in assigned)],
        ),
        free,
    )
