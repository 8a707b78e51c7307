"""What `synthetics-worker policy HOST` has to say, given the look-up's answers."""

from __future__ import annotations

import json
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from tests.support.policy import policy_of
from worker.egress.explain import Explanation, explain, unreadable
from worker.egress.hosts import parse_host
from worker.egress.policy import Policy
from worker.errors import HostError


def explained(policy: Policy, host: str, *addresses: str) -> Explanation:
    return explain(policy, parse_host(host), [ip_address(address) for address in addresses])


def test_every_address_has_its_rule_and_the_option_that_would_change_it() -> None:
    policy = policy_of(allow=["10.1.0.0/16"])
    assert explained(policy, "db.corp", "10.2.3.4", "10.1.2.3", "8.8.8.8").as_text() == (
        "db.corp: tests may reach it\n"
        "  name      allowed: no rule is about it\n"
        "            to deny it: blockedDomainNames=db.corp\n"
        "  10.2.3.4  denied by the IANA special-purpose block 10.0.0.0/8 (private use, RFC 1918)\n"
        "            to allow it: whitelistedRange.4=10.2.3.4/32\n"
        "  10.1.2.3  allowed by whitelistedRange.4 10.1.0.0/16\n"
        "            to judge it without: take the rule out of whitelistedRange.4\n"
        "  8.8.8.8   allowed: no rule is about it\n"
        "            to deny it: blacklistedRange.4=8.8.8.8/32"
    )


def test_what_an_address_carries_has_a_row_of_its_own() -> None:
    explanation = explained(policy_of(), "nat64.test", "64:ff9b::10.0.0.1")
    assert not explanation.reachable
    assert [(row.subject, row.allowed, row.embedding) for row in explanation.rows] == [
        ("name", True, None),
        ("64:ff9b::a00:1", True, None),
        ("10.0.0.1", False, "NAT64"),
    ]
    assert "inside it (NAT64): denied by the IANA" in explanation.as_text()
    assert "to allow it: whitelistedRange.4=10.0.0.1/32" in explanation.as_text()


def test_a_local_use_prefix_is_to_be_named() -> None:
    text = explained(policy_of(allow=["64:ff9b:1::/48", "10.0.0.0/8"]), "x.test", "64:ff9b:1::10.0.0.1").as_text()
    assert "to allow it: nat64Prefixes with the translator's prefix" in text


def test_a_denied_name_has_no_addresses() -> None:
    explanation = explained(policy_of(deny_names=["*.evil"]), "a.evil", "8.8.8.8")
    assert not explanation.looked_up
    assert not explanation.reachable
    assert explanation.as_text() == (
        "a.evil: not looked up\n"
        "  name  denied by blockedDomainNames *.evil\n"
        "        to allow it: allowedDomainNames=a.evil"
    )


def test_a_name_without_addresses_and_a_text_that_is_no_name_say_so() -> None:
    assert explained(policy_of(), "none.test").as_text().startswith("none.test: no address was found\n")
    refused = unreadable("a b", HostError("neither an address nor a host name"))
    assert refused.as_text() == "a b: not looked up\n  name  denied: neither an address nor a host name"


def test_an_address_has_a_row_for_its_name_only_where_a_domain_rule_matches_it() -> None:
    assert [row.subject for row in explained(policy_of(), "8.8.8.8", "8.8.8.8").rows] == ["8.8.8.8"]
    by_name = policy_of(allow_names=["8.8.8.8"], deny_names=["*"])
    assert [row.subject for row in explained(by_name, "8.8.8.8", "8.8.8.8").rows] == ["name", "8.8.8.8"]
    refused = explained(by_name, "::1", "::1")
    assert (
        refused.as_text()
        == "::1: not looked up\n  name  denied by blockedDomainNames *\n        to allow it: allowedDomainNames=::1"
    )


def test_the_rows_are_json() -> None:
    explanation = explained(policy_of(), "x.test", "127.0.0.1")
    read = json.loads(json.dumps(explanation.as_json()))
    assert (read["host"], read["looked_up"], read["reachable"]) == ("x.test", True, False)
    assert read["rows"][1] == {
        "subject": "127.0.0.1",
        "embedding": None,
        "allowed": False,
        "rule": "denied by the IANA special-purpose block 127.0.0.0/8 (loopback, RFC 1122)",
        "change": "to allow it: whitelistedRange.4=127.0.0.1/32",
    }


@given(st.ip_addresses())
def test_following_the_advice_changes_the_decision(address: object) -> None:
    target = ip_address(str(address))
    policy = policy_of()
    rules: dict[str, list[str]] = {"allow": [], "deny": []}
    for row in explain(policy, parse_host("x.test"), [target]).rows[1:]:
        assert row.change is not None
        option, _, value = row.change.partition(": ")[2].partition("=")
        if policy.judge(target).allowed:
            rules["deny"] += [value] if option.startswith("blacklisted") else []
        elif not row.allowed and value:
            rules["allow"].append(value)
    changed = policy_of(allow=rules["allow"], deny=rules["deny"])
    assert changed.judge(target).allowed != policy.judge(target).allowed or "nat64Prefixes" in str(
        changed.judge(target)
    )
