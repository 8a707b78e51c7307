"""URLs as authors write them. Expectations: RFC 3986 (its §5.4 examples), RFC 9112 §3.2, and what a request line can hold."""

from __future__ import annotations

import random
import re
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.node import answers_of_node, needs_node
from worker.net.http.error import HTTPError
from worker.net.http.url import Target, parse, resolve, shown, with_query
from worker.outcome.failure import FailureCode


@pytest.mark.parametrize(
    ("text", "host", "port", "path", "authority"),
    [
        ("http://h", "h", 80, "/", "h"),
        ("https://h", "h", 443, "/", "h"),
        ("http://h?q=1", "h", 80, "/?q=1", "h"),
        ("http://h#frag", "h", 80, "/", "h"),
        ("http://h/p?q#frag?x", "h", 80, "/p?q", "h"),
        ("HTTP://EXAMPLE.com:8080/A", "example.com", 8080, "/A", "example.com:8080"),
        ("http://h:80/", "h", 80, "/", "h"),
        ("https://h:80/", "h", 80, "/", "h:80"),
        ("http://h:/", "h", 80, "/", "h"),
        ("http://[::1]:8080/", "::1", 8080, "/", "[::1]:8080"),
        ("https://[2001:DB8::1]/", "2001:DB8::1", 443, "/", "[2001:DB8::1]"),
        ("http://a_b.local/", "a_b.local", 80, "/", "a_b.local"),
        ("http://example.com./", "example.com.", 80, "/", "example.com."),
        ("http://bücher.example/", "xn--bcher-kva.example", 80, "/", "xn--bcher-kva.example"),
        ("http://1.1.1.1/http://2.2.2.2/", "1.1.1.1", 80, "/http://2.2.2.2/", "1.1.1.1"),
    ],
)
def test_a_url_is_taken_apart(text: str, host: str, port: int, path: str, authority: str) -> None:
    target = parse(text)
    assert (target.host, target.port, target.path, target.authority) == (host, port, path, authority)


@pytest.mark.parametrize(
    "path",
    [
        "/a%2Fb",
        "/a%2fb",
        "/a//b/../c/./d",
        "/?q=1+2&q=%2B",
        "/?a=b?c",
        "/;p=1",
        "/%",
        '/{x}|\\^`"<>',
        "/?[]=1",
        "//host",
    ],
)
def test_what_the_author_wrote_is_not_encoded_anew(path: str) -> None:
    assert parse(f"http://h{path}").path == path


AS_IN_BROWSERS = [
    ("/a b", "/a%20b"),
    ("/caf\u00e9", "/caf%C3%A9"),
    ("/?q=a b\u00e9", "/?q=a%20b%C3%A9"),
    ("/\U0001f600", "/%F0%9F%98%80"),
    ("/a\x00\x1b\x7fb", "/a%00%1B%7Fb"),
    ("/a\tb\r\nc", "/abc"),
    ("/a%20b%", "/a%20b%"),
    ("/p?a=1 2#f g", "/p?a=1%202"),
    ("/p ", "/p"),
    ("/p\n", "/p"),
]
"""Path and query as written, and as they are sent."""


@pytest.mark.parametrize(("written", "sent"), AS_IN_BROWSERS)
def test_what_no_request_line_can_hold_is_encoded_or_trimmed(written: str, sent: str) -> None:
    assert parse(f"http://h{written}").path == sent


@pytest.mark.parametrize("padding", [" ", "\t", "\n", "\r\n", "\x00", "  \t "])
def test_blanks_around_a_url_are_trimmed(padding: str) -> None:
    assert parse(f"{padding}http://h/p{padding}").url == "http://h/p"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h",
        "//h/",
        "/path",
        "http:/h",
        "http:h",
        "http://",
        "http:///path",
        "http://:80/",
        "http://h:0/",
        "http://h:65536/",
        "http://h:99999999999999999999/",
        "http://h:+80/",
        "http://h:-1/",
        "http://h:٨٠/",
        "http://h:80:80/",
        "http://[]/",
        "http://[::1/",
        "http://::1/",
        "http://[::1%25lo]/",
        "http://[fe80::1%lo]/",
        "http://[v1.x]/",
        "http://a b/",
        "http://a\tb/",
        "http://a\\b/",
        "http://1.1.1.1\\@2.2.2.2/",
        "http://1.1.1.1 &@2.2.2.2# @3.3.3.3/",
        "http://a@b@c/",
        "http://a:80\\@b/",
        "http://a%2eb/",
        "http://a\x00b/",
        "http://h\r\nHost: x/",
        "ftp://h/",
        "file:///etc/passwd",
        "javascript://h/",
        "unix://socket/",
    ],
)
def test_a_url_that_two_parsers_could_read_differently_is_refused(text: str) -> None:
    with pytest.raises(HTTPError) as caught:
        parse(text)
    assert caught.value.failure.code is FailureCode.INVALID_REQUEST


