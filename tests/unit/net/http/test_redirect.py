"""Changes by a redirect: RFC 9110 §15.4, and what must not reach another origin."""

from __future__ import annotations

import pytest

from tests.support.flows import authorization, requests
from worker.net.http.credentials import BasicCredentials
from worker.net.http.outgoing import Outgoing
from worker.net.http.redirect import is_redirect, method_after, next_hop
from worker.net.http.request import Request, encode, prepare
from worker.net.http.url import parse
from worker.secret import Secret


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_these_are_followed(status: int) -> None:
    assert is_redirect(status)


@pytest.mark.parametrize("status", [200, 201, 300, 304, 305, 306, 399, 400])
def test_these_are_not(status: int) -> None:
    assert not is_redirect(status)


@pytest.mark.parametrize(
    ("status", "before", "after"),
    [
        *((status, method, method) for status in (307, 308) for method in ("GET", "HEAD", "POST", "PUT", "DELETE")),
        *((303, method, "GET") for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")),
        (303, "HEAD", "HEAD"),
        *((status, "POST", "GET") for status in (301, 302)),
        *((status, method, method) for status in (301, 302) for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE")),
    ],
)
def test_the_method_of_the_next_hop(status: int, before: str, after: str) -> None:
    assert method_after(status, before) == after


def sent(url: str = "http://a/1") -> Outgoing:
    headers = (
        ("Authorization", "Bearer t"),
        ("COOKIE", "c=1"),
        ("Proxy-Authorization", "p"),
        ("Host", "vhost"),
        ("X-Kept", "k"),
        ("Content-Encoding", "gzip"),
        ("Content-Length", "4"),
    )
    return prepare(
        Request(
            url=url,
            method="POST",
            headers=headers,
            body=b"body",
            content_type="text/plain",
            credentials=BasicCredentials(username="u", password=Secret("p")),
        )
    )


def test_the_same_origin_gets_all_of_it_again() -> None:
    hop = next_hop(sent(), 308, parse("http://A:80/2"))
    assert hop.target.path == "/2"
    assert (hop.method, hop.headers, hop.body, hop.credentials) == (
        "POST",
        sent().headers,
        b"body",
        sent().credentials,
    )


OF_THE_BODY = ["Content-Encoding", "Content-Length"]


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ("http://a/1", "http://b/2", OF_THE_BODY),
        ("http://a/1", "http://a./2", OF_THE_BODY),
        ("http://a/1", "http://x.a/2", OF_THE_BODY),
        ("http://a/1", "https://b/2", OF_THE_BODY),
        ("https://a/1", "https://b/2", OF_THE_BODY),
        ("https://a/1", "http://a/2", OF_THE_BODY),
        ("https://a/1", "http://a:443/2", OF_THE_BODY),
        ("http://a/1", "https://a/2", ["X-Kept", *OF_THE_BODY]),
        ("http://a/1", "https://A:8443/2", ["X-Kept", *OF_THE_BODY]),
        ("http://a/1", "http://a:81/2", ["X-Kept", *OF_THE_BODY]),
        ("https://a/1", "https://a:81/2", ["X-Kept", *OF_THE_BODY]),
    ],
)
def test_another_origin_gets_no_secrets_and_another_host_nothing_set_by_name(
    before: str, after: str, kept: list[str]
) -> None:
    hop = next_hop(sent(before), 307, parse(after))
    assert hop.credentials is None
    assert [name for name, _ in hop.headers] == kept
    everywhere = next_hop(sent(before), 307, parse(after), headers_to_all_hosts=True)
    assert [name for name, _ in everywhere.headers] == ["X-Kept", *OF_THE_BODY]
    wire = encode(hop)
    assert b"authorization" not in wire.lower()
    assert b"\r\nHost: " + hop.target.authority.encode() + b"\r\n" in wire
    assert wire.endswith(b"\r\n\r\nbody")


def test_secrets_do_not_come_back_on_the_way_back() -> None:
    there = next_hop(sent(), 307, parse("http://b/2"))
    back = next_hop(there, 307, parse("http://a/3"))
    assert back.credentials is None
    assert [name for name, _ in back.headers] == OF_THE_BODY


def test_a_name_that_the_author_gave_the_client_goes_with_the_rest() -> None:
    """User-Agent may hold a key like any other; ours takes its place."""
    start = prepare(Request(url="http://a/1", headers=(("User-Agent", "agent key"), ("X-Api-Key", "k"))))
    wire = encode(next_hop(start, 302, parse("http://b/2")), (("User-Agent", "ours"),))
    assert b"key" not in wire.lower()
    assert b"\r\nUser-Agent: ours\r\n" in wire


def test_the_representation_that_the_author_wants_is_asked_for_everywhere() -> None:
    wanted = (("Accept", "application/json"), ("Accept-Language", "nl"), ("accept-encoding", "identity"))
    start = prepare(Request(url="https://a/1", headers=(("X-Api-Key", "k"), *wanted)))
    assert next_hop(start, 302, parse("http://b/2")).headers == wanted


def test_a_get_in_place_of_a_post_says_nothing_of_the_body() -> None:
    hop = next_hop(sent(), 303, parse("http://a/2"))
    assert (hop.method, hop.body, hop.content_type) == ("GET", None, None)
    assert b"content-" not in encode(hop).lower()


def test_credentials_in_the_first_url_are_for_its_origin_only() -> None:
    start = prepare(Request(url="http://u:p@a/1"))
    same = next_hop(start, 302, parse("http://a/2"))
    assert same.credentials is not None
    assert [authorization(sent) for sent in requests(same.credentials, same)] == ["Basic dTpw"]
    assert next_hop(start, 302, parse("http://b/2")).credentials is None


def test_what_credentials_made_for_one_exchange_is_in_no_other() -> None:
    start = prepare(Request(url="http://u:p@a/1"))
    assert start.credentials is not None
    (first,) = requests(start.credentials, start)
    assert b"\r\nAuthorization: Basic dTpw\r\n" in encode(first)
    assert b"Authorization" not in encode(next_hop(first, 302, parse("http://a/2")))
    assert b"Authorization" not in encode(next_hop(first, 302, parse("http://b/2")))
