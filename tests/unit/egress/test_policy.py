"""The egress policy's order and its words. Every block and embedding has its test in test_special_purpose and
test_embedding."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tests.support.policy import policy_of
from worker.egress.hosts import parse_host
from worker.egress.policy import DecisionKind, Policy
from worker.errors import PolicyError

DEFAULT = policy_of()


def allows(policy: Policy, address: str) -> bool:
    return policy.judge(ip_address(address)).allowed


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_allowed_by_default(address: str) -> None:
    assert allows(DEFAULT, address)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "168.63.129.16", "0.0.0.0", "224.0.0.1", "::1", "::", "fd00:ec2::254",
     "fe80::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "64:ff9b::10.0.0.1", "::10.0.0.1", "2002:7f00:1::1"],
)  # fmt: skip
def test_internal_addresses_are_denied_by_default(address: str) -> None:
    assert not allows(DEFAULT, address)


def test_the_allow_list_comes_before_the_deny_list_and_both_before_the_special_purpose_blocks() -> None:
    policy = policy_of(allow=["10.1.0.0/16"], deny=["10.1.2.0/24", "8.8.8.0/24"])
    assert policy.judge(ip_address("10.1.2.3")).kind is DecisionKind.ALLOWED_RANGE
    assert policy.judge(ip_address("10.2.0.1")).kind is DecisionKind.SPECIAL_PURPOSE
    assert policy.judge(ip_address("8.8.8.8")).kind is DecisionKind.DENIED_RANGE
    assert policy.judge(ip_address("8.8.9.8")).kind is DecisionKind.NO_RULE


def test_the_deny_list_works_without_the_special_purpose_blocks() -> None:
    policy = policy_of(deny=["10.0.0.0/8"], block_special_purpose=False)
    assert allows(policy, "127.0.0.1")
    assert not allows(policy, "10.0.0.1")
    assert not allows(policy, "2002:a00:1::")


UNSPECIFIED = ["0.0.0.0", "::", "::ffff:0.0.0.0", "64:ff9b::0.0.0.0", "2002::1"]
LOOPBACK = ["127.0.0.0/8", "::1/128"]


@pytest.mark.parametrize("address", UNSPECIFIED)
def test_the_unspecified_address_is_judged_as_loopback_too(address: str) -> None:
    assert allows(policy_of(block_special_purpose=False), address)
    denied = policy_of(deny=LOOPBACK, block_special_purpose=False)
    assert not allows(denied, address)
    assert "loopback" in denied.judge(ip_address(address)).reason
    assert [decision.allowed for _, decision in denied.readings(ip_address(address))][-1] is False
    assert not allows(policy_of(deny=["0.0.0.0/32", "::/128"], block_special_purpose=False), address)


def test_both_the_unspecified_address_and_loopback_must_be_allowed() -> None:
    assert not allows(policy_of(allow=["0.0.0.0/32"]), "0.0.0.0")
    assert not allows(policy_of(allow=["127.0.0.0/8"]), "0.0.0.0")
    assert allows(policy_of(allow=["0.0.0.0/32", "127.0.0.1/32"]), "0.0.0.0")
    assert allows(policy_of(allow=["::/128", "::1/128"]), "::")


@pytest.mark.parametrize("address", ["4000::1", "1fff:ffff::", "fe00::1", "200::1", "64:ff9b:2::1", "::1:0:0:0"])
def test_ipv6_outside_global_unicast_needs_an_allow(address: str) -> None:
    decision = DEFAULT.judge(ip_address(address))
    assert (decision.allowed, decision.option) == (False, "whitelistedRange.6")
    assert "outside the global unicast space 2000::/3" in decision.message
    policy = policy_of(allow=[f"{address}/128"])
    assert allows(policy, address)
    assert not [warning for warning in policy.warnings() if "changes nothing" in warning]
    assert allows(policy_of(block_special_purpose=False), address)


def test_the_prefix_of_a_translator_outside_it_is_judged_by_what_it_embeds() -> None:
    policy = policy_of(nat64_prefixes=["4000:64::/96"])
    assert allows(policy, "4000:64::8.8.8.8")
    assert not allows(policy, "4000:64::10.0.0.1")
    assert not allows(policy, "4000:65::8.8.8.8")
    assert allows(DEFAULT, "64:ff9b::8.8.8.8")
    assert not allows(policy_of(nat64_prefixes=["fd00:64::/96"]), "fd00:64::8.8.8.8"), "a block goes on denying"


def test_an_allowed_outer_prefix_does_not_allow_what_is_embedded_in_it() -> None:
    policy = policy_of(allow=["2002::/16", "64:ff9b::/96"])
    assert not allows(policy, "2002:a00:1::")
    assert not allows(policy, "64:ff9b::10.0.0.1")
    assert allows(policy, "2002:808:808::")


def test_a_denied_name_stays_denied_unless_an_allow_glob_matches_it_too() -> None:
    policy = policy_of(allow_names=["*.example.com"], deny_names=["*"])
    assert policy.judge_name(parse_host("a.b.EXAMPLE.com.")).kind is DecisionKind.ALLOWED_NAME
    assert policy.judge_name(parse_host("example.com")).kind is DecisionKind.DENIED_NAME
    assert policy.judge_name(parse_host("8.8.8.8")).kind is DecisionKind.DENIED_NAME


def test_a_list_of_allowed_names_alone_forbids_nothing() -> None:
    assert policy_of(allow_names=["*.example.com"]).judge_name(parse_host("elsewhere.test")).allowed


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "::ffff:127.0.0.1", "[::FFFF:7F00:1]", "0:0:0:0:0:ffff:127.0.0.1"]
)
def test_globs_see_the_address_that_is_dialled_however_it_is_written(host: str) -> None:
    """A mapped address is dialled as IPv4, and matched as IPv4."""
    assert policy_of(deny_names=["127.*"]).judge_name(parse_host(host)).kind is DecisionKind.DENIED_NAME
    assert policy_of(deny_names=["::ffff:*"]).judge_name(parse_host(host)).kind is DecisionKind.NO_RULE


def test_names_are_compared_as_a_labels() -> None:
    policy = policy_of(deny_names=["*.Bücher.example"])
    assert not policy.judge_name(parse_host("www.xn--bcher-kva.example")).allowed
    assert not policy.judge_name(parse_host("www.BÜCHER.example.")).allowed


def test_the_rule_names_the_block_and_the_message_the_option_that_would_allow_it() -> None:
    decision = DEFAULT.judge(ip_address("10.20.30.40"))
    assert decision.rule == "denied by the IANA special-purpose block 10.0.0.0/8 (private use, RFC 1918)"
    assert decision.option == "whitelistedRange.4"
    assert decision.message == f"{decision.rule}; whitelistedRange.4 would allow it"


@pytest.mark.parametrize("address", ["::1", "168.63.129.16", "64:ff9b::10.1.2.3", "9.9.9.9"])
def test_the_message_does_not_name_the_address(address: str) -> None:
    decision = policy_of(deny=["9.9.9.9"]).judge(ip_address(address))
    assert not decision.allowed
    assert not any(part in decision.message for part in (address, "10.1.2.3"))


@pytest.mark.parametrize(
    "rule", ["", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/255.0.0.0", "10.1", "fe80::1%lo/64", "::ffff:10.0.0.0/104", "x"]
)
def test_a_range_that_can_be_misread_is_an_error_that_names_it(rule: str) -> None:
    with pytest.raises(PolicyError) as caught:
        policy_of(deny=[rule])
    assert caught.value.rule == rule
