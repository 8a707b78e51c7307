"""HTTP tests: the request, the response, and the assertions on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from worker.apitest.assertion import (
    CONTENT_OPERATORS,
    ORDER_OPERATORS,
    Assertion,
    JavaScriptAssertion,
    Operator,
    Scalar,
)
from worker.apitest.authentication import Authentication, read_authentication
from worker.apitest.parse_body import BODY_OPERATORS, HASH_OPERATORS
from worker.apitest.parse_request import read_client_certificate, read_pairs, read_switch, read_timeout
from worker.apitest.parse_script import read_script
from worker.apitest.parse_target import read_scalar
from worker.apitest.protocols.protocol import RESPONSE_TIME, AssertionType, Protocol
from worker.apitest.reading import Node, perhaps, quote
from worker.apitest.request import ClientCertificate, ProbeRequest
from worker.apitest.responses.http import HTTPResponse
from worker.apitest.upload import MULTIPART, OCTETS, is_multipart, multipart, read_files
from worker.secret import Secret

Pairs: TypeAlias = tuple[tuple[str, str], ...]

METHODS = ("GET", "POST", "PATCH", "PUT", "HEAD", "DELETE", "OPTIONS")

_CONTENT_TYPES = {
    "text/plain": "text/plain",
    "application/json": "application/json",
    "text/xml": "text/xml",
    "text/html": "text/html",
    "application/x-www-form-urlencoded": "application/x-www-form-urlencoded",
    OCTETS: OCTETS,
    MULTIPART: MULTIPART,
    "graphql": "application/json",
}
"""`bodyType` → the Content-Type that goes with it; a GraphQL body is the JSON object of the query (GraphQL over HTTP)."""


class HTTPVersion(Enum):
    """The `httpVersion` of a request over TLS; without TLS it is HTTP/1.1. ANY is HTTP/2 where the server speaks it."""

    HTTP1 = "http1"
    HTTP2 = "http2"
    ANY = "any"


_VERSIONS = {version.value: version for version in HTTPVersion}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyServer:
    """A proxy of the test's own, as its author writes it; *headers* are sent to it and to nobody else."""

    url: Secret[str]
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPRequest(ProbeRequest):
    """One HTTP exchange, redirects included. *timeout* from look-up to last byte over all hops."""

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str | None = None
    """From `bodyType`; a Content-Type among *headers* wins over it."""
    authentication: Authentication | None = None
    proxy: ProxyServer | None = None
    follow_redirects: bool = False
    allow_insecure: bool = False
    client_certificate: ClientCertificate | None = None
    version: HTTPVersion = HTTPVersion.HTTP1


def read_request(request: Node, options: Node, _assertions: Sequence[Assertion]) -> HTTPRequest | None:
    url = request["url"].text(required=request.present)
    method = _method(request["method"], required=request.present)
    body, content_type, headers = _content(request)
    parsed = HTTPRequest(
        url=url or "",
        method=method or "GET",
        headers=headers,
        query=_query(request["query"].object()),
        body=body,
        content_type=content_type,
        authentication=read_authentication(request["basicAuth"].object()),
        proxy=_proxy(request["proxy"].object()),
        follow_redirects=read_switch(options["follow_redirects"], request["follow_redirects"]),
        allow_insecure=read_switch(options["allow_insecure"], request["allow_insecure"]),
        client_certificate=read_client_certificate(request),
        version=_version(options["httpVersion"]) or _version(request["httpVersion"]) or HTTPVersion.HTTP1,
        timeout=read_timeout(request["timeout"]),
    )
    return parsed if url and method else None


def _version(node: Node) -> HTTPVersion | None:
    name = node.label()
    if not name:
        return None
    if name not in _VERSIONS:
        node.requires(f"the HTTP version {quote(name)} is not known{perhaps(name, _VERSIONS)}")
    return _VERSIONS.get(name)


def _proxy(node: Node) -> ProxyServer | None:
    if not node.present or not node.value:
        return None
    url = node["url"].text(required=True)
    headers = read_pairs(node["headers"].object())
    return ProxyServer(url=Secret(url), headers=headers) if url else None


def _method(node: Node, *, required: bool) -> str | None:
    method = node.text(required=required)
    if method and method not in METHODS and not node.holds_template(method):
        node.mistake(f"must be one of {', '.join(METHODS)}, not {quote(method)}{perhaps(method, METHODS)}")
        return None
    return method


def _query(node: Node) -> tuple[tuple[str, str], ...]:
    """A list as a value repeats its name."""
    pairs: list[tuple[str, str]] = []
    for name, member in node.members():
        values = member.items() if isinstance(member.value, list) else [member]
        pairs.extend((name, text) for text in (value.texts() for value in values) if text is not None)
    return tuple(pairs)


def _content(request: Node) -> tuple[bytes | None, str | None, Pairs]:
    """The body, the Content-Type that goes with it, and the author's headers, of which one may say it less well."""
    kind, headers = request["bodyType"], read_pairs(request["headers"].object())
    text, form, files = request["body"].text(), read_pairs(request["form"].object()), read_files(request["files"])
    if kind.value == MULTIPART and (form or files):
        written = next((value for name, value in headers if name.lower() == "content-type"), "")
        kept = tuple(field for field in headers if field[0].lower() != "content-type" or not is_multipart(field[1]))
        return *multipart(form, files, written), kept
    if kind.value == OCTETS and files:
        if len(files) > 1:
            request["files"].mistake(f"must hold one file for the body type {quote(OCTETS)}, not {len(files)}")
        return files[0].content, OCTETS, headers
    for member, given in (("form", form), ("files", files)):
        if given:
            request[member].ignores("not sent: the body type has no place for it")
    return (text.encode(), _content_type(kind), headers) if text else (None, None, headers)


def _content_type(node: Node) -> str | None:
    name = node.label()
    if not name:
        return None
    if name not in _CONTENT_TYPES:
        node.requires(f"the body type {quote(name)} is not there yet{perhaps(name, _CONTENT_TYPES)}")
    return _CONTENT_TYPES.get(name)


def _header_name(node: Node) -> str | None:
    return node.text(required=True)


def _status(node: Node, operator: Operator) -> Scalar:
    return read_scalar(node, numeric=operator in (Operator.IS, Operator.IS_NOT))


def _javascript(node: Node) -> JavaScriptAssertion:
    return JavaScriptAssertion(code=read_script(node["code"], required=True))


PROTOCOL = Protocol(
    name="http",
    request=HTTPRequest,
    response=HTTPResponse,
    read_request=read_request,
    assertions={
        "body": AssertionType(operators=CONTENT_OPERATORS, composed=BODY_OPERATORS),
        "bodyHash": AssertionType(composed=HASH_OPERATORS),
        "header": AssertionType(
            operators=(*CONTENT_OPERATORS, Operator.DOES_NOT_EXIST, *ORDER_OPERATORS), read_property=_header_name
        ),
        "javascript": AssertionType(read_whole=_javascript),
        "responseTime": RESPONSE_TIME,
        "statusCode": AssertionType(
            operators=(Operator.IS, Operator.IS_NOT, Operator.MATCHES, Operator.DOES_NOT_MATCH), read_target=_status
        ),
    },
)
