"""Access tokens through the door: a token endpoint and a target on loopback."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.servers.door import loopback_door
from tests.support.servers.http import Seen, reply, serving
from worker.apitest.authentication import OAuth
from worker.apitest.observation import Observation
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.responses.http import HTTPResponse
from worker.clock import SystemClock
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.outcome.failure import FailureCode
from worker.probers.http import probe
from worker.probers.identification import Identification
from worker.probers.limits import ProbeLimits
from worker.secret import Secret

CANARY = "canary5ecret"
LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=100_000), identification=Identification("someone/1"))
ISSUED = reply(b'{"access_token": "t0ken", "token_type": "Bearer"}', headers=("Content-Type: application/json",))


async def run(door: Door, url: str, token_url: str, **members: Any) -> Observation:
    auth = OAuth(token_url=token_url, client_in="header", client_id="shop", client_secret=Secret(CANARY))
    return await probe(HTTPRequest(url=url, authentication=auth, **members), door, SystemClock(), LIMITS)


async def test_a_token_is_asked_for_in_each_run_and_sent(door: Door) -> None:
    async with serving(ISSUED) as issuer, serving(reply(b"in")) as target:
        observations = [await run(door, target.url(), issuer.url("/token")) for _ in range(2)]
    assert [seen.header("Authorization") for seen in target.seen] == ["Bearer t0ken"] * 2
    assert [seen.method for seen in issuer.seen] == ["POST", "POST"]
    asked = issuer.seen[0]
    assert asked.names() == [
        "host",
        "accept",
        "accept-encoding",
        "user-agent",
        "connection",
        "content-type",
        "content-length",
        "authorization",
    ]
    assert asked.header("User-Agent") == "someone/1"
    for observation in observations:
        assert isinstance(observation.response, HTTPResponse)
        assert observation.response.body == b"in"
        assert [hop.url for hop in observation.response.hops] == [target.url()]
        assert [name for name, _ in observation.timings.tenths] == ["authentication", "tcp", "firstByte", "download"]
        assert observation.resolution is not None
        assert observation.resolution.port == target.port


async def test_a_redirect_within_the_origin_keeps_the_token_and_another_origin_gets_none(door: Door) -> None:
    async with serving(ISSUED) as issuer, serving(reply(b"there")) as other:

        def answer(seen: Seen) -> bytes:
            where = "/2" if seen.target == "/1" else other.url()
            return reply(status="307 Temporary Redirect", headers=(f"Location: {where}",))

        async with serving(answer) as target:
            observation = await run(door, target.url("/1"), issuer.url(), follow_redirects=True)
    assert observation.failure is None
    assert [seen.header("Authorization") for seen in target.seen] == ["Bearer t0ken", "Bearer t0ken"]
    assert other.seen[0].header("Authorization") is None
    assert len(issuer.seen) == 1


async def test_a_refusal_of_the_issuer_ends_the_run_before_the_target_is_asked(door: Door) -> None:
    refusal = reply(b'{"error": "invalid_client"}', status="401 Unauthorized")
    async with serving(refusal) as issuer, serving(reply()) as target:
        observation = await run(door, target.url(), issuer.url("/token?tenant=" + CANARY))
    assert observation.failure is not None
    assert observation.failure.code is FailureCode.AUTHENTICATION_ERROR
    place = f"http://127.0.0.1:{issuer.port}/token?… (for an access token)"
    assert observation.failure.message == f"{place}: no token: status 401 (invalid_client)"
    assert (target.connections, observation.response, observation.resolution) == (0, None, None)
    assert [name for name, _ in observation.timings.tenths] == ["authentication"]


async def test_a_redirect_of_the_issuer_is_not_followed(door: Door) -> None:
    async with serving(reply()) as elsewhere:
        moved = reply(status="307 Temporary Redirect", headers=(f"Location: {elsewhere.url()}",))
        async with serving(moved) as issuer:
            observation = await run(door, elsewhere.url(), issuer.url(), follow_redirects=True)
    assert observation.failure is not None
    assert observation.failure.code is FailureCode.AUTHENTICATION_ERROR
    assert elsewhere.connections == 0


async def test_the_policy_judges_the_issuer_like_any_target(door: Door) -> None:
    async with serving(reply()) as target:
        observation = await run(loopback_door(deny_names=("id.test",)), target.url(), "https://id.test/token")
    assert observation.failure is not None
    assert observation.failure.code is FailureCode.DENIED
    assert observation.failure.message.startswith("https://id.test/token (for an access token): ")
    assert target.connections == 0


async def test_waiting_for_the_issuer_is_the_tests_time(door: Door) -> None:
    async def converse(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(b"") as issuer, serving(reply()) as target:
        issuer.conversation = converse
        observation = await run(door, target.url(), issuer.url(), timeout=0.2)
    assert observation.failure is not None
    assert observation.failure.code is FailureCode.TIMEOUT
    assert "(for an access token): no answer within 0.2 s" in observation.failure.message
    assert target.connections == 0


@pytest.mark.parametrize("answer", [b"", b"\x16\x03\x01 no HTTP", ISSUED[:40]])
async def test_an_issuer_that_breaks_off_is_a_failure_without_secrets(door: Door, answer: bytes) -> None:
    async with serving(answer) as issuer, serving(reply()) as target:
        observation = await run(door, target.url(), issuer.url())
    assert observation.failure is not None
    assert observation.failure.code in {FailureCode.CONNRESET, FailureCode.MALFORMED_RESPONSE}
    assert CANARY not in observation.failure.message


async def test_an_authorization_of_the_tests_own_wins_and_no_token_is_asked_for(door: Door) -> None:
    async with serving(ISSUED) as issuer, serving(reply()) as target:
        await run(door, target.url(), issuer.url(), headers=(("authorization", "Bearer mine"),))
    assert target.seen[0].header("Authorization") == "Bearer mine"
    assert issuer.connections == 0
