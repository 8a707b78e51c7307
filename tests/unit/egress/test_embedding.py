"""IPv4 inside IPv6: every form, every prefix length, every boundary, against the naive policy."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest

from tests.support.policy import policy_of
from tests.unit.egress.addresses import EMBEDDINGS, OPERATOR_NAT64, boundaries_ipv4
from tests.unit.egress.naive_policy import NaivePolicy, nat64_address, nat64_part, octets
from worker.egress.embedding import NAT64_LENGTHS, embedded, translated
from worker.egress.policy import Policy

LOOPBACK = octets("127.0.0.1")
PREFIXES = [f"{IPv6Address(prefix)}/{length}" for length, prefix in OPERATOR_NAT64.items()]
NAIVE_NAT64 = tuple((prefix, length) for length, prefix in OPERATOR_NAT64.items())

FORMS = list(EMBEDDINGS)


# RFC 6052 section 2.4, table 2: 192.0.2.33 under a prefix of each length.
RFC6052 = [
    ("2001:db8::/32", "2001:db8:c000:221::"),
    ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
    ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
    ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
    ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
    ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
]


@pytest.mark.parametrize(("prefix", "address"), RFC6052)
def test_the_examples_of_rfc_6052_are_read(prefix: str, address: str) -> None:
    length = IPv6Network(prefix).prefixlen
    assert IPv4Address(translated(int(IPv6Address(address)), length)) == IPv4Address("192.0.2.33")
    found = [inner.address for inner in embedded(int(IPv6Address(address)), [IPv6Network(prefix)])]
    assert IPv4Address("192.0.2.33") in found


@pytest.mark.parametrize(("prefix", "address"), RFC6052)
def test_the_naive_figure_agrees_with_rfc_6052(prefix: str, address: str) -> None:
    length = IPv6Network(prefix).prefixlen
    assert nat64_part(octets(address), length) == octets("192.0.2.33")
    assert nat64_address(IPv6Network(prefix)[0].packed, length, octets("192.0.2.33")) == octets(address)


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("::10.1.2.3", {"10.1.2.3"}),
        ("::ffff:0:10.1.2.3", {"10.1.2.3"}),
        ("64:ff9b::10.1.2.3", {"10.1.2.3"}),
        ("2002:a01:203::1", {"10.1.2.3"}),
        # RFC 4380 section 4; server 65.54.227.120, client 192.0.2.45
        ("2001:0000:4136:e378:8000:63bf:3fff:fdd2", {"65.54.227.120", "192.0.2.45"}),
        ("2a00::5efe:10.1.2.3", {"10.1.2.3"}),
        ("2a00::200:5efe:10.1.2.3", {"10.1.2.3"}),
        ("64:ff9b:1:a01:2:300::", {"10.1.2.3", "1.2.3.0", "2.3.0.0", "0.0.0.0"}),
        ("::2", {"0.0.0.2"}),
        ("::", set()), ("::1", set()), ("2a00::1", set()), ("2a00::5eff:a01:203", set()), ("64:ff9b::1:a01:203", set()),
        ("2003:a01:203::1", set()), ("2001:1:a01:203::", set()),
    ],
)  # fmt: skip
def test_what_an_address_embeds(address: str, inside: set[str]) -> None:
    assert {str(inner.address) for inner in embedded(int(IPv6Address(address)))} == inside


@pytest.mark.parametrize("length", [length for length in NAT64_LENGTHS if length != 96])  # which fixes the octet itself
@pytest.mark.parametrize("u_octet", [0x00, 0x01, 0xFF])
def test_the_u_octet_hides_nothing(length: int, u_octet: int) -> None:
    address = bytearray(nat64_address(OPERATOR_NAT64[length], length, LOOPBACK))
    address[8] = u_octet
    policy = policy_of(nat64_prefixes=PREFIXES)
    assert not policy.judge(IPv6Address(bytes(address))).allowed


@pytest.mark.parametrize("form", FORMS)
def test_loopback_is_denied_in_every_form_and_by_every_policy_that_denies_it_plainly(form: str) -> None:
    address = IPv6Address(EMBEDDINGS[form](LOOPBACK))
    whole = ["::/0"]
    for policy in (
        policy_of(nat64_prefixes=PREFIXES),
        policy_of(nat64_prefixes=PREFIXES, allow=whole),
        policy_of(nat64_prefixes=PREFIXES, allow=whole, deny=["127.0.0.0/8"], block_special_purpose=False),
        policy_of(nat64_prefixes=PREFIXES, deny=["127.0.0.0/8"], block_special_purpose=False),
    ):
        assert not policy.judge(address).allowed


def policies() -> Iterator[tuple[Policy, NaivePolicy]]:
    whole = ((bytes(16), b"\xff" * 16),)
    ten = ((octets("10.0.0.0"), octets("10.255.255.255")),)
    yield policy_of(), NaivePolicy()
    yield policy_of(nat64_prefixes=PREFIXES), NaivePolicy(nat64=NAIVE_NAT64)
    yield policy_of(nat64_prefixes=PREFIXES, allow=["::/0"]), NaivePolicy(nat64=NAIVE_NAT64, allow=whole)
    yield (
        policy_of(nat64_prefixes=PREFIXES, deny=["10.0.0.0/8"], block_special_purpose=False),
        NaivePolicy(nat64=NAIVE_NAT64, deny=ten, block_special_purpose=False),
    )
    yield (
        policy_of(nat64_prefixes=[*PREFIXES, "64:ff9b:1::/56"], allow=["::/0", "10.0.0.0/8"]),
        NaivePolicy(nat64=(*NAIVE_NAT64, (octets("64:ff9b:1::"), 56)), allow=whole + ten),
    )


@pytest.mark.parametrize(
    ("policy", "naive"), list(policies()), ids=["default", "operator", "allow-v6", "deny-list", "allow-10"]
)
@pytest.mark.parametrize("form", FORMS)
def test_every_boundary_in_every_form_is_judged_as_the_naive_policy_does(
    policy: Policy, naive: NaivePolicy, form: str
) -> None:
    for ipv4 in boundaries_ipv4():
        address = EMBEDDINGS[form](ipv4)
        assert policy.judge(ip_address(address)).allowed == naive.allows(address), str(ip_address(address))


# Read in one place only, so that the IPv4 address alone decides; the others carry a second address.
PLAIN_FORMS = [form for form in FORMS if not form.startswith(("local-use", "Teredo"))]


@pytest.mark.parametrize("form", PLAIN_FORMS)
def test_with_the_outer_prefix_allowed_the_inside_alone_decides(form: str) -> None:
    policy, plain = policy_of(nat64_prefixes=PREFIXES, allow=["::/0"]), policy_of()
    for ipv4 in boundaries_ipv4():
        if form == "IPv4-compatible" and ipv4 in (bytes(4), b"\x00\x00\x00\x01"):
            continue  # :: and ::1
        assert policy.judge(ip_address(EMBEDDINGS[form](ipv4))).allowed == plain.judge(ip_address(ipv4)).allowed


def test_a_named_prefix_settles_where_local_use_addresses_hold_ipv4() -> None:
    address = IPv6Address("64:ff9b:1:ffff::10.1.2.3")
    rules = ["64:ff9b:1:ffff::/96", "10.0.0.0/8"]
    guessing = policy_of(allow=rules).judge(address)
    assert (guessing.allowed, guessing.option) == (False, "nat64Prefixes")
    assert policy_of(allow=rules, nat64_prefixes=["64:ff9b:1:ffff::/96"]).judge(address).allowed
    assert not policy_of(allow=rules, nat64_prefixes=["64:ff9b:1:fffe::/96"]).judge(address).allowed


def test_a_denial_inside_names_the_form_and_the_option_of_the_inside() -> None:
    decision = policy_of().judge(IPv6Address("64:ff9b::10.1.2.3"))
    assert decision.embedding == "NAT64"
    assert decision.option == "whitelistedRange.4"
    assert decision.rule.startswith("embeds 10.1.2.3 (NAT64), denied by the IANA special-purpose block 10.0.0.0/8")
    assert "10.1.2.3" not in decision.message


def test_readings_show_the_address_and_what_it_carries() -> None:
    readings = list(policy_of().readings(IPv6Address("2001:0:4136:e378:8000:63bf:3fff:fdd2")))
    assert [(str(address), decision.embedding) for address, decision in readings] == [
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", None),
        ("65.54.227.120", "Teredo server"),
        ("192.0.2.45", "Teredo client"),
    ]
    assert [str(address) for address, _ in policy_of().readings(IPv6Address("::ffff:10.1.2.3"))] == ["10.1.2.3"]
