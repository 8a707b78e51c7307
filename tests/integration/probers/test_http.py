"""Ordinary HTTP against a real server on loopback; expectations are those of RFC 9110 and RFC 9112."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import pytest

from tests.servers.http import Seen, reply, serving
from worker.apitest.failure import FailureCode
from worker.apitest.observation import HTTPResponse, Observation
from worker.apitest.request import BasicAuth, HTTPRequest
from worker.clock import SystemClock
from worker.net.door import Door
from worker.probers.http import HTTPLimits, probe
from worker.secret import Secret

LIMITS = HTTPLimits(max_body_bytes=1_000_000)


async def run(request: HTTPRequest, door: Door) -> Observation:
    return await probe(request, door, SystemClock(), LIMITS)


def response_of(observation: Observation) -> HTTPResponse:
    assert observation.failure is None
    assert isinstance(observation.response, HTTPResponse)
    return observation.response


def phase_names(observation: Observation) -> Sequence[str]:
    return [name for name, _ in observation.timings.tenths]


async def test_a_get_yields_status_headers_body_and_phases(door: Door) -> None:
    answer = reply(b"hello", headers=("Content-Type: text/plain", "X-Two: 1", "x-two: 2"))
    async with serving(answer) as server:
        observation = await run(HTTPRequest(url=server.url("/greeting?to=you")), door)
    response = response_of(observation)
    assert (response.status, response.http_version, response.body) == (200, "1.1", b"hello")
    assert response.headers == (
        ("Content-Type", "text/plain"),
        ("X-Two", "1"),
        ("x-two", "2"),
        ("Content-Length", "5"),
    )
    assert server.seen[0].method == "GET"
    assert server.seen[0].target == "/greeting?to=you"
    assert phase_names(observation) == ["tcp", "firstByte", "download"]
    assert observation.timings.as_json()["total"] == pytest.approx(sum(t for _, t in observation.timings.tenths) / 10)
    assert observation.resolution is not None
    assert (observation.resolution.address, observation.resolution.port) == ("127.0.0.1", server.port)


async def test_tls_is_a_phase_of_its_own(door: Door, server_tls: ssl.SSLContext) -> None:
    async with serving(reply(b"safe"), tls=server_tls) as server:
        observation = await run(HTTPRequest(url=server.url()), door)
    assert response_of(observation).body == b"safe"
    assert phase_names(observation) == ["tcp", "ssl", "firstByte", "download"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "GET"])
async def test_every_method_carries_a_body_with_its_length_and_type(door: Door, method: str) -> None:
    async with serving(lambda seen: reply(seen.body)) as server:
        request = HTTPRequest(url=server.url(), method=method, body=b'{"a":1}', content_type="application/json")
        observation = await run(request, door)
    assert response_of(observation).body == b'{"a":1}'
    seen = server.seen[0]
    assert (seen.method, seen.header("Content-Length"), seen.header("Content-Type")) == (
        method,
        "7",
        "application/json",
    )


async def test_basic_credentials_are_sent_in_utf8(door: Door) -> None:
    async with serving(reply()) as server:
        auth = BasicAuth(username="test", password=Secret("123£"))
        await run(HTTPRequest(url=server.url(), basic_auth=auth), door)
    assert server.seen[0].header("Authorization") == "Basic dGVzdDoxMjPCow=="  # the example of RFC 7617 §2.1


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


async def test_a_refused_connection_is_a_failure_with_its_code_and_the_url(door: Door) -> None:
    async with serving(reply()) as server:
        url = server.url("/secret?x=1")
    observation = await run(HTTPRequest(url=url.replace("//", "//user:pass@")), door)
    assert observation.failure is not None
    assert observation.failure.code is FailureCode.CONNREFUSED
    assert url in observation.failure.message
    assert "pass" not in observation.failure.message
