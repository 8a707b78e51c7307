"""Access tokens of a provider that is not ours, which knows afterwards whom it gave them to."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.support.servers.http import reply, serving
from tests.support.servers.oidc import SECRET, oidc_provider
from worker.apitest.authentication import OAuth
from worker.apitest.observation import Observation
from worker.apitest.protocols.http import HTTPRequest
from worker.clock import SystemClock
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.outcome.failure import FailureCode
from worker.probers.http import probe
from worker.probers.limits import ProbeLimits
from worker.secret import Secret

LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=100_000))


async def run(door: Door, url: str, issuer: str, client_in: str, secret: str = SECRET, scope: str = "") -> Observation:
    auth = OAuth(
        token_url=f"{issuer}/token",
        client_in=client_in,
        client_id={"header": "basic", "body": "post"}[client_in],
        client_secret=Secret(secret),
        scope=scope,
    )
    return await probe(HTTPRequest(url=url, authentication=auth), door, SystemClock(), LIMITS)


def known_as(issuer: str, authorization: str | None) -> tuple[bool, str, str]:
    """Whether the provider says that a token is good, its client, and its scope."""
    token = (authorization or "").removeprefix("Bearer ")
    asked = urlencode({"token": token, "client_id": "post", "client_secret": SECRET}).encode()
    with urlopen(f"{issuer}/token/introspection", asked, timeout=30) as answer:
        told = json.load(answer)
    return told["active"], told["client_id"], told.get("scope", "")


async def test_a_client_in_the_header_and_one_in_the_body_get_good_tokens(door: Door) -> None:
    async with oidc_provider() as issuer, serving(reply(b"in")) as target:
        for client_in, client in (("header", "basic"), ("body", "post")):
            observation = await run(door, target.url(), issuer, client_in, scope="watch")
            assert observation.failure is None
            written = target.seen[-1].header("Authorization")
            assert await asyncio.to_thread(known_as, issuer, written) == (True, client, "watch")


async def test_a_wrong_secret_ends_with_the_providers_own_word(door: Door) -> None:
    async with oidc_provider() as issuer, serving(reply()) as target:
        for client_in in ("header", "body"):
            failure = (await run(door, target.url(), issuer, client_in, "wrong")).failure
            assert failure is not None
            assert failure.code is FailureCode.AUTHENTICATION_ERROR
            assert "no token: status 401 (invalid_client)" in failure.message
    assert target.connections == 0
