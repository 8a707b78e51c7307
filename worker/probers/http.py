"""The HTTP prober: a test's request goes to the HTTP client, and what came of it is the observation."""

from __future__ import annotations

from worker.apitest.authentication import Authentication, BasicAuth
from worker.apitest.observation import Observation
from worker.apitest.protocols.http import HTTPRequest, HTTPVersion
from worker.apitest.responses.http import HTTPResponse
from worker.clock import Clock
from worker.net import alpn
from worker.net.door import Door
from worker.net.http.client import Client, Transfer
from worker.net.http.cookies import Cookies
from worker.net.http.credentials import BasicCredentials
from worker.net.http.outgoing import HTTPCredentials
from worker.net.http.request import Request
from worker.net.identity import ClientIdentity
from worker.probers.limits import ProbeLimits

_OFFERS = {
    HTTPVersion.HTTP1: alpn.HTTP1,
    HTTPVersion.HTTP2: alpn.HTTP2,
    HTTPVersion.ANY: alpn.EITHER,
}
_ACCEPTED = (
    ("Accept", "*/*"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),  # what `checks` decodes
)


async def probe(
    request: HTTPRequest, door: Door, clock: Clock, limits: ProbeLimits, cookies: Cookies | None = None
) -> Observation:
    """Run *request*. Any complete response is an observation without a failure, whatever its status.

    *cookies* are those that the requests of one test share: they are sent, and what is set is kept in them.
    """
    client = Client(door, clock, limits.http, (*limits.identification.fields(request.test_id), *_ACCEPTED))
    transfer = await client.send(_asked(request), request.timeout, cookies)
    return Observation(
        timings=transfer.timings,
        failure=transfer.failure,
        resolution=transfer.resolution,
        response=_response(transfer),
        trouble=transfer.trouble,
    )


def _asked(request: HTTPRequest) -> Request:
    certificate = request.client_certificate
    return Request(
        url=request.url,
        method=request.method,
        headers=request.headers,
        query=request.query,
        body=request.body,
        content_type=request.content_type,
        credentials=None if request.authentication is None else _credentials(request.authentication),
        proxy_url=None if request.proxy is None else request.proxy.url,
        proxy_headers=() if request.proxy is None else request.proxy.headers,
        follow_redirects=request.follow_redirects,
        verify=not request.allow_insecure,
        offer=_OFFERS[request.version],
        identity=None if certificate is None else ClientIdentity(chain=certificate.chain, key=certificate.key),
        identity_domains=() if certificate is None else certificate.domains,
    )


def _credentials(auth: Authentication) -> HTTPCredentials:
    if isinstance(auth, BasicAuth):
        return BasicCredentials(username=auth.username, password=auth.password)
    from worker.probers.authentication import credentials_of  # noqa: PLC0415  # most workers see none of the others

    return credentials_of(auth)


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
