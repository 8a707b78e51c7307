"""The operator's rules, parsed: what is accepted, what is refused and with which words."""

from __future__ import annotations

import re
import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.egress.rules import parse_glob, parse_nat64_prefix, parse_range, written
from worker.errors import PolicyError


@pytest.mark.parametrize(
    ("rule", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("FD00::/8", "fd00::/8"),
        ("::1", "::1/128"),
        ("64:ff9b::10.0.0.0/104", "64:ff9b::a00:0/104"),
        ("::ffff:0:0/96", "::ffff:0:0/96"),
    ],
)
def test_ranges_are_read(rule: str, network: str) -> None:
    assert written(parse_range(rule)) == network


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("", "not an address range"),
        ("10.0.0.0/33", "not an address range"),
        ("10.0.0.0/08", "not an address range"),
        ("10.0.0.0/-1", "not an address range"),
        ("10.0.0.0/255.0.0.0", "not an address range"),
        ("10.0.0.0/0.255.255.255", "not an address range"),
        ("10.0.0/8", "not an address range"),
        ("010.0.0.0/8", "not an address range"),
        ("10.0.0.0-10.0.0.9", "not an address range"),
        (" 10.0.0.0/8", "not an address range"),
        ("10.0.0.0/8\n", "not an address range"),
        ("\uff11\uff10.0.0.0/8", "not an address range"),
        ("fe80::1%eth0/64", "not an address range"),
        ("::/129", "not an address range"),
        ("example.com", "not an address range"),
        ("10.0.0.1/8", "the range is written 10.0.0.0/8"),
        ("fd00::1/8", "the range is written fd00::/8"),
        ("::ffff:10.0.0.0/104", "the range is written 10.0.0.0/8"),
        ("::ffff:10.1.2.3", "the range is written 10.1.2.3/32"),
    ],
)
def test_what_can_be_misread_is_refused_with_a_reason(rule: str, reason: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_range(rule)
    assert caught.value.rule == rule
    assert reason in caught.value.reason


@pytest.mark.parametrize("length", range(129))
def test_a_nat64_prefix_has_one_of_the_lengths_of_rfc_6052(length: int) -> None:
    rule = f"::/{length}" if length < 7 else f"2a00::/{length}"
    if length in {32, 40, 48, 56, 64, 96}:
        assert str(parse_nat64_prefix(rule)) == rule
    else:
        with pytest.raises(PolicyError, match="NAT64"):
            parse_nat64_prefix(rule)


@pytest.mark.parametrize("rule", ["10.0.0.0/32", "2001:db8:1:2:300::/96", "2001:db8::1/96", "x"])
def test_what_is_no_nat64_prefix_is_refused(rule: str) -> None:
    with pytest.raises(PolicyError):
        parse_nat64_prefix(rule)


@pytest.mark.parametrize(
    ("glob", "name", "matches"),
    [
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "badexample.com", False),
        ("*.example.com", "a.example.com.evil.test", False),
        ("*example.com", "badexample.com", True),
        ("example.com", "example.com", True),
        ("example.com", "exampleXcom", False),
        ("EXAMPLE.com.", "example.com", True),
        ("*", "anything", True),
        ("**", "anything", True),
        ("*", "10.0.0.1", True),
        ("*", "::1", True),
        ("db-*.corp", "db-1.corp", True),
        ("db-*.corp", "db-.corp", True),
        ("a*b*c", "abc", True),
        ("a*b*c", "acb", False),
        ("*a*a", "a", False),
        ("*.b\u00fccher.example", "www.xn--bcher-kva.example", True),
        ("::1", "::1", True),
        ("10.*", "10.0.0.1", True),
    ],
)
def test_globs_match_whole_names(glob: str, name: str, matches: bool) -> None:
    assert parse_glob(glob).matches(name) is matches


@pytest.mark.parametrize(
    "rule",
    [
        "",
        ".",
        "a b",
        "a..b",
        ".example.com",
        "a?b",
        "[ab].c",
        "{a,b}.c",
        "!a",
        "a/b",
        "a+b",
        "http://a",
        "a@b",
        "a\n",
        "*\u00fc.x",
    ],
)
def test_globs_that_could_match_no_name_are_refused(rule: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_glob(rule)
    assert caught.value.rule == rule


glob_texts = st.lists(st.sampled_from(["a", "b", "ab", "*"]), min_size=1, max_size=7).map("".join)


@given(glob_texts, st.text(alphabet="ab", max_size=10))
def test_globs_match_as_fnmatch_does(glob: str, name: str) -> None:
    assert parse_glob(glob).matches(name) == fnmatchcase(name, glob)


@given(glob_texts, glob_texts, st.text(alphabet="ab", max_size=10))
def test_a_glob_that_covers_another_matches_all_that_it_matches(wider: str, narrower: str, name: str) -> None:
    if parse_glob(wider).covers(parse_glob(narrower)) and parse_glob(narrower).matches(name):
        assert parse_glob(wider).matches(name)


def test_no_glob_is_slow() -> None:
    glob = parse_glob("*a" * 30 + "*b")
    began = time.process_time()
    assert not glob.matches("a" * 253)
    assert time.process_time() - began < 0.5


def test_a_glob_knows_when_it_looks_like_an_address() -> None:
    looks = [text for text in ("10.*", "10.1.2.3", "fd00:*", "::1", "*", "*.corp", "1and1.example", "10.in-addr.arpa")
             if parse_glob(text).is_address]  # fmt: skip
    assert looks == ["10.*", "10.1.2.3", "fd00:*", "::1"]


def test_the_error_quotes_the_rule() -> None:
    with pytest.raises(PolicyError, match=re.escape("'10.0.0.1/8': has bits set behind its prefix")):
        parse_range("10.0.0.1/8")