def test_userinfo_becomes_credentials_and_is_never_printed() -> None:
    target = parse("http://us%40er:p%3Ass@h/p")
    assert target.login is not None
    assert (target.login.username, target.login.password.reveal()) == ("us@er", "p:ss")
    assert target.url == "http://h/p"


@pytest.mark.parametrize(
    "text", ["http://user:hunter2@h:x/", "http://user:hunter2@/", "ftp://user:hunter2@h/", "x://hunter2@"]
)
def test_the_reason_of_a_refusal_does_not_hold_the_password(text: str) -> None:
    with pytest.raises(HTTPError) as caught:
        parse(text)
    assert "hunter2" not in caught.value.failure.message


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/p", "/p?a=1&b=2%203"),
        ("/p?", "/p?a=1&b=2%203"),
        ("/p?x=0", "/p?x=0&a=1&b=2%203"),
        ("/p?x=0&", "/p?x=0&a=1&b=2%203"),
    ],
)
def test_query_pairs_are_appended(path: str, expected: str) -> None:
    assert with_query(path, (("a", "1"), ("b", "2 3"))) == expected


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=5))
def test_any_query_pairs_come_out_as_they_went_in(pairs: list[tuple[str, str]]) -> None:
    path = parse("http://h/p", pairs).path
    read = parse_qsl(path.partition("?")[2], keep_blank_values=True, strict_parsing=bool(pairs))
    sendable = [
        (name.encode(errors="replace").decode(), value.encode(errors="replace").decode()) for name, value in pairs
    ]
    assert read == sendable


def parsed_or_message(text: str) -> Target | str:
    try:
        return parse(text)
    except HTTPError as error:
        return error.failure.message


@given(st.text() | st.from_regex(r"https?://.{0,40}", fullmatch=True))
@example("http://\ud800/")
@example("http://\ud800@h/\ud800")
def test_any_text_is_a_target_or_refused(text: str) -> None:
    target = parsed_or_message(text)
    if isinstance(target, str):
        assert target.isprintable()
        return
    assert target.path.startswith("/")
    assert re.fullmatch(r"[\x21-\x7e]+", target.path)
    assert re.fullmatch(r"[A-Za-z0-9._:-]+", target.host)
    assert 0 < target.port < 65536


BASE = parse("http://a/b/c/d;p?q")


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        # RFC 3986 §5.4.1, without those that lead to another scheme
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g/"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q"),
        ("g#s", "http://a/b/c/g"),
        ("g?y#s", "http://a/b/c/g?y"),
        (";x", "http://a/b/c/;x"),
        ("g;x", "http://a/b/c/g;x"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../g", "http://a/g"),
        # §5.4.2
        ("../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        ("..g", "http://a/b/c/..g"),
        ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        # as servers write them
        ("https://a/", "https://a/"),
        ("http://a:81/x", "http://a:81/x"),
        ("//other.example:8080/x", "http://other.example:8080/x"),
        (" /padded\t", "http://a/padded"),
        ("/with space", "http://a/with%20space"),
        ("/h\u00e9", "http://a/h%C3%A9"),
        ("/%2F?q=1+2", "http://a/%2F?q=1+2"),
        ("http://b\u00fccher.example/\u00fc", "http://xn--bcher-kva.example/%C3%BC"),
        ("\nhttp://h/x\r\n", "http://h/x"),
        ("?a b", "http://a/b/c/d;p?a%20b"),
        ("http://h/a/../b/./c", "http://h/b/c"),
        # empty segments, §5.2.3 and §5.2.4
        ("g//h", "http://a/b/c/g//h"),
        ("/g//h/../i", "http://a/g//i"),
        (".//g", "http://a/b/c//g"),
        ("g//..", "http://a/b/c/g/"),
        ("//g//h", "http://g//h"),
    ],
)
def test_a_location_is_resolved(reference: str, expected: str) -> None:
    assert resolve(BASE, reference).url == expected


