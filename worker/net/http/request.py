"""One request as its author wrote it, made ready to be sent, and as the bytes of HTTP/1.1 (RFC 9112 §3, RFC 9110 §7).

The author's header fields go out as written, in their order and case; ours are only added where the author left them out. Bytes
that could end a field early, or a length that contradicts the body, are refused before anything is dialled. Nothing is compressed
and nothing is streamed: the body is in memory already.
"""

from __future__ import annotations

import re

from msgspec import Struct

from worker.net import alpn
from worker.net.certificate_name import covers
from worker.net.http.credentials import BasicCredentials
from worker.net.http.error import HTTPError
from worker.net.http.fields import BAD_VALUE, OWS, TOKEN, Fields, first_value
from worker.net.http.outgoing import HTTPCredentials, Outgoing
from worker.net.http.url import Login, Target, parse, shown
from worker.net.identity import ClientIdentity
from worker.outcome.failure import FailureCode
from worker.secret import Secret

_HOST_NAME = re.compile(r"([A-Za-z0-9._-]+)(?::[0-9]*)?")

_AT_MOST_ONCE = frozenset({"host", "content-length", "transfer-encoding"})

_EMPTY_BODY_HAS_LENGTH = frozenset({"POST", "PUT", "PATCH"})
"""Methods that anticipate content: without a body they say `Content-Length: 0` (RFC 9110 §8.6)."""


class Request(Struct, frozen=True, kw_only=True):
    """A request as its author writes it. Without *verify* any certificate is accepted."""

    url: str
    method: str = "GET"
    headers: Fields = ()
    query: Fields = ()
    """Pairs that are appended to the query of *url*."""
    body: bytes | None = None
    content_type: str | None = None
    """Of *body*; a Content-Type among *headers* wins over it."""
    credentials: HTTPCredentials | None = None
    """They win over those in *url*; an Authorization among *headers* wins over both."""
    proxy_url: Secret[str] | None = None
    """A proxy of the request's own, for every hop of it."""
    proxy_headers: Fields = ()
    follow_redirects: bool = False
    verify: bool = True
    """Of targets and of an https proxy of its own."""
    offer: alpn.Offer = alpn.HTTP1
    """HTTP versions that each https target may choose from. Without TLS it is always HTTP/1.1."""
    identity: ClientIdentity | None = None
    """Shown to those of *identity_domains*; without any, to the host of *url*."""
    identity_domains: tuple[str, ...] = ()


def prepare(request: Request) -> Outgoing:
    """The first hop of *request*. Raises HTTPError for what cannot be sent."""
    target = parse(request.url, request.query)
    if TOKEN.fullmatch(request.method) is None or request.method.upper() == "CONNECT":
        raise HTTPError(FailureCode.INVALID_REQUEST, f"{shown(request.method)!r} is not a method that a target answers")
    written = (
        request.headers if request.content_type is None else (*request.headers, ("Content-Type", request.content_type))
    )
    for name, value in written:
        if TOKEN.fullmatch(name) is None:
            raise HTTPError(
                FailureCode.INVALID_CHAR_IN_HEADER, f"{shown(name)!r} is not a valid name of a request header"
            )
        if (bad := BAD_VALUE.search(value)) is not None:
            reason = f"the request header {name} holds a character that no header can carry, at {bad.start() + 1}"
            raise HTTPError(FailureCode.INVALID_CHAR_IN_HEADER, reason)
    if request.headers:
        _refuse_contradictions(request)
    return Outgoing(
        target=target,
        method=request.method,
        headers=request.headers,
        body=request.body,
        content_type=request.content_type,
        credentials=request.credentials or _basic(target.login),
    )


def encode(outgoing: Outgoing, default_headers: Fields = (), cookie: str | None = None) -> bytes:
    """The bytes on the wire of HTTP/1.1. *cookie* takes the place of the author's Cookie header, if any."""
    fields = fields_to_send(outgoing, default_headers, cookie)
    lines = [f"{outgoing.method} {outgoing.target.path} HTTP/1.1"]
    if first_value(outgoing.headers, "host") is None:
        lines.append(f"Host: {outgoing.target.authority}")
    lines += [f"{name}: {value}" for name, value in fields]
    body = outgoing.body or b""
    if first_value(outgoing.headers, "transfer-encoding") is not None:
        body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body


def fields_to_send(
    outgoing: Outgoing, default_headers: Fields = (), cookie: str | None = None
) -> list[tuple[str, str]]:
    """The author's fields in their order, then ours where the author left them out. Host is among them only if written."""
    written = {name.lower() for name, _ in outgoing.headers}
    fields = [field for field in outgoing.headers if cookie is None or field[0].lower() != "cookie"]
    added = (*default_headers, *_framing(outgoing), *outgoing.authorization)
    fields += [field for field in added if field[0].lower() not in written]
    if cookie is not None:
        fields.append(("Cookie", cookie))
    return fields


def tls_name(outgoing: Outgoing) -> str:
    """The name that the certificate must bear: that of the author's Host header if there is one, as in the reference system."""
    written = first_value(outgoing.headers, "host")
    name = None if written is None else _HOST_NAME.fullmatch(written.strip(OWS))
    return outgoing.target.host if name is None else name.group(1).lower()


def identity_for(host: str, request: Request, own: Target) -> ClientIdentity | None:
    """The identity that *host* gets to see: a redirect must not carry it to somebody else. *own* is the target of *request*."""
    if request.identity is None:
        return None
    domains = request.identity_domains or (own.host,)
    return request.identity if any(covers(domain, host) for domain in domains) else None


def _framing(outgoing: Outgoing) -> list[tuple[str, str]]:
    """The fields that follow from the request itself."""
    fields = [("Connection", "close")]  # one connection serves one exchange; the server need not keep it
    if outgoing.content_type is not None and outgoing.body is not None:
        fields.append(("Content-Type", outgoing.content_type))
    if first_value(outgoing.headers, "transfer-encoding") is None:
        if outgoing.body is not None:
            fields.append(("Content-Length", str(len(outgoing.body))))
        elif outgoing.method in _EMPTY_BODY_HAS_LENGTH:
            fields.append(("Content-Length", "0"))
    return fields


def _basic(login: Login | None) -> BasicCredentials | None:
    return None if login is None else BasicCredentials(username=login.username, password=login.password)


def _refuse_contradictions(request: Request) -> None:
    """Refuse what two servers on the way could frame or route differently (RFC 9112 §3.2, §6.3)."""
    single = [lower for name, _ in request.headers if (lower := name.lower()) in _AT_MOST_ONCE]
    if len(single) != len(set(single)):
        raise HTTPError(FailureCode.INVALID_REQUEST, f"the request has one of these headers twice: {', '.join(single)}")
    coding = first_value(request.headers, "transfer-encoding")
    length = first_value(request.headers, "content-length")
    if coding is not None and coding.strip(OWS).lower() != "chunked":
        reason = "the request header Transfer-Encoding has a value that is not supported; only chunked is"
        raise HTTPError(FailureCode.INVALID_REQUEST, reason)
    if coding is not None and length is not None:
        reason = "the request has both Content-Length and Transfer-Encoding"
        raise HTTPError(FailureCode.HEADERS_INCOMPATIBLE_CONTENT_LENGTH, reason)
    size = len(request.body or b"")
    if length is not None and length.strip(OWS) != str(size):
        reason = f"the request header Content-Length is not the size of the body, {size} bytes"
        raise HTTPError(FailureCode.HEADERS_INCOMPATIBLE_CONTENT_LENGTH, reason)
