"""Cookies along a redirect chain: RFC 6265 §5.3 and §5.4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.net.http.cookies import MOST_COOKIES, MOST_OCTETS, Cookies
from worker.net.http.set_cookie import LARGEST_COOKIE
from worker.net.http.url import parse

NOW = 1_790_000_000.0
"""Seconds since 1970."""


@pytest.mark.parametrize(
    ("set_at", "cookie", "sent_to", "header"),
    [
        ("http://a.example/", "k=v", "http://a.example/x", "k=v"),
        ("http://a.example/", "k=v", "http://b.example/", None),
        ("http://a.example/", "k=v", "http://sub.a.example/", None),
        ("http://a.example/", "k=v; Domain=a.example", "http://sub.a.example/", "k=v"),
        ("http://a.example/", "k=v; Domain=.a.example", "http://sub.a.example/", "k=v"),
        ("http://a.example/", "k=v; Domain=a.example", "http://evila.example/", None),
        ("http://a.example/", "k=v; Domain=b.example", "http://b.example/", None),
        ("http://sub.a.example/", "k=v; Domain=a.example", "http://a.example/", "k=v"),
        ("http://a.example/", "k=v; Path=/p", "http://a.example/p/q", "k=v"),
        ("http://a.example/", "k=v; Path=/p", "http://a.example/pq", None),
        ("http://a.example/d/x", "k=v", "http://a.example/d/y", "k=v"),
        ("http://a.example/d/x", "k=v", "http://a.example/e", None),
        ("https://a.example/", "k=v; Secure", "http://a.example/", None),
        ("https://a.example/", "k=v; Secure", "https://a.example/", "k=v"),
        ("http://a.example/", "k=v; HttpOnly; SameSite=Strict", "http://a.example/", "k=v"),
        ("http://a.example/", "k=v; Max-Age=0", "http://a.example/", None),
        ("http://127.0.0.1:8080/", "k=v", "http://127.0.0.1:8080/", "k=v"),
        ("http://127.0.0.1/", "k=v", "http://127.0.0.2/", None),
        ("http://127.0.0.1/", "k=v; Domain=0.0.1", "http://127.0.0.1/", None),
        ("http://[::1]/", "k=v", "http://[::1]/", "k=v"),
        ("http://a.example/", 'k="a b"', "http://a.example/", 'k="a b"'),
        ("http://a.example/", "k=a=b", "http://a.example/", "k=a=b"),
        ("http://a.example/", "k=", "http://a.example/", "k="),
    ],
)
def test_a_cookie_is_sent_where_it_belongs(set_at: str, cookie: str, sent_to: str, header: str | None) -> None:
    cookies = Cookies()
    cookies.take(parse(set_at), [cookie.encode()], NOW)
    assert cookies.header(parse(sent_to), None, NOW) == header


def test_the_authors_cookies_stay_unless_the_server_set_that_name() -> None:
    cookies, target = Cookies(), parse("http://a.example/")
    cookies.take(target, [b"b=new", b"c=3"], NOW)
    assert cookies.header(target, "a=1; b=old;; d", NOW) == "a=1; d; b=new; c=3"


def test_a_later_value_replaces_an_earlier_one() -> None:
    cookies, target = Cookies(), parse("http://a.example/")
    cookies.take(target, [b"k=1"], NOW)
    cookies.take(target, [b"k=2"], NOW)
    assert cookies.header(target, None, NOW) == "k=2"
    cookies.take(target, [b"k=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], NOW)
    assert cookies.header(target, None, NOW) is None


@pytest.mark.parametrize(
    ("lines", "sent_to", "header"),
    [
        (["k=root; Path=/", "k=deep; Path=/a"], "http://a.example/a/b", "k=deep; k=root"),
        (["k=deep; Path=/a", "k=root; Path=/"], "http://a.example/a", "k=deep; k=root"),
        (["k=root; Path=/", "k=deep; Path=/a"], "http://a.example/b", "k=root"),
        (["k=site; Domain=a.example", "k=host"], "http://a.example/", "k=host"),
        (["k=1; Path=/a/", "j=2; Path=/a", "i=3; Path=/"], "http://a.example/a/", "k=1; j=2; i=3"),
        (["k=1; Path=/", "k=2; Path=/a", "k=; Path=/a; Max-Age=0"], "http://a.example/a", "k=1"),
        (
            ["k=1; Path=/", "k=2; Path=/a", "k=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
            "http://a.example/a",
            "k=2",
        ),
        (["k=1", "j=2", "k=3"], "http://a.example/", "k=3; j=2"),
    ],
)
def test_every_cookie_that_matches_is_sent_the_longest_path_first(lines: list[str], sent_to: str, header: str) -> None:
    """RFC 6265 §5.4; a cookie is replaced by one of its name, domain and path (§5.3, 11)."""
    cookies = Cookies()
    cookies.take(parse("http://a.example/"), [line.encode() for line in lines], NOW)
    assert cookies.header(parse(sent_to), None, NOW) == header


def test_cookies_of_a_host_and_of_its_domain_are_both_sent() -> None:
    cookies = Cookies()
    cookies.take(parse("http://sub.a.example/"), [b"k=host", b"k=site; Domain=a.example"], NOW)
    assert cookies.header(parse("http://sub.a.example/"), "k=own; x=y", NOW) == "x=y; k=host; k=site"
    assert cookies.header(parse("http://a.example/"), None, NOW) == "k=site"


def test_only_so_many_cookies_are_kept() -> None:
    cookies, target = Cookies(), parse("http://a.example/")
    for hop in range(3):
        cookies.take(target, [f"k{hop}-{number}=v".encode() for number in range(2 * MOST_COOKIES)], NOW)
    header = cookies.header(target, None, NOW)
    assert header is not None
    assert header.count("=") == MOST_COOKIES
    cookies.take(target, [b"k0-0=new"], NOW)
    assert (cookies.header(target, None, NOW) or "").startswith("k0-0=new; ")


def test_only_so_many_octets_are_kept() -> None:
    cookies, target = Cookies(), parse("http://a.example/")
    largest = "v" * (LARGEST_COOKIE - 3)
    for _ in range(2):
        cookies.take(target, [f"k{number:02}={largest}".encode() for number in range(20)], NOW)
    assert (cookies.header(target, None, NOW) or "").count("=") == MOST_OCTETS // LARGEST_COOKIE
    cookies.take(target, [b"k00=; Max-Age=0", f"new={largest}".encode()], NOW)
    assert f"; new={largest}" in (cookies.header(target, None, NOW) or "")


def test_a_cookie_ends_in_the_middle_of_a_run() -> None:
    cookies, target = Cookies(), parse("http://a.example/")
    cookies.take(target, [b"a=1; Max-Age=10", b"b=2; Expires=Mon, 21 Sep 2026 14:13:25 GMT", b"c=3"], NOW)
    assert cookies.header(target, None, NOW) == "a=1; b=2; c=3"
    assert cookies.header(target, None, NOW + 9) == "a=1; c=3"
    assert cookies.header(target, None, NOW + 10) == "c=3"


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"])), max_size=4))
def test_what_a_server_sets_never_ends_the_header(values: list[str]) -> None:
    cookies, target = Cookies(), parse("http://a.example/")
    cookies.take(target, [value.encode() for value in values], NOW)
    header = cookies.header(target, None, NOW)
    assert header is None or not set(header) & set("\r\n\x00")


@pytest.mark.parametrize("value", ["☃", "🌙", "5€", "日本語", "é", "voilà", "Å", '"☃"', "\x80\xa0\xff"])
@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_the_octets_that_were_set_come_back(value: str, charset: str) -> None:
    octets = b"k=" + value.encode(charset, "replace")
    cookies, target = Cookies(), parse("http://a.example/")
    cookies.take(target, [octets + b"; Path=/"], NOW)
    assert (cookies.header(target, None, NOW) or "").encode("latin-1") == octets


@given(st.lists(st.binary().filter(lambda octets: not set(octets) & set(b"\r\n\0")), max_size=4))
def test_no_octets_of_a_server_are_too_much(values: list[bytes]) -> None:
    cookies, target = Cookies(), parse("http://a.example/")
    cookies.take(target, values, NOW)
    (cookies.header(target, "a=1", NOW) or "").encode("latin-1")
