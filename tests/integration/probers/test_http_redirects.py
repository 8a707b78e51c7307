"""Redirects followed hop by hop against real servers: RFC 9110 §15.4, a row of phases each, nothing secret for strangers."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from tests.support.servers.door import loopback_door
from tests.support.servers.http import Seen, Server, read_request, reply, serving
from worker.apitest.authentication import BasicAuth
from worker.apitest.observation import Observation
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.responses.http import HTTPResponse
from worker.clock import SystemClock
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.outcome.failure import FailureCode
from worker.probers.http import probe
from worker.probers.limits import ProbeLimits
from worker.secret import Secret

LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=10_000))


async def run(request: HTTPRequest, door: Door) -> Observation:
    return await probe(request, door, SystemClock(), LIMITS)


def response_of(observation: Observation) -> HTTPResponse:
    assert observation.failure is None
    assert isinstance(observation.response, HTTPResponse)
    return observation.response


def phase_names(observation: Observation) -> list[str]:
    return [name for name, _ in observation.timings.tenths]


def redirect(location: str, *, status: int = 302, headers: tuple[str, ...] = ()) -> bytes:
    return reply(b"moved", status=f"{status} Moved", headers=(f"Location: {location}", *headers))


async def test_a_redirect_is_followed_with_one_row_of_phases_a_hop(door: Door) -> None:
    def answer(seen: Seen) -> bytes:
        if seen.target == "/old":
            return reply(status="302 Found", headers=("Location: /new",))
        return reply(b"arrived")

    async with serving(answer) as server:
        observation = await run(HTTPRequest(url=server.url("/old"), follow_redirects=True), door)
    response = response_of(observation)
    assert response.body == b"arrived"
    assert [(hop.status, hop.url) for hop in response.hops] == [(302, server.url("/old")), (200, server.url("/new"))]
    assert phase_names(observation) == ["redirect", "tcp", "firstByte", "download"]
    assert observation.timings.tenths[0][1] == response.hops[0].timings.total_tenths
    assert observation.timings.total_tenths == sum(hop.timings.total_tenths for hop in response.hops)


async def test_a_redirect_is_an_answer_like_any_other_unless_it_is_to_be_followed(door: Door) -> None:
    async with serving(reply(status="302 Found", headers=("Location: /new",))) as server:
        observation = await run(HTTPRequest(url=server.url()), door)
    assert response_of(observation).status == 302
    assert server.connections == 1


async def test_a_redirect_without_a_location_is_the_answer(door: Door) -> None:
    async with serving(reply(status="302 Found")) as server:
        observation = await run(HTTPRequest(url=server.url(), follow_redirects=True), door)
    assert response_of(observation).status == 302


@pytest.mark.parametrize("status", [300, 304, 305])
async def test_other_codes_are_not_followed(door: Door, status: int) -> None:
    async with serving(redirect("/x", status=status)) as server:
        await run(HTTPRequest(url=server.url(), follow_redirects=True), door)
    assert server.connections == 1


@pytest.mark.parametrize(("count", "fails"), [(10, False), (11, True)])
async def test_ten_redirects_are_followed_and_no_more(door: Door, count: int, fails: bool) -> None:
    def answer(seen: Seen) -> bytes:
        step = int(seen.target[1:])
        return redirect(f"/{step + 1}") if step < count else reply(b"end")

    async with serving(answer) as server:
        observation = await run(HTTPRequest(url=server.url("/0"), follow_redirects=True), door)
    assert server.connections == 11
    assert isinstance(observation.response, HTTPResponse)
    assert len(observation.response.hops) == 11
    assert observation.response.status == (302 if fails else 200)
    if fails:
        assert observation.failure is not None
        assert observation.failure.code is FailureCode.TOO_MANY_REDIRECTS
        assert "/11" in observation.failure.message
    else:
        assert observation.failure is None


async def test_a_loop_ends_like_any_other_chain(door: Door) -> None:
    async with serving(redirect("/")) as server:
        observation = await run(HTTPRequest(url=server.url(), follow_redirects=True), door)
    assert observation.failure is not None
    assert observation.failure.code is FailureCode.TOO_MANY_REDIRECTS


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [(301, "GET", b""), (302, "GET", b""), (303, "GET", b""), (307, "POST", b"data"), (308, "POST", b"data")],
)
async def test_a_post_is_repeated_only_where_the_code_says_so(
    door: Door, status: int, method: str, body: bytes
) -> None:
    async with serving(lambda seen: redirect("/2", status=status) if seen.target == "/1" else reply()) as server:
        request = HTTPRequest(
            url=server.url("/1"), method="POST", body=b"data", content_type="text/plain", follow_redirects=True
        )
        response_of(await run(request, door))
    second = server.seen[1]
    assert (second.method, second.target, second.body) == (method, "/2", body)
    assert (second.header("Content-Type") is None) == (method == "GET")


async def test_another_origin_hears_no_secrets(door: Door) -> None:
    async with serving(reply()) as other, serving(redirect(other.url("/there"))) as server:
        request = HTTPRequest(
            url=server.url(),
            headers=(("Cookie", "a=1"), ("Authorization", "Bearer x"), ("X-Kept", "yes"), ("Host", "vhost")),
            authentication=BasicAuth(username="u", password=Secret("p")),
            follow_redirects=True,
        )
        response_of(await run(request, door))
    assert {"cookie", "authorization"} <= set(server.seen[0].names())
    assert not {"cookie", "authorization"} & set(other.seen[0].names())
    assert other.seen[0].header("X-Kept") == "yes"
    assert other.seen[0].header("Host") == f"127.0.0.1:{other.port}"


@pytest.mark.parametrize("everywhere", [False, True])
async def test_headers_that_a_test_set_do_not_follow_from_tls_to_plain_http(
    door: Door, server_tls: ssl.SSLContext, everywhere: bool
) -> None:
    limits = ProbeLimits(http=HTTPLimits(max_body_bytes=10_000, headers_to_all_hosts=everywhere))
    async with serving(reply()) as plain, serving(redirect(plain.url()), tls=server_tls) as secure:
        request = HTTPRequest(url=secure.url(), headers=(("X-Api-Key", "k"),), follow_redirects=True)
        response_of(await probe(request, door, SystemClock(), limits))
    assert secure.seen[0].header("X-Api-Key") == "k"
    assert plain.seen[0].header("X-Api-Key") == ("k" if everywhere else None)


async def test_the_way_from_tls_to_plain_http_is_followed_and_shows_no_ssl_phase(
    door: Door, server_tls: ssl.SSLContext
) -> None:
    async with serving(reply(b"plain")) as plain, serving(redirect(plain.url()), tls=server_tls) as secure:
        observation = await run(HTTPRequest(url=secure.url(), follow_redirects=True), door)
    assert response_of(observation).body == b"plain"
    assert phase_names(observation) == ["redirect", "tcp", "firstByte", "download"]
    assert [name for name, _ in response_of(observation).hops[0].timings.tenths] == [
        "tcp",
        "ssl",
        "firstByte",
        "download",
    ]


@pytest.mark.parametrize(
    "location", ["//127.0.0.1:{port}/end", "http://someone:else@127.0.0.1:{port}/end", "../end", "?/../end"]
)
async def test_locations_as_servers_write_them(door: Door, location: str) -> None:
    def answer(seen: Seen) -> bytes:
        return redirect(location.format(port=server.port)) if seen.target == "/a/b" else reply(b"end")

    async with serving(answer) as server:
        observation = await run(HTTPRequest(url=server.url("/a/b"), follow_redirects=True), door)
    assert response_of(observation).body == b"end"
    assert "authorization" not in server.seen[1].names()
    assert "someone" not in response_of(observation).url


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/", "file:///etc/passwd", "http://", "javascript:alert(1)"])
async def test_a_location_that_is_no_http_url_is_an_invalid_request(door: Door, location: str) -> None:
    async with serving(redirect(location)) as server:
        observation = await run(HTTPRequest(url=server.url(), follow_redirects=True), door)
    assert observation.failure is not None
    assert observation.failure.code is FailureCode.INVALID_REQUEST
    assert observation.failure.message.startswith(server.url())
    assert isinstance(observation.response, HTTPResponse)
    assert observation.response.status == 302
    assert observation.timings == observation.response.hops[0].timings


async def test_a_redirect_into_denied_space_is_denied_and_never_connected_to() -> None:
    narrow = loopback_door(allow=("127.0.0.1/32",))
    async with serving(reply()) as forbidden:
        inside = forbidden.url().replace("127.0.0.1", "127.0.0.2")
        async with serving(redirect(inside)) as server:
            observation = await run(HTTPRequest(url=server.url(), follow_redirects=True), narrow)
    assert observation.failure is not None
    assert observation.failure.code is FailureCode.DENIED
    assert "(redirect 1)" in observation.failure.message
    assert forbidden.connections == 0
    assert phase_names(observation) == ["redirect"]


async def test_cookies_that_a_redirect_set_come_along_in_this_run_only(door: Door) -> None:
    def answer(seen: Seen) -> bytes:
        if seen.target == "/login":
            return redirect("/home", headers=("Set-Cookie: session=abc; HttpOnly", "Set-Cookie: gone=1; Max-Age=0"))
        return reply((seen.header("Cookie") or "none").encode())

    async with serving(answer) as server:
        request = HTTPRequest(url=server.url("/login"), headers=(("Cookie", "own=1"),), follow_redirects=True)
        assert response_of(await run(request, door)).body == b"own=1; session=abc"
        assert response_of(await run(HTTPRequest(url=server.url("/home")), door)).body == b"none"


async def test_time_runs_over_all_hops_and_what_was_finished_is_reported(door: Door) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = await read_request(reader)
        if seen.target == "/slow":
            await asyncio.sleep(3600)
        await asyncio.sleep(0.1)
        writer.write(redirect("/slow"))
        await reader.read()

    async with Server(conversation=converse) as server:
        observation = await run(HTTPRequest(url=server.url("/"), follow_redirects=True, timeout=0.3), door)
    assert observation.failure is not None
    assert observation.failure.code is FailureCode.TIMEOUT
    assert f"{server.url('/slow')} (redirect 1)" in observation.failure.message
    assert phase_names(observation) == ["redirect", "tcp"]
    assert observation.timings.tenths[0][1] >= 990


async def test_the_body_of_a_redirect_is_bounded_too(door: Door) -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 10001\r\n\r\n"
    async with serving(answer) as server:
        observation = await run(HTTPRequest(url=server.url(), follow_redirects=True), door)
    assert observation.failure is not None
    assert observation.failure.code is FailureCode.BODY_TOO_LARGE


@pytest.mark.parametrize("value", ["☃", "🌙", "5€", "日本語", "é", "voilà"])
@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
async def test_a_cookie_comes_back_in_the_octets_in_which_it_was_set(value: str, charset: str, door: Door) -> None:
    octets = b"k=" + value.encode(charset, "replace")

    def answer(seen: Seen) -> bytes:
        if seen.target == "/":
            return redirect("/next").replace(b"Location", b"Set-Cookie: " + octets + b"\r\nLocation")
        return reply((seen.header("cookie") or "").encode("latin-1"))

    async with serving(answer) as server:
        observation = await run(HTTPRequest(url=server.url("/"), follow_redirects=True), door)
    assert response_of(observation).body == octets
