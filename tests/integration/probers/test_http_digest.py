"""Digest against a server that checks as its RFC says, which curl gets past as well."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.peers import peer
from tests.support.servers.digest import DigestGate
from tests.support.servers.http import Seen, reply, serving
from worker.apitest.authentication import DigestAuth
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

LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=100_000))
MUFASA = DigestAuth(username="Mufasa", password=Secret("Circle of Life"))
GATES: list[dict[str, Any]] = [
    {"algorithm": "SHA-256"},
    {"algorithm": "MD5"},
    {"algorithm": None},
    {"algorithm": "MD5-sess"},
    {"algorithm": "SHA-256-sess", "opaque": "0p/="},
    {"algorithm": "MD5", "qop": None},
    {"qop": "auth,auth-int"},
    {"before": 'Basic realm="a, b", Negotiate, '},
]


async def run(door: Door, url: str, auth: DigestAuth = MUFASA, **members: Any) -> Observation:
    return await probe(HTTPRequest(url=url, authentication=auth, **members), door, SystemClock(), LIMITS)


def status(observation: Observation) -> int:
    assert isinstance(observation.response, HTTPResponse), observation.failure
    return observation.response.status


@pytest.mark.parametrize("options", GATES, ids=str)
async def test_the_password_opens_and_another_does_not(door: Door, options: dict[str, Any]) -> None:
    gate = DigestGate(**options)
    async with serving(gate) as server:
        url = server.url("/dir/index.html?a=b&c")
        assert status(await run(door, url)) == 200
        assert status(await run(door, url, DigestAuth(username="Mufasa", password=Secret("circle")))) == 401
    assert (gate.accepted, len(server.seen)) == (1, 4)


@pytest.mark.parametrize("options", GATES, ids=str)
async def test_curl_is_let_in_by_the_same_server(options: dict[str, Any]) -> None:
    gate = DigestGate(**options)
    async with serving(gate) as server:
        arguments = ("--silent", "--digest", "--user", "Mufasa:Circle of Life", server.url("/dir/index.html?a=b&c"))
        process = await asyncio.create_subprocess_exec(peer("curl"), *arguments, stdout=asyncio.subprocess.PIPE)
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert (output, gate.accepted) == (b"in", 1)


async def test_a_body_is_covered_where_the_server_wants_it(door: Door) -> None:
    gate = DigestGate(qop="auth-int")
    async with serving(gate) as server:
        assert status(await run(door, server.url(), method="POST", body=b'{"a": 1}')) == 200
    assert [seen.body for seen in server.seen] == [b'{"a": 1}', b'{"a": 1}']
    assert gate.fields[0]["qop"] == "auth-int"


async def test_a_stale_nonce_costs_one_more_round(door: Door) -> None:
    gate = DigestGate(stale=1)
    async with serving(gate) as server:
        assert status(await run(door, server.url())) == 200
    assert len(server.seen) == 3


async def test_the_rounds_before_the_last_are_one_phase_and_no_hops(door: Door) -> None:
    async with serving(DigestGate()) as server:
        observation = await run(door, server.url())
    assert [name for name, _ in observation.timings.tenths] == ["authentication", "tcp", "firstByte", "download"]
    assert isinstance(observation.response, HTTPResponse)
    (hop,) = observation.response.hops
    assert (hop.status, hop.timings) == (200, observation.timings)


async def test_no_round_goes_beyond_the_tests_time(door: Door) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if server.connections == 1:
            writer.write(DigestGate()(Seen(method="GET", target="/", version="", headers=(), body=b"")))
            return
        await reader.read()

    async with serving(b"") as server:
        server.conversation = converse
        observation = await run(door, server.url(), timeout=0.2)
    assert observation.failure is not None
    assert observation.failure.code is FailureCode.TIMEOUT
    assert server.connections == 2


async def test_a_cookie_of_the_challenge_comes_back(door: Door) -> None:
    gate = DigestGate()

    def answer(seen: Seen) -> bytes:
        return gate(seen).replace(b"\r\n", b"\r\nSet-Cookie: node=7\r\n", 1)

    async with serving(answer) as server:
        assert status(await run(door, server.url())) == 200
    assert [seen.header("Cookie") for seen in server.seen] == [None, "node=7"]


async def test_another_origins_challenge_is_not_answered(door: Door) -> None:
    elsewhere = DigestGate()
    async with serving(elsewhere) as other:

        def moved(seen: Seen) -> bytes:
            return reply(status="302 Found", headers=(f"Location: {other.url()}",))

        async with serving(moved) as server:
            assert status(await run(door, server.url(), follow_redirects=True)) == 401
    assert (len(other.seen), elsewhere.fields) == (1, [])


async def test_the_same_origin_is_answered_on_every_hop(door: Door) -> None:
    gate = DigestGate()

    def answer(seen: Seen) -> bytes:
        got = gate(seen)
        if seen.target == "/2" or b" 200 " not in got:
            return got
        return reply(status="302 Found", headers=("Location: /2",))

    async with serving(answer) as server:
        observation = await run(door, server.url("/1"), follow_redirects=True)
    assert status(observation) == 200
    assert [seen.target for seen in server.seen] == ["/1", "/1", "/2", "/2"]
