"""The question of a run as its result tells it: URL and method, or host and port, with the values of the run in their places.

What a request's author wrote as headers, body or credentials is not told: keys stand there. A URL is told without its login.
"""

from __future__ import annotations

from typing import Any, Final

from worker.apitest.observation import NOTHING_SEEN, Observation
from worker.apitest.protocols.dns import DNSRequest
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.protocols.ssl import SSLRequest
from worker.apitest.protocols.tcp import TCPRequest
from worker.apitest.request import ProbeRequest
from worker.apitest.responses.http import HTTPResponse
from worker.net.http import url
from worker.net.http.error import HTTPError
from worker.text import cut, printable

MAX_URL: Final = 2_000
"""Characters of a URL: what browsers and servers agree on."""
_MAX_HOST: Final = 255


def asked(request: ProbeRequest | None, observation: Observation) -> dict[str, Any] | None:
    """The `request` object of a result, with the members of the reference system's; None where nothing was asked."""
    if request is None or observation == NOTHING_SEEN:
        return None
    match request:
        case HTTPRequest():
            return {"method": request.method, "url": _url(request, observation)}
        case DNSRequest(server=None):
            return {"host": _host(request.host)}
        case DNSRequest(server=server, port=port):
            return {"host": _host(request.host), "dns_server": _host(server or ""), "dns_server_port": port}
        case TCPRequest() | SSLRequest():
            return {"host": _host(request.host), "port": request.port}
    raise TypeError(type(request).__name__)


def _url(request: HTTPRequest, observation: Observation) -> str:
    """The URL of the first exchange, or of the one that did not come about."""
    response = observation.response
    if isinstance(response, HTTPResponse) and response.hops:
        return cut(response.hops[0].url, MAX_URL)
    try:
        return cut(url.parse(request.url, request.query).url, MAX_URL)
    except HTTPError:
        return url.shown(request.url)


def _host(name: str) -> str:
    return printable(name, _MAX_HOST)
