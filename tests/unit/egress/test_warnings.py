"""Which rules are said to do nothing, and in which words."""

from __future__ import annotations

import time
from ipaddress import IPv4Address

import pytest

from tests.support.policy import policy_of


@pytest.mark.parametrize(
    ("rules", "warning"),
    [
        ({"allow": ["10.0.0.0/8"], "deny": ["10.1.0.0/16"]},
         "blacklistedRange.4 10.1.0.0/16 never matches: whitelistedRange.4 covers it, and allowed wins"),
        ({"allow": ["10.0.0.0/8"], "deny": ["10.0.0.0/8"]},
         "blacklistedRange.4 10.0.0.0/8 never matches: whitelistedRange.4 covers it, and allowed wins"),
        ({"allow": ["10.0.0.0/9", "10.128.0.0/9"], "deny": ["10.0.0.0/8"]},
         "blacklistedRange.4 10.0.0.0/8 never matches: whitelistedRange.4 covers it, and allowed wins"),
        ({"allow": ["fd00::/8"], "deny": ["fd01::/16"]},
         "blacklistedRange.6 fd01::/16 never matches: whitelistedRange.6 covers it, and allowed wins"),
        ({"allow": ["10.0.0.0/8", "10.0.0.0/8"]}, "whitelistedRange.4 10.0.0.0/8 is written 2 times"),
        ({"deny": ["9.0.0.0/8", "9.9.9.9"]}, "blacklistedRange.4 9.9.9.9/32 adds nothing: the same option has 9.0.0.0/8"),
        ({"allow": ["8.8.8.8"]}, "whitelistedRange.4 8.8.8.8/32 changes nothing: nothing denies these addresses"),
        ({"allow": ["192.31.196.0/24"]},
         "whitelistedRange.4 192.31.196.0/24 changes nothing: nothing denies these addresses"),
        ({"allow": ["192.0.0.9"]}, "whitelistedRange.4 192.0.0.9/32 changes nothing: nothing denies these addresses"),
        ({"allow": ["10.0.0.0/8"], "block_special_purpose": False},
         "whitelistedRange.4 10.0.0.0/8 changes nothing: nothing denies these addresses"),
        ({"allow": ["64:ff9b::/96"]}, "whitelistedRange.6 64:ff9b::/96 changes nothing: nothing denies these addresses"),
        ({"allow": ["2002::/16"]},
         "whitelistedRange.6 2002::/16 does not open the IPv4 addresses embedded in it: whitelistedRange.4 does"),
        ({"allow": ["fd64::/96"], "nat64_prefixes": ["fd64::/96"]},
         "whitelistedRange.6 fd64::/96 does not open the IPv4 addresses embedded in it: whitelistedRange.4 does"),
        ({"allow": ["64:ff9b:1::/96"]},
         "whitelistedRange.6 64:ff9b:1::/96 opens next to nothing: nat64Prefixes has to say where these addresses hold IPv4"),
        ({"allow": ["::ffff:0:0/96"]},
         "whitelistedRange.6 ::ffff:0:0/96 matches nothing: IPv4-mapped addresses are judged as IPv4, by whitelistedRange.4"),
        ({"deny": ["::ffff:0:0/96"]},
         "blacklistedRange.6 ::ffff:0:0/96 matches nothing: IPv4-mapped addresses are judged as IPv4, by blacklistedRange.4"),
        ({"nat64_prefixes": ["64:ff9b::/96"]},
         "nat64Prefixes 64:ff9b::/96 changes nothing: the well-known prefix is always judged by what it embeds"),
        ({"nat64_prefixes": ["fd64::/96", "fd64::/96"]}, "nat64Prefixes fd64::/96 is written 2 times"),
        ({"allow_names": ["*.corp"], "deny_names": ["db.corp"]},
         "blockedDomainNames db.corp never matches: allowedDomainNames *.corp covers it, and allowed wins"),
        ({"deny_names": ["*.corp", "db.corp"]}, "blockedDomainNames db.corp adds nothing: the same option has *.corp"),
        ({"deny_names": ["a.b", "A.b."]}, "blockedDomainNames a.b is written 2 times"),
        ({"deny_names": ["10.*"]},
         "blockedDomainNames 10.* is compared with names, not with what they resolve to: ranges do that"),
        ({"allow_names": ["*.corp"]},
         'allowedDomainNames changes nothing without blockedDomainNames; to deny all other names, deny "*"'),
    ],
)  # fmt: skip
def test_a_rule_without_effect_is_named_with_the_reason(rules: dict[str, list[str]], warning: str) -> None:
    assert warning in policy_of(**rules).warnings()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"allow": ["10.0.0.0/8", "fd00::/8", "127.0.0.0/8", "::1"]},
        {"deny": ["10.0.0.0/8", "8.8.8.0/24"]},
        {"allow": ["10.1.0.0/16"], "deny": ["10.0.0.0/8"]},
        {"allow": ["8.8.8.8"], "deny": ["8.8.8.0/24"]},
        {"allow": ["192.0.0.0/24"]},
        {"allow": ["10.0.0.0/9"], "deny": ["10.0.0.0/8"]},
        {"allow": ["64:ff9b:1:ffff::/96"], "nat64_prefixes": ["64:ff9b:1:ffff::/96", "fd64::/96"]},
        {"allow_names": ["*.corp"], "deny_names": ["*"]},
        {"deny_names": ["*.corp", "corp"]},
    ],
)
def test_useful_rules_pass_without_a_word(rules: dict[str, list[str]]) -> None:
    embedding = [line for line in policy_of(**rules).warnings() if "embedded in it" not in line]  # type: ignore[arg-type]
    assert embedding == []


def test_many_rules_are_looked_through_in_a_moment() -> None:
    rules = [str(IPv4Address(number * 1000)) for number in range(20_000, 23_000)]
    policy = policy_of(allow=rules, deny=rules)
    began = time.process_time()
    assert len([line for line in policy.warnings() if "never matches" in line]) == 3000
    assert time.process_time() - began < 2.0
