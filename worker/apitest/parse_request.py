"""`config.request` of an http, tcp or dns test, and the options that belong to it, as one frozen value per protocol.

What a well-formed definition asks for and this version cannot do is noted as missing, never left out in silence. Whether a
URL or a host leads anywhere is not judged here: the prober reports that as a failed run.
"""

from __future__ import annotations

from worker.apitest.reading import Node, quote
from worker.apitest.request import BasicAuth, DNSRequest, HTTPRequest, Request, TCPRequest
from worker.secret import Secret

METHODS = ("GET", "POST", "PATCH", "PUT", "HEAD", "DELETE", "OPTIONS")
RECORD_TYPES = ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT")

DEFAULT_TIMEOUT = 60.0
"""Seconds, the reference system's own."""
DEFAULT_TCP_PORT = 443
DEFAULT_DNS_PORT = 53

_CONTENT_TYPES = {
    "text/plain": "text/plain",
    "application/json": "application/json",
    "text/xml": "text/xml",
    "text/html": "text/html",
    "application/x-www-form-urlencoded": "application/x-www-form-urlencoded",
    "application/octet-stream": "application/octet-stream",
    "graphql": "application/json",
}
"""`bodyType` → the Content-Type that goes with it; a GraphQL body is the JSON object of the query (GraphQL over HTTP)."""


def read_request(subtype: str, request: Node, options: Node, record_types: tuple[str, ...]) -> Request | None:
    """The request, or None where a mistake keeps it from being one. *record_types* are those that assertions ask about."""
    match subtype:
        case "http":
            return _http(request, options)
        case "tcp":
            return _tcp(request)
        case _:
            return _dns(request, record_types)


def _http(request: Node, options: Node) -> HTTPRequest | None:
    url = request["url"].text(required=request.present)
    method = _method(request["method"], required=request.present)
    _note_missing(request, options)
    body = request["body"].text()
    parsed = HTTPRequest(
        url=url or "",
        method=method or "GET",
        headers=_headers(request["headers"].object()),
        query=_query(request["query"].object()),
        body=body.encode() if body else None,
        content_type=_content_type(request["bodyType"]) if body else None,
        basic_auth=_basic_auth(request["basicAuth"].object()),
        follow_redirects=_either(options["follow_redirects"], request["follow_redirects"]),
        allow_insecure=_either(options["allow_insecure"], request["allow_insecure"]),
        timeout=_timeout(request["timeout"]),
    )
    return parsed if url and method else None


def _tcp(request: Node) -> TCPRequest | None:
    host = request["host"].text(required=request.present)
    if request["shouldTrackHops"].flag():
        request["shouldTrackHops"].requires("network hops are not there yet")
    port = _port(request["port"], DEFAULT_TCP_PORT)
    return TCPRequest(host=host, port=port, timeout=_timeout(request["timeout"])) if host else None


def _dns(request: Node, record_types: tuple[str, ...]) -> DNSRequest | None:
    host = request["host"].text(required=request.present)
    server = request["dnsServer"].text()
    port = _port(request["dnsServerPort"], DEFAULT_DNS_PORT)
    timeout = _timeout(request["timeout"])
    if not host:
        return None
    return DNSRequest(host=host, record_types=record_types or ("A",), server=server or None, port=port, timeout=timeout)


def _note_missing(request: Node, options: Node) -> None:
    """Members that a web request may have and that change what is sent, but that nothing here can send yet."""
    for member, what in (
        ("certificate", "client certificates are not there yet"),
        ("proxy", "a proxy of the test's own is not there yet"),
        ("files", "file uploads are not there yet"),
        ("form", "multipart forms are not there yet"),
    ):
        if request[member].value not in (None, {}, []):
            request[member].requires(what)
    for version in (options["httpVersion"], request["httpVersion"]):
        name = version.label()
        if name == "http2":
            version.requires("HTTP/2 is not there yet")
        elif name not in (None, "", "http1", "any"):
            version.requires(f"the HTTP version {quote(name)} is not known")


def _method(node: Node, *, required: bool) -> str | None:
    method = node.text(required=required)
    if method and method not in METHODS:
        node.mistake(f"must be one of {', '.join(METHODS)}, not {quote(method)}")
        return None
    return method


def _headers(node: Node) -> tuple[tuple[str, str], ...]:
    pairs = ((name, member.texts()) for name, member in node.members())
    return tuple((name, value) for name, value in pairs if value is not None)


def _query(node: Node) -> tuple[tuple[str, str], ...]:
    """A list as a value repeats its name."""
    pairs: list[tuple[str, str]] = []
    for name, member in node.members():
        values = member.items() if isinstance(member.value, list) else [member]
        pairs.extend((name, text) for text in (value.texts() for value in values) if text is not None)
    return tuple(pairs)


def _content_type(node: Node) -> str | None:
    name = node.label()
    if not name:
        return None
    if name not in _CONTENT_TYPES:
        node.requires(f"the body type {quote(name)} is not there yet")
    return _CONTENT_TYPES.get(name)


def _basic_auth(node: Node) -> BasicAuth | None:
    if not node.present or not node.value:
        return None
    scheme = node["type"].label()
    if scheme not in (None, "", "web"):
        node.requires(f"the authentication {quote(scheme)} is not there yet")
        return None
    username, password = node["username"].text(), node["password"].text()
    return BasicAuth(username=username or "", password=Secret(password or ""))


def _either(option: Node, member: Node) -> bool:
    """A single test says it in its options, a step in its request; where both are there, the options decide."""
    said, stepwise = option.flag(), member.flag()
    return bool(stepwise if said is None else said)


def _timeout(node: Node) -> float:
    """Seconds; 0 stands for the default, as it does for a limit that was never set."""
    seconds = node.number()
    if seconds is not None and seconds < 0:
        node.mistake("must not be negative")
        return DEFAULT_TIMEOUT
    return float(seconds) if seconds else DEFAULT_TIMEOUT


def _port(node: Node, default: int) -> int:
    """A number or its text; a template is text too and ends the reading without a mistake."""
    if not isinstance(node.value, str):
        return node.whole(1, 65535) or default
    text = node.text()
    if not text or "{{" in text:
        return default
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and 1 <= int(digits) <= 65535):
        node.mistake(f"must be a port from 1 to 65535, not {quote(text)}")
        return default
    return int(digits)
