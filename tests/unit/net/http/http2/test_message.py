"""A request as HTTP/2's fields (RFC 9113 §8.3.1): what is written, what is ours, and what cannot be said in HTTP/2."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.net.http.http2.message import request_fields
from worker.net.http.request import Request, encode, prepare

NAMES = ("Host", "X-One", "x-two", "Accept", "USER-AGENT", "Connection", "Content-Type", "Cookie")
REQUESTS = st.builds(
    Request,
    url=st.sampled_from(["https://h/", "https://h:8443/a?b=%20c", "https://[::1]/"]),
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    headers=st.dictionaries(
        st.sampled_from(NAMES), st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)), max_size=5
    ).map(lambda fields: tuple(fields.items())),
    body=st.none() | st.binary(max_size=20),
)
DEFAULTS = (("User-Agent", "someone/1.0"), ("Accept", "*/*"))


def fields_of(request: Request, cookie: str | None = None) -> list[tuple[bytes, bytes]]:
    return request_fields(prepare(request), DEFAULTS, cookie)


def test_a_plain_get_is_these_fields() -> None:
    assert fields_of(Request(url="https://example.com:8443/a?b")) == [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"example.com:8443"),
        (b":path", b"/a?b"),
        (b"user-agent", b"someone/1.0"),
        (b"accept", b"*/*"),
    ]


def test_the_authors_host_is_the_authority_and_the_rest_is_in_lower_case_and_without_space_around() -> None:
    headers = (("Host", " vhost "), ("X-Odd", "  a b "), ("ACCEPT", "text/plain"), ("x-odd", "M\xfc"))
    assert fields_of(Request(url="https://example.com/", headers=headers))[2:] == [
        (b":authority", b"vhost"),
        (b":path", b"/"),
        (b"x-odd", b"a b"),
        (b"accept", b"text/plain"),
        (b"x-odd", b"M\xfc"),
        (b"user-agent", b"someone/1.0"),
    ]


def test_fields_of_a_connection_are_left_out() -> None:
    headers = (
        *(("Connection", "keep-alive, X"), ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive")),
        *(("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__"), ("TE", "gzip"), ("X", "kept")),
    )
    names = [name for name, _ in fields_of(Request(url="https://h/", headers=headers))]
    assert names == [b":method", b":scheme", b":authority", b":path", b"x", b"user-agent", b"accept"]


def test_trailers_may_be_asked_for() -> None:
    assert (b"te", b"trailers") in fields_of(Request(url="https://h/", headers=(("TE", "trailers"),)))


def test_a_body_has_a_length_unless_its_author_wanted_it_in_chunks() -> None:
    request = Request(url="https://h/", method="POST", body=b"hello", content_type="text/plain")
    assert fields_of(request)[-2:] == [(b"content-type", b"text/plain"), (b"content-length", b"5")]
    chunked = Request(url="https://h/", method="POST", body=b"hello", headers=(("Transfer-Encoding", "chunked"),))
    assert not {b"content-length", b"transfer-encoding"} & {name for name, _ in fields_of(chunked)}


def test_cookies_of_the_run_take_the_place_of_the_authors() -> None:
    fields = fields_of(Request(url="https://h/", headers=(("Cookie", "a=1"),)), "a=1; b=2")
    assert [value for name, value in fields if name == b"cookie"] == [b"a=1; b=2"]


@given(REQUESTS)
def test_both_versions_say_the_same_of_a_request(request: Request) -> None:
    outgoing = prepare(request)
    head = encode(outgoing, DEFAULTS).split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    lines = [(name.lower(), value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in head)]
    spoken = [field for field in request_fields(outgoing, DEFAULTS) if not field[0].startswith(b":")]
    assert spoken == [field for field in lines if field[0] not in (b"host", b"connection", b"transfer-encoding")]
