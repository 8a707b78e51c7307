"""What holds of every policy and every address, searched for counter-examples near the boundaries where they would be."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.policy import policy_of
from tests.unit.egress.addresses import EMBEDDINGS, OPERATOR_NAT64, boundaries_ipv4, boundaries_ipv6
from tests.unit.egress.naive_policy import NaivePolicy
from worker.egress.policy import Policy
from worker.egress.rules import ALLOW_RANGES, DENY_RANGES

NAT64 = {f"{IPv6Address(prefix)}/{length}": (prefix, length) for length, prefix in OPERATOR_NAT64.items()}
MAPPED = bytes(10) + b"\xff\xff"

ipv4_octets = st.one_of(st.sampled_from(boundaries_ipv4()), st.binary(min_size=4, max_size=4))
forms = st.sampled_from(list(EMBEDDINGS))
embedding_octets = st.builds(lambda ipv4, form: EMBEDDINGS[form](ipv4), ipv4_octets, forms)
ipv6_octets = st.one_of(
    embedding_octets,
    st.sampled_from(boundaries_ipv6()),
    st.builds(lambda ipv4: MAPPED + ipv4, ipv4_octets),
    st.binary(min_size=16, max_size=16),
)
any_octets = st.one_of(ipv4_octets, ipv6_octets)


@st.composite
def ranges(draw: st.DrawFn) -> str:
    """A CIDR range around an address worth judging; none inside the mapped block, which is written as IPv4."""
    octets = draw(st.one_of(ipv4_octets, ipv6_octets.filter(lambda octets: octets[:12] != MAPPED)))
    return str(ip_network((octets, draw(st.integers(0, 8 * len(octets)))), strict=False))


range_lists = st.lists(ranges().filter(lambda rule: not rule.startswith("::ffff:0:0/")), max_size=4)
policies = st.fixed_dictionaries(
    {
        "allow": range_lists,
        "deny": range_lists,
        "block_special_purpose": st.booleans(),
        "nat64_prefixes": st.lists(st.sampled_from(sorted(NAT64)), max_size=3, unique=True),
    }
)

fewer = settings(max_examples=50)
"""Each of these looks at one consequence; the comparison with a second implementation looks at everything."""


def build(rules: dict[str, object]) -> Policy:
    return policy_of(**rules)  # type: ignore[arg-type]


def naive(rules: dict[str, list[str]]) -> NaivePolicy:
    spans = {
        name: tuple((net[0].packed, net[-1].packed) for net in map(ip_network, rules[name]))
        for name in ("allow", "deny")
    }
    return NaivePolicy(
        allow=spans["allow"],
        deny=spans["deny"],
        block_special_purpose=bool(rules["block_special_purpose"]),
        nat64=tuple(NAT64[prefix] for prefix in rules["nat64_prefixes"]),
    )


@given(policies, any_octets)
def test_a_second_implementation_agrees(rules: dict[str, list[str]], octets: bytes) -> None:
    assert build(dict(rules)).judge(ip_address(octets)).allowed == naive(rules).allows(octets)


@fewer
@given(policies, ipv4_octets)
def test_a_mapped_address_is_the_plain_one(rules: dict[str, object], octets: bytes) -> None:
    policy = build(rules)
    assert policy.judge(IPv6Address(MAPPED + octets)) == policy.judge(IPv4Address(octets))


@fewer
@given(policies, ipv4_octets, forms)
def test_what_is_denied_plainly_is_denied_in_every_form(rules: dict[str, object], octets: bytes, form: str) -> None:
    policy = build({**rules, "nat64_prefixes": sorted(NAT64)})
    if form == "IPv4-compatible" and octets in (bytes(4), b"\x00\x00\x00\x01"):
        return  # :: and ::1 embed nothing
    if not policy.judge(IPv4Address(octets)).allowed:
        assert not policy.judge(IPv6Address(EMBEDDINGS[form](octets))).allowed


@fewer
@given(policies, any_octets, ranges())
def test_one_more_deny_never_allows(rules: dict[str, list[str]], octets: bytes, rule: str) -> None:
    address = ip_address(octets)
    if not build(dict(rules)).judge(address).allowed:
        assert not build({**rules, "deny": [*rules["deny"], rule]}).judge(address).allowed


@fewer
@given(policies, any_octets, ranges())
def test_one_more_allow_never_denies(rules: dict[str, list[str]], octets: bytes, rule: str) -> None:
    address = ip_address(octets)
    if build(dict(rules)).judge(address).allowed:
        assert build({**rules, "allow": [*rules["allow"], rule]}).judge(address).allowed


@fewer
@given(policies, any_octets)
def test_the_special_purpose_blocks_only_deny(rules: dict[str, object], octets: bytes) -> None:
    if build({**rules, "block_special_purpose": True}).judge(ip_address(octets)).allowed:
        assert build({**rules, "block_special_purpose": False}).judge(ip_address(octets)).allowed


@fewer
@given(policies, any_octets)
def test_the_order_within_a_list_does_not_matter(rules: dict[str, list[str]], octets: bytes) -> None:
    turned: dict[str, object] = {**rules, "allow": rules["allow"][::-1], "deny": rules["deny"][::-1]}
    assert build(turned).judge(ip_address(octets)) == build(dict(rules)).judge(ip_address(octets))


@fewer
@given(policies, any_octets)
def test_an_address_is_allowed_exactly_if_all_its_readings_are(rules: dict[str, object], octets: bytes) -> None:
    policy = build(rules)
    readings = [decision.allowed for _, decision in policy.readings(ip_address(octets))]
    assert policy.judge(ip_address(octets)).allowed == all(readings)


@fewer
@given(policies, any_octets)
def test_no_message_names_an_address(rules: dict[str, object], octets: bytes) -> None:
    policy = build(rules)
    message = policy.judge(ip_address(octets)).message
    for address, _ in policy.readings(ip_address(octets)):
        assert not re.search(rf"(?<![0-9a-f.:]){re.escape(str(address))}(?![0-9a-f.:/])", message)
        assert f"{address}/{address.max_prefixlen}" not in message


@fewer
@given(policies)
def test_warnings_are_sentences_about_the_rules(rules: dict[str, object]) -> None:
    assert all(re.match(r"(white|black)listedRange\.[46] |nat64Prefixes ", line) for line in build(rules).warnings())


@fewer
@given(policies, any_octets)
def test_a_deny_that_is_said_never_to_match_never_matches(rules: dict[str, list[str]], octets: bytes) -> None:
    policy = build(dict(rules))
    idle = {line.split()[1] for line in policy.warnings() if "never matches" in line}
    without: dict[str, object] = {**rules, "deny": [rule for rule in rules["deny"] if rule not in idle]}
    assert build(without).judge(ip_address(octets)) == policy.judge(ip_address(octets))


SAME_TEXT_TWICE: dict[str, Any] = {
    "allow": ["0.0.0.0/1"],
    "deny": ["0.0.0.0/0", "0.0.0.0/1"],
    "block_special_purpose": False,
}
SAME_TEXT_TWICE |= {"nat64_prefixes": []}
"""A rule that does nothing in one list, and much in the other."""


@fewer
@example(SAME_TEXT_TWICE, bytes(4))
@given(policies, any_octets)
def test_a_range_that_is_said_to_change_nothing_changes_nothing(rules: dict[str, list[str]], octets: bytes) -> None:
    policy = build(dict(rules))
    words = ("adds nothing", "changes nothing", "matches nothing")
    idle = {tuple(line.split()[:2]) for line in policy.warnings() if any(word in line for word in words)}
    without: dict[str, object] = {**rules}
    for name, options in (("allow", ALLOW_RANGES), ("deny", DENY_RANGES)):
        without[name] = [rule for rule in rules[name] if (options[ip_network(rule).version], rule) not in idle]
    assert build(without).judge(ip_address(octets)).allowed == policy.judge(ip_address(octets)).allowed
