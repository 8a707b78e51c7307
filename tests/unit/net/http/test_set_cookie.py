"""One Set-Cookie field: RFC 6265 §5.1 to §5.3, its bounds, and aiohttp's jar as another reader of the same fields."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from aiohttp import CookieJar
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from worker.net.http.cookies import Cookies
from worker.net.http.set_cookie import LARGEST_COOKIE, default_path, parse_date, read
from worker.net.http.url import parse

NOW = 1_790_000_000.0
TARGET = parse("http://www.a.example/d/x?q=/a/b")


def at(*date: int) -> float:
    return datetime(*date, tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", at(1994, 11, 6, 8, 49, 37)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", at(1994, 11, 6, 8, 49, 37)),
        ("Sun Nov  6 08:49:37 1994", at(1994, 11, 6, 8, 49, 37)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 01-Jan-70 00:00:01 GMT", 1),
        ("31 Dec 69 1:2:3", at(2069, 12, 31, 1, 2, 3)),
        ("2026-01-02 03:04:05 feb", at(2026, 2, 1, 3, 4, 5)),
        ("02 jAnUaRy 2026 03:04:05", at(2026, 1, 2, 3, 4, 5)),
        ("03:04:05pm 2 Jan 2026", at(2026, 1, 2, 3, 4, 5)),
        ("2 Jan 2026 03:04:05 3 Feb 2027 04:05:06", at(2026, 1, 2, 3, 4, 5)),
        ("Wed, 31 Feb 2026 00:00:00 GMT", None),
        ("1 Jan 1600 00:00:00", None),
        ("1 Jan 1601 00:00:00", at(1601, 1, 1)),
        ("1 Jan 2026 24:00:00", None),
        ("1 Jan 2026 00:00:60", None),
        ("1 Jan 2026 00:00", None),
        ("1 Jan 20260 00:00:00", None),
        ("0 Jan 2026 00:00:00", None),
        ("", None),
        ("tomorrow", None),
        ("² Jan 2026 00:00:00", None),
    ],
)
def test_a_date_is_read_whatever_its_form(text: str, seconds: float | None) -> None:
    """RFC 6265 §5.1.1, with the three forms of RFC 9110 §5.6.7."""
    assert parse_date(text) == seconds


@given(
    st.integers(int(at(1970, 1, 2)), int(at(2069, 12, 31))),
    st.sampled_from(["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%c", "%H:%M:%S %d/%B/%Y"]),
)
def test_dates_are_those_of_another_reader(seconds: int, form: str) -> None:
    text = datetime.fromtimestamp(seconds, UTC).strftime(form)
    assert parse_date(text) == CookieJar._parse_date(text) == seconds


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://a.example", "/"),
        ("http://a.example/x", "/"),
        ("http://a.example/x/", "/x"),
        ("http://a.example/x/y?z=/1", "/x"),
        ("http://a.example//", "/"),
    ],
)
def test_a_cookie_without_a_path_has_that_of_its_answer(url: str, path: str) -> None:
    """RFC 6265 §5.1.4."""
    assert default_path(parse(url)) == path


@pytest.mark.parametrize(
    ("field", "expires"),
    [
        ("k=v", None),
        ("k=v; Max-Age=60", NOW + 60),
        ("k=v; max-age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", NOW + 60),
        ("k=v; Max-Age=soon; Expires=Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("k=v; Max-Age=+1", None),
        ("k=v; Max-Age=-1", float("-inf")),
        ("k=v; Max-Age=" + "9" * 1000, NOW + 10**10),
        ("k=v; Expires=later", None),
    ],
)
def test_the_end_of_a_cookie(field: str, expires: float | None) -> None:
    cookie = read(field.encode(), TARGET, NOW)
    assert cookie is not None
    assert cookie.expires == expires


@pytest.mark.parametrize(
    ("field", "kept"),
    [
        (b"k", False),
        (b"=v", False),
        (b" =v", False),
        (b"k=v", True),
        (b"k=a\x00b", False),
        (b"k=a\tb", True),
        (b"k=v\x7f", False),
        (b"k=v; Domain=example", False),
        (b"k=v; Domain=other.example", False),
        (b"k=v; Domain=deep.www.a.example", False),
        (b"k=v; Domain=A.Example", True),
        (b"k=v; Domain=", True),
        (b"k=" + b"v" * (LARGEST_COOKIE - 1), True),
        (b"k=" + b"v" * LARGEST_COOKIE, False),
        (b"k=v" + b"; x" * 15 + b"; Domain=other.example", False),
        (b"k=v" + b"; x" * 16 + b"; Domain=other.example", True),
        (b"k=v" + b";" * 60_000, True),
        (b"k=v; Domain=other.example" + b"x" * 1024, True),
    ],
)
def test_what_is_kept_of_a_field(field: bytes, *, kept: bool) -> None:
    """Bounds are those of Chromium: 4,096 octets, sixteen attributes, 1,024 octets for the value of one."""
    assert (read(field, TARGET, NOW) is not None) is kept


@pytest.mark.parametrize(("host", "scope"), [("localhost", "localhost"), ("corp", "corp")])
def test_a_single_label_is_for_its_host_alone(host: str, scope: str) -> None:
    """RFC 6265 §5.3, 5: a public suffix may set cookies for itself, and for nothing below it."""
    cookie = read(f"k=v; Domain={scope}".encode(), parse(f"http://{host}/"), NOW)
    assert cookie is not None
    assert cookie.goes_to(host, "/", secure=False)
    assert not cookie.goes_to(f"sub.{host}", "/", secure=False)


HOSTS = ("a.example", "www.a.example", "evil-a.example", "b.example", "10.0.0.1", "[::1]")
PATHS = ("/", "/a", "/a/", "/a/b", "/ab", "/A")
URLS = st.builds("{}://{}{}".format, st.sampled_from(("http", "https")), st.sampled_from(HOSTS), st.sampled_from(PATHS))
ATTRIBUTES = st.one_of(
    st.builds("Domain={}".format, st.sampled_from((*HOSTS[:5], ".a.example", "0.0.1"))),
    st.builds("Path={}".format, st.sampled_from((*PATHS, "a", ""))),
    st.builds("Max-Age={}".format, st.sampled_from(("0", "-1", "3600"))),
    st.builds("Expires={}".format, st.sampled_from(("Sun, 06 Nov 1994 08:49:37 GMT", "1 Jan 2069 00:00:00", "x"))),
    st.sampled_from(("Secure", "HttpOnly", "SameSite=Lax")),
)
FIELDS = st.builds(
    lambda value, attributes: "; ".join((f"k={value}", *attributes)),
    st.sampled_from(("v", "", "a=b", "a-b/c")),
    st.lists(ATTRIBUTES, max_size=4, unique_by=lambda attribute: attribute.partition("=")[0]),
)


@given(URLS, FIELDS, URLS)
def test_a_cookie_is_sent_where_another_jar_sends_it(set_at: str, field: str, sent_to: str) -> None:
    cookies = Cookies()
    cookies.take(parse(set_at), [field.encode()], NOW)

    async def others() -> str | None:
        jar = CookieJar(unsafe=True, quote_cookie=False)
        jar.update_cookies_from_headers([field], URL(set_at))
        found = jar.filter_cookies(URL(sent_to))
        return "; ".join(f"{name}={morsel.coded_value}" for name, morsel in found.items()) or None

    assert cookies.header(parse(sent_to), None, NOW) == asyncio.run(others())