EMPTY_SEGMENTS = [
    ("http://h/a//b/start", "next", "http://h/a//b/next"),
    ("http://h/a//b/start", "../next", "http://h/a//next"),
    ("http://h/a//b//", "../../next", "http://h/a//next"),
    ("http://h//", "next", "http://h//next"),
    ("http://h//a", "?x", "http://h//a?x"),
    ("http://h/a/b", ".//next", "http://h/a//next"),
    ("http://h/a?p=/x//y/", "next", "http://h/next"),
]


@pytest.mark.parametrize(("base", "reference", "expected"), EMPTY_SEGMENTS)
def test_empty_segments_of_the_base_stay(base: str, reference: str, expected: str) -> None:
    assert resolve(parse(base), reference).url == expected


def _path(chance: random.Random) -> str:
    segments = chance.choices(["", ".", "..", "a", "b;p", "..."], k=chance.randrange(7))
    return "/".join(segments) + chance.choice(["", "?q=/../x"])


@needs_node
def test_node_resolves_the_same() -> None:
    chance = random.Random(3986)
    cases = [(f"http://h/{_path(chance)}", _path(chance)) for _ in range(2_000)]
    cases = [(base, reference) for base, reference in cases if not reference.startswith("//")]
    cases += [(base, reference) for base, reference, _ in EMPTY_SEGMENTS]
    cases += [("http://h/", f"http://h{written}") for written, _ in AS_IN_BROWSERS]
    found = [resolve(resolve(BASE, base), reference).path for base, reference in cases]
    by_node = answers_of_node(
        "cases.map(([base, reference]) => { const u = new URL(reference, base); return u.pathname + u.search; })", cases
    )
    wrong = [(case, ours, theirs) for case, ours, theirs in zip(cases, found, by_node, strict=True) if ours != theirs]
    assert wrong == []


@pytest.mark.parametrize(
    "reference",
    [
        "file:///etc/passwd",
        "ftp://a/",
        "data:,x",
        "http:",
        "http://",
        "mailto:x@y",
        "http://a:0/",
        "//[",
        "//a\u2100b/",
    ],
)
def test_a_location_of_another_kind_is_no_request(reference: str) -> None:
    with pytest.raises(HTTPError) as caught:
        resolve(BASE, reference)
    assert caught.value.failure.code is FailureCode.INVALID_REQUEST


def test_credentials_in_a_location_are_dropped() -> None:
    assert resolve(BASE, "http://evil:word@other/").login is None


@given(st.text())
def test_any_location_leads_somewhere_or_is_refused(reference: str) -> None:
    try:
        target = resolve(BASE, reference)
    except HTTPError:
        return
    assert isinstance(target, Target)
    assert re.fullmatch(r"[\x21-\x7e]+", target.path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://h/a?key=canary", "http://h/a?…"),
        ("http://h/a?key=canary#f", "http://h/a?…"),
        ("http://h/a#canary", "http://h/a#…"),
        ("http://h/a?mail=canary@b", "http://h/a?…"),
        ("http://u:canary@h/a", "http://h/a"),
        ("http://u:can/ary@h/a", "http://h/a"),
        ("http://u:can#ary@h/a", "http://h/a"),
        ("http://u:can?ary@h/a", "http://?…"),
        ("http://u:can@ary@h/a?b", "http://h/a?…"),
        ("http:u:canary@h", "http:h"),
        ("http:/u:canary@h", "http:/h"),
        ("http:///u:canary@h/?q", "http:///h/?…"),
        ("//u:canary@h", "//h"),
        ("u:canary@h", "u:h"),
        ("gopher://u:canary@h/?canary", "gopher://h/?…"),
        ("http://u:canary@h h/?canary", "http://h h/?…"),
        ("?canary", "?…"),
        ("http://h/" + "x" * 200_000 + "?canary", None),
    ],
)
def test_what_is_shown_holds_no_login_and_no_query(text: str, expected: str | None) -> None:
    assert "canary" not in shown(text)
    assert "ary" not in shown(text)
    if expected is not None:
        assert shown(text) == expected


def test_a_target_is_told_without_its_query() -> None:
    assert str(parse("http://u:canary@h/a", [("key", "canary")])) == "http://h/a?…"


def test_what_is_shown_is_printable_and_short() -> None:
    assert shown("http://u:p@h/\r\n\x1b[31m") == "http://h/\\r\\n\\x1b[31m"
    assert len(shown("x" * 10_000)) == 300
