"""Reading the host that a test names: one spelling for judging and for looking up."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.egress.hosts import canonical_name, parse_host
from worker.errors import HostError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),  # RFC 3490's own example
        ("B\u00dcCHER\u3002example", "xn--bcher-kva.example"),  # ideographic full stop
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("stra\u00dfe.example", "xn--strae-oqa.example"),  # UTS 46, not transitional
        ("\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54", "localhost"),  # full-width letters
        ("exa\u00admple.com", "example.com"),  # soft hyphen
        ("loc\u200balhost", "localhost"),  # zero-width space
        ("_sip._tcp.b\u00fccher.example", "_sip._tcp.xn--bcher-kva.example"),
        ("127.1", "127.1"),
        ("0x7f000001", "0x7f000001"),
        ("256.1.1.1", "256.1.1.1"),
        ("0177.0.0.1", "0177.0.0.1"),
    ],
)
def test_a_name_has_one_spelling(text: str, name: str) -> None:
    assert parse_host(text) == name


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("\uff11\uff12\uff17.\u24ea.\u24ea.\u2460", "127.0.0.1"),  # full-width and circled digits
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("::FFFF:127.0.0.1", "::ffff:7f00:1"),
        ("0:0:0:0:0:0:0:1", "::1"),
    ],
)
def test_a_literal_is_an_address(text: str, address: str) -> None:
    assert parse_host(text) == ip_address(address)


@pytest.mark.parametrize(
    "text",
    ["", ".", "a..b", ".a", "a b", "a\tb", "a\0b", "127.0.0.1\0.example.com", "a/b", "a@b", "a#b", "a?b", "a\\b", "a%00b",
     "*.example.com", "[", "[]", "[::1", "::1]", "[127.0.0.1]", "[::1].", ":", "1:2", "::1%lo", "fe80::1%25eth0", "fe80::1%",
     "::ffff:127.1", "a" * 64, "a." * 127 + "aa", "\u2603.example", "a\u200d.example", "\u00fc" * 2000, "\u2100.example",
     "example.com\n", "\u202eexample.com"],
)  # fmt: skip
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(HostError):
        parse_host(text)


def test_a_zone_id_is_refused_for_what_it_is() -> None:
    with pytest.raises(HostError) as caught:
        parse_host("[fe80::1%eth0]")
    assert "zone id" in caught.value.reason


@given(st.text(max_size=60))
def test_reading_twice_changes_nothing_and_no_other_error_leaves(text: str) -> None:
    try:
        host = parse_host(text)
    except HostError:
        return
    assert parse_host(str(host)) == host
    assert isinstance(host, IPv4Address | IPv6Address) or (host.isascii() and host == host.lower())


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=30))
def test_ascii_names_differ_from_their_spelling_in_case_and_last_dot_only(text: str) -> None:
    assert canonical_name(text) == text.lower().removesuffix(".")
