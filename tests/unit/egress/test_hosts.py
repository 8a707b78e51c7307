"""Hosts as people and attackers write them: each is one address, one name, or refused. Nothing numeric is ever a name."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.egress.hosts import Name, authority, canonical_name, is_private_way, parse_address, parse_host, unmapped
from worker.errors import HostError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("2130706433", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0X7F.0X1", "127.0.0.1"),
        ("127.0x1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("0127.0.0.1", "87.0.0.1"),
        ("0251.0376.0251.0376", "169.254.169.254"),
        ("0251.254.169.254", "169.254.169.254"),
        ("0xa9fea9fe", "169.254.169.254"),
        ("①②⑦.⓪.⓪.①", "127.0.0.1"),
        ("１２７。０。０。１", "127.0.0.1"),
        ("127｡0．0｡1", "127.0.0.1"),
        ("⓪ⓧⓐ⑨ⓕⓔⓐ⑨ⓕⓔ", "169.254.169.254"),
        ("1\u00ad27.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("[::ffff:7f00:1]", "127.0.0.1"),
        ("::FFFF:127.0.0.1", "127.0.0.1"),
        ("\uff11\uff12\uff17.\u24ea.\u24ea.\u2460", "127.0.0.1"),  # full-width and circled digits
        ("::127.0.0.1", "::7f00:1"),
        ("64:ff9b::127.0.0.1", "64:ff9b::7f00:1"),
    ],
)
def test_numeric_hosts_are_the_addresses_that_they_mean(text: str, address: str) -> None:
    assert parse_host(text) == ip_address(address)


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "..", "a..b", ".a", "256.1.1.1", "1.2.3.4.5", "425.510.425.510", "0x41414141A9FEA9FE", "4294967296", "08.0.0.1",
        "1.2.3.256", "0x", "a.0x", "www.example.123", "1.2.3.4..", "fe80::1%lo", "fe80::1%25eth0", "[fe80::1%1]", "[127.0.0.1]",
        "[::1", "::1]", "::g", ":::", "1::2::3", "127.0.0.1\0.example.org", "127.0.0.1 ", " 127.0.0.1", "127.0.0.1\n", "a b",
        "a/b", "a\\b", "a@b", "a#b", "a?b", "a%b", "a:b", "http://a", "*.example.org", "a" * 64 + ".org",
        ".".join(["a" * 50] * 6), "\u200b", "ex\u202eample.org", "\ud800.org", "127.0.0.1:80",
        "a\tb", "a\0b", "127.0.0.1\0.example.com", "a%00b", "[", "[]", "[::1].", ":", "1:2", "::1%lo", "fe80::1%",
        "::ffff:127.1", "a" * 64, "a." * 127 + "aa", "\u2603.example", "a\u200d.example", "\u00fc" * 2000, "\u2100.example",
        "example.com\n", "\u202eexample.com",
    ],
)  # fmt: skip
def test_what_is_neither_address_nor_name_is_refused(text: str) -> None:
    with pytest.raises(HostError) as caught:
        parse_host(text)
    assert len(caught.value.reason) < 100


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("www.Example.ORG", Name("www.example.org")),
        ("example.org.", Name("example.org", absolute=True)),
        ("localhost", Name("localhost")),
        ("ⅼocalhost", Name("localhost")),
        ("\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54", Name("localhost")),  # full-width letters
        ("loc\u200balhost", Name("localhost")),  # zero-width space
        ("exa\u00admple.com", Name("example.com")),  # soft hyphen
        ("B\u00dcCHER\u3002example", Name("xn--bcher-kva.example")),  # ideographic full stop
        ("stra\u00dfe.example", Name("xn--strae-oqa.example")),  # UTS 46, not transitional
        ("_sip._tcp.b\u00fccher.example", Name("_sip._tcp.xn--bcher-kva.example")),
        ("_sip._tcp.example.org", Name("_sip._tcp.example.org")),
        ("bücher.example", Name("xn--bcher-kva.example")),
        ("xn--bcher-kva.example", Name("xn--bcher-kva.example")),
        ("1.2.3.4.example.org", Name("1.2.3.4.example.org")),
        ("0x7f000001.example.org", Name("0x7f000001.example.org")),
        ("127.0.0.1.nip.io", Name("127.0.0.1.nip.io")),
        ("4.3.2.1.in-addr.arpa", Name("4.3.2.1.in-addr.arpa")),
        ("0xg", Name("0xg")),
    ],
)
def test_names_are_lower_case_ascii_without_the_last_dot(text: str, name: Name) -> None:
    assert parse_host(text) == name


@given(st.text("0123456789abcdefxX.", min_size=1, max_size=20))
def test_what_the_c_library_reads_as_an_address_is_that_address_and_no_name(text: str) -> None:
    """`inet_aton` is what getaddrinfo of glibc tries first: the reading that a look-up would fall back to."""
    try:
        meant = IPv4Address(socket.inet_aton(text))
    except OSError:
        return
    try:
        assert parse_host(text) == meant
    except HostError:
        return


@given(st.text("0123456789abcdefxX.", min_size=1, max_size=20))
def test_what_is_read_from_a_number_is_what_the_c_library_reads(text: str) -> None:
    try:
        read = parse_host(text)
    except HostError:
        return
    if not isinstance(read, Name):
        assert socket.inet_aton(text.removesuffix(".")) == read.packed


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_and_reading_twice_changes_nothing(text: str) -> None:
    try:
        host = parse_host(text)
    except HostError:
        return
    assert parse_host(str(host)) == (Name(host.text) if isinstance(host, Name) else host)
    if isinstance(host, Name):
        assert host.text.isascii()
        assert host.text == host.text.lower()
        assert len(host.text) <= 253


@given(st.ip_addresses())
def test_an_address_is_read_back_from_its_own_text(address: IPv4Address | IPv6Address) -> None:
    assert parse_host(str(address)) == unmapped(address)
    assert parse_host(authority(address, 1).rpartition(":")[0]) == unmapped(address)


@pytest.mark.parametrize("text", ["127.0.0.1", "::1", "fe80::1%eth0", "::ffff:127.0.0.1"])
def test_an_operator_writes_an_address_in_its_usual_spelling(text: str) -> None:
    assert parse_address(text) == ip_address(text)


@pytest.mark.parametrize(
    "text", ["", "127.1", "0x7f000001", "127.0.0.1.", "127.0.0.01", "[::1]", "localhost", "１27.0.0.1"]
)
def test_an_operators_slip_is_not_read_as_another_address(text: str) -> None:
    with pytest.raises(HostError):
        parse_address(text)


def test_an_authority_has_brackets_around_ipv6_only() -> None:
    assert authority(ip_address("192.0.2.1"), 80) == "192.0.2.1:80"
    assert authority(ip_address("2001:db8::1"), 443) == "[2001:db8::1]:443"
    assert authority(Name("example.org"), 25) == "example.org:25"


def test_a_zone_id_is_refused_for_what_it_is() -> None:
    with pytest.raises(HostError) as caught:
        parse_host("[fe80::1%eth0]")
    assert "zone id" in caught.value.reason


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=30))
def test_ascii_names_differ_from_their_spelling_in_case_and_last_dot_only(text: str) -> None:
    assert canonical_name(text) == text.lower().removesuffix(".")


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("https://plane.example", True),
        ("http://localhost:8080", True),
        ("http://127.8.8.8", True),
        ("http://[::1]:80", True),
        ("http://plane.example", False),
        ("http://127.plane.example", False),
        ("http://127.1", False),
        ("http://10.0.0.1", False),
        ("http://", False),
    ],
)
def test_a_way_is_private_by_tls_or_by_an_address_of_this_machine_never_by_a_name_like_one(
    url: str, private: bool
) -> None:
    assert is_private_way(url) is private
