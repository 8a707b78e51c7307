"""The bytes of a request: RFC 9112 §3 and RFC 9110 §7 say what they are, and llhttp reads them back as an independent witness."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser, RawRequestMessage
from hypothesis import given
from hypothesis import strategies as st

from tests.support.flows import requests
from worker.net.http.credentials import BasicCredentials
from worker.net.http.error import HTTPError
from worker.net.http.request import Request, encode, prepare, tls_name
from worker.outcome.failure import FailureCode
from worker.secret import Secret

Headers = tuple[tuple[str, str], ...]

DEFAULTS = (("User-Agent", "someone/1.0"), ("Accept", "*/*"), ("Accept-Encoding", "gzip"))


def test_a_plain_get_is_these_bytes() -> None:
    assert (
        encode(prepare(Request(url="http://example.com/a?b")), DEFAULTS)
        == b"GET /a?b HTTP/1.1\r\nHost: example.com\r\nUser-Agent: someone/1.0\r\nAccept: */*\r\n"
        b"Accept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    )


def test_without_default_headers_nothing_says_who_asks() -> None:
    assert encode(prepare(Request(url="http://h"))) == b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def test_the_authors_fields_stay_as_written_and_ours_step_back() -> None:
    headers = (
        ("hOST", "vhost"),
        ("accept", "x/y"),
        ("User-agent", "mine"),
        ("ACCEPT-ENCODING", "identity"),
        ("X-A", ""),
    )
    request = Request(url="http://example.com/", headers=(*headers, ("connection", "keep-alive"), ("X-a", "two")))
    assert encode(prepare(request), DEFAULTS) == (
        b"GET / HTTP/1.1\r\nhOST: vhost\r\naccept: x/y\r\nUser-agent: mine\r\nACCEPT-ENCODING: identity\r\nX-A: \r\n"
        b"connection: keep-alive\r\nX-a: two\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("request_", "length"),
    [
        (Request(url="http://h", method="POST"), b"Content-Length: 0"),
        (Request(url="http://h", method="PUT"), b"Content-Length: 0"),
        (Request(url="http://h", method="PATCH"), b"Content-Length: 0"),
        (Request(url="http://h", method="DELETE"), None),
        (Request(url="http://h", method="OPTIONS"), None),
        (Request(url="http://h", method="HEAD"), None),
        (Request(url="http://h", method="GET", body=b"12345"), b"Content-Length: 5"),
        (Request(url="http://h", method="GET", body=b""), b"Content-Length: 0"),
    ],
)
def test_content_length_is_sent_where_content_is_expected(request_: Request, length: bytes | None) -> None:
    lines = encode(prepare(request_)).split(b"\r\n")
    assert [line for line in lines if line.lower().startswith(b"content-length")] == ([length] if length else [])


def test_the_body_kinds_type_is_sent_unless_the_author_set_one() -> None:
    kind = Request(url="http://h", method="POST", body=b"{}", content_type="application/json")
    assert b"\r\nContent-Type: application/json\r\n" in encode(prepare(kind))
    own = Request(
        url="http://h", method="POST", body=b"{}", content_type="application/json", headers=(("content-type", "x/y"),)
    )
    assert encode(prepare(own)).lower().count(b"content-type") == 1
    assert b"content-type: x/y\r\n" in encode(prepare(own))


def test_a_chunked_body_that_the_author_asked_for_is_framed_so() -> None:
    request = Request(url="http://h", method="POST", body=b"x" * 26, headers=(("Transfer-Encoding", "chunked"),))
    sent = encode(prepare(request))
    assert sent.endswith(b"\r\n\r\n1a\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n")
    assert b"content-length" not in sent.lower()


def test_credentials_come_from_the_test_then_from_the_url() -> None:
    written = BasicCredentials(username="Aladdin", password=Secret("open sesame"))  # RFC 7617 §2
    for request, expected in (
        (Request(url="http://u:p@h", credentials=written), b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        (Request(url="http://u:p@h"), b"Basic dTpw"),
    ):
        outgoing = prepare(request)
        assert outgoing.credentials is not None
        (sent,) = requests(outgoing.credentials, outgoing)
        assert b"\r\nAuthorization: " + expected + b"\r\n" in encode(sent)


def test_a_cookie_of_the_run_replaces_the_authors_header() -> None:
    outgoing = prepare(Request(url="http://h", headers=(("COOKIE", "a=1"),)))
    assert b"\r\nCOOKIE: a=1\r\n" in encode(outgoing)
    sent = encode(outgoing, cookie="a=1; b=2")
    assert sent.lower().count(b"cookie:") == 1
    assert b"\r\nCookie: a=1; b=2\r\n" in sent


def refused(request: Request) -> FailureCode:
    with pytest.raises(HTTPError) as caught:
        prepare(request)
    assert caught.value.failure.message.isprintable()
    return caught.value.failure.code


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "a\x00b", "a\x7fb", "a\x1bb", "\u20ac", "\ud800"])
def test_a_value_that_no_header_can_carry_is_refused(value: str) -> None:
    assert refused(Request(url="http://h", headers=(("X", value),))) is FailureCode.INVALID_CHAR_IN_HEADER
    assert refused(Request(url="http://h", body=b"", content_type=value)) is FailureCode.INVALID_CHAR_IN_HEADER


@pytest.mark.parametrize("name", ["", "a b", "a:", ":a", "a\r\nb", "é", "a\x00", "(a)", "a/b", "[a]"])
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    assert refused(Request(url="http://h", headers=((name, "v"),))) is FailureCode.INVALID_CHAR_IN_HEADER


def test_what_lies_between_ascii_and_u00ff_is_sent_as_one_byte() -> None:
    assert b"\r\nX: \xe9\xff\r\n" in encode(prepare(Request(url="http://h", headers=(("X", "\u00e9\u00ff"),))))


@pytest.mark.parametrize("method", ["", "G ET", "GET\r\n", "GET / HTTP/1.1\r\nX: ", "CONNECT", "connect", "É"])
def test_a_method_that_is_none_is_refused(method: str) -> None:
    assert refused(Request(url="http://h", method=method)) is FailureCode.INVALID_REQUEST


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ((("Content-Length", "5"),), b"123", FailureCode.HEADERS_INCOMPATIBLE_CONTENT_LENGTH),
        ((("content-length", "5"),), None, FailureCode.HEADERS_INCOMPATIBLE_CONTENT_LENGTH),
        ((("Content-Length", "3"), ("Content-Length", "4")), b"123", FailureCode.INVALID_REQUEST),
        ((("Content-Length", "-3"),), b"123", FailureCode.HEADERS_INCOMPATIBLE_CONTENT_LENGTH),
        (
            (("Content-Length", "3"), ("Transfer-Encoding", "chunked")),
            b"123",
            FailureCode.HEADERS_INCOMPATIBLE_CONTENT_LENGTH,
        ),
        ((("Transfer-Encoding", "gzip"),), b"123", FailureCode.INVALID_REQUEST),
        ((("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")), b"1", FailureCode.INVALID_REQUEST),
        ((("Host", "a"), ("host", "b")), None, FailureCode.INVALID_REQUEST),
    ],
)
def test_a_request_that_two_servers_could_frame_differently_is_refused(
    headers: Headers, body: bytes | None, code: FailureCode
) -> None:
    assert refused(Request(url="http://h", method="POST", headers=headers, body=body)) is code


@pytest.mark.parametrize(
    ("host_header", "name"),
    [
        (None, "10.0.0.1"),
        ("app.internal", "app.internal"),
        ("APP.internal:8443", "app.internal"),
        ("[::1]:80", "10.0.0.1"),
        ("not a host", "10.0.0.1"),
        ("", "10.0.0.1"),
    ],
)
def test_the_certificate_must_name_the_host_that_is_asked_for(host_header: str | None, name: str) -> None:
    headers = () if host_header is None else (("Host", host_header),)
    assert tls_name(prepare(Request(url="https://10.0.0.1/", headers=headers))) == name


class Unpaced:
    def pause_reading(self) -> None: ...

    def resume_reading(self, *, resume_parser: bool = True) -> None: ...


def read_back(sent: bytes, loop: asyncio.AbstractEventLoop) -> tuple[RawRequestMessage, bytes]:
    """Exactly one request, by the parser that servers use, and its body."""
    parser = HttpRequestParser(cast("BaseProtocol", Unpaced()), loop, 1 << 20)
    ((message, payload),), upgraded, tail = parser.feed_data(sent)
    assert not upgraded
    assert tail == b""
    assert payload.is_eof()
    return message, payload.read_nowait()


@given(
    headers=st.lists(st.tuples(st.text(max_size=8), st.text(max_size=20)), max_size=4),
    body=st.none() | st.binary(max_size=50),
    chunked=st.booleans(),
)
def test_whatever_is_sent_is_read_as_one_request_with_that_body(
    loop: asyncio.AbstractEventLoop, headers: list[tuple[str, str]], body: bytes | None, chunked: bool
) -> None:
    fields = (*headers, ("Transfer-Encoding", "chunked")) if chunked else tuple(headers)
    try:
        outgoing = prepare(Request(url="http://h/x", method="POST", headers=fields, body=body))
    except HTTPError:
        return
    message, received = read_back(encode(outgoing), loop)
    assert (message.method, message.path, received) == ("POST", "/x", body or b"")
    assert [name.decode("latin-1") for name, _ in message.raw_headers][: 1 + len(fields)] == (
        ["Host", *(name for name, _ in fields)]
    )


@pytest.mark.parametrize("blank", ["\u00a0", "\u0085", "\x0b", "\x0c", "\x1c", "\u2003"])
@pytest.mark.parametrize(("name", "value"), [("Transfer-Encoding", "chunked"), ("Content-Length", "1")])
@pytest.mark.parametrize("before", [True, False])
def test_only_spaces_and_tabs_surround_what_frames_a_request(name: str, value: str, blank: str, before: bool) -> None:
    written = blank + value if before else value + blank
    with pytest.raises(HTTPError):
        prepare(Request(url="http://h", method="POST", body=b"x", headers=((name, written),)))


@pytest.mark.parametrize(("name", "value"), [("Transfer-Encoding", "chunked"), ("Content-Length", "1")])
def test_spaces_and_tabs_may_surround_what_frames_a_request(name: str, value: str) -> None:
    prepare(Request(url="http://h", method="POST", body=b"x", headers=((name, f" \t{value}\t "),)))
