"""A signed request as it arrives, checked by botocore from what the server sees."""

from __future__ import annotations

import re

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.servers.http import Seen, reply, serving
from worker.apitest.authentication import SigV4Auth as SigV4
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.responses.http import HTTPResponse
from worker.clock import SystemClock
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.probers.http import probe
from worker.probers.limits import ProbeLimits
from worker.secret import Secret

LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=100_000))
VALUE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(\w+)/(\d{8})/([\w-]+)/([\w-]+)/aws4_request, SignedHeaders=(\S+), Signature=(\w{64})"
)


def is_signed(seen: Seen, secret: str) -> bool:
    """Sign what arrived anew, with the fields that it says are signed."""
    found = VALUE.fullmatch(seen.header("Authorization") or "")
    assert found is not None
    key, day, region, service, names, signature = found.groups()
    request = AWSRequest(method=seen.method, url=f"http://{seen.header('Host')}{seen.target}", data=seen.body)
    for name in names.split(";"):
        request.headers.add_header(name, seen.header(name))
    moment = seen.header("X-Amz-Date") or ""
    assert moment.startswith(day)
    request.context["timestamp"] = moment
    signer = SigV4Auth(Credentials(key, secret), service, region)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return bool(signer.signature(text, request) == signature)


@pytest.mark.parametrize("token", [None, Secret("session/token==")])
async def test_every_hop_is_signed_for_its_own_path_and_body(door: Door, token: Secret[str] | None) -> None:
    def answer(seen: Seen) -> bytes:
        if seen.target == "/a?b=c%20d&a=":
            return reply(status="307 Temporary Redirect", headers=("Location: /2%2F",))
        return reply(b"in" if is_signed(seen, "SK") else b"out")

    auth = SigV4(access_key=Secret("AK"), secret_key=Secret("SK"), session_token=token, region="r-1", service="svc")
    async with serving(answer) as server:
        request = HTTPRequest(
            url=server.url("/a?b=c%20d&a="),
            method="POST",
            body=b'{"a": 1}',
            content_type="application/json",
            headers=(("X-Amz-Target", "T.Do"),),
            authentication=auth,
            follow_redirects=True,
        )
        observation = await probe(request, door, SystemClock(), LIMITS)
    assert isinstance(observation.response, HTTPResponse), observation.failure
    assert observation.response.body == b"in"
    assert is_signed(server.seen[0], "SK")
    assert not is_signed(server.seen[0], "another")
    assert server.seen[0].header("X-Amz-Security-Token") == (token.reveal() if token else None)
