"""The HTTP prober: a test's request goes to the HTTP client, and what came of it is the observation."""

from __future__ import annotations

from worker.apitest.observation import Observation
from worker.apitest.protocols.http import HTTPRequest, HTTPResponse
from worker.apitest.request import BasicAuth
from worker.clock import Clock
from worker.net.door import Door
from worker.net.http.client import Client, Transfer
from worker.net.http.credentials import BasicCredentials
from worker.net.http.request import Request
from worker.probers.limits import ProbeLimits

_ACCEPTED = (
    ("Accept", "*/*"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),  # what `checks` decodes
)


async def probe(request: HTTPRequest, door: Door, clock: Clock, limits: ProbeLimits) -> Observation:
    """Run *request*. Any complete response is an observation without a failure, whatever its status."""
    client = Client(door, clock, limits.http, (*limits.identification.fields(request.test_id), *_ACCEPTED))
    transfer = await client.send(_asked(request), request.timeout)
    return Observation(
        timings=transfer.timings,
        failure=transfer.failure,
        resolution=transfer.resolution,
        response=_response(transfer),
        trouble=transfer.trouble,
    )


def _asked(request: HTTPRequest) -> Request:
    return Request(
        url=request.url,
        method=request.method,
        headers=request.headers,
        query=request.query,
        body=request.body,
        content_type=request.content_type,
        credentials=None if request.basic_auth is None else _credentials(request.basic_auth),
        follow_redirects=request.follow_redirects,
        verify=not request.allow_insecure,
    )


def _credentials(auth: BasicAuth) -> BasicCredentials:
    return BasicCredentials(username=auth.username, password=auth.password)


def _response(transfer: Transfer) -> HTTPResponse | None:
    seen = transfer.response
    if seen is None:
        return None
    return HTTPResponse(
        url=transfer.hops[-1].url,
        status=seen.status,
        http_version=seen.http_version,
        handshake=transfer.handshake,
        headers=seen.headers,
        body=seen.body,
        content_encodings=seen.content_encodings,
        hops=transfer.hops,
    )
