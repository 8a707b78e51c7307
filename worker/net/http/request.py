"""One HTTP/1.1 request: what a hop sends, and its bytes (RFC 9112 §3, RFC 9110 §7).

The author's header fields go out as written, in their order and case; ours are only added where the author left them out. Bytes
that could end a field early, or a length that contradicts the body, are refused before anything is dialled. Nothing is compressed
and nothing is streamed: a test's body is in memory already.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass

from worker import __version__
from worker.apitest.request import BasicAuth, HTTPRequest
from worker.net.http.error import HTTPError
from worker.net.http.url import Target, parse, shown
from worker.outcome.failure import FailureCode

USER_AGENT = f"Synthetics/{__version__}"
ACCEPT_ENCODING = "gzip, deflate, br, zstd"
"""What `checks` decodes; nothing is decoded here."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
"""RFC 9110 §5.5: field values hold visible characters, spaces and tabs. Beyond U+00FF there is no byte to send."""

_HOST_NAME = re.compile(r"([A-Za-z0-9._-]+)(?::[0-9]*)?")

_AT_MOST_ONCE = frozenset({"host", "content-length", "transfer-encoding"})

_EMPTY_BODY_HAS_LENGTH = frozenset({"POST", "PUT", "PATCH"})
"""Methods that anticipate content: without a body they say `Content-Length: 0` (RFC 9110 §8.6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What one hop sends. *headers* are the author's; `encode` adds the rest."""

    target: Target
    method: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str | None = None
    credentials: BasicAuth | None = None


def first(request: HTTPRequest) -> Outgoing:
    """The request as its author wrote it. Raises HTTPError for what cannot be sent."""
    target = parse(request.url, request.query)
    if _TOKEN.fullmatch(request.method) is None or request.method.upper() == "CONNECT":
        raise HTTPError(FailureCode.INVALID_REQUEST, f"{shown(request.method)!r} is no method that a target answers")
    written = (
        request.headers if request.content_type is None else (*request.headers, ("Content-Type", request.content_type))
    )
    for name, value in written:
        if _TOKEN.fullmatch(name) is None:
            raise HTTPError(FailureCode.INVALID_CHAR_IN_HEADER, f"{shown(name)!r} is no name of a request header")
        if (bad := _BAD_VALUE.search(value)) is not None:
            reason = f"the request header {name} holds {bad.group()!r}, which no header can carry"
            raise HTTPError(FailureCode.INVALID_CHAR_IN_HEADER, reason)
    if request.headers:
        _refuse_contradictions(request)
    return Outgoing(
        target=target,
        method=request.method,
        headers=request.headers,
        body=request.body,
        content_type=request.content_type,
        credentials=request.basic_auth or target.credentials,
    )


def encode(outgoing: Outgoing, cookie: str | None = None) -> bytes:
    """The bytes on the wire. *cookie* takes the place of the author's Cookie header, if any."""
    written = {name.lower() for name, _ in outgoing.headers}
    lines = [f"{outgoing.method} {outgoing.target.path} HTTP/1.1"]
    if "host" not in written:
        lines.append(f"Host: {outgoing.target.authority}")
    lines += [f"{name}: {value}" for name, value in outgoing.headers if cookie is None or name.lower() != "cookie"]
    lines += [f"{name}: {value}" for name, value in _defaults(outgoing) if name.lower() not in written]
    if cookie is not None:
        lines.append(f"Cookie: {cookie}")
    body = outgoing.body or b""
    if "transfer-encoding" in written:
        body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body


def tls_name(outgoing: Outgoing) -> str:
    """Whom the server must prove to be: the name in the author's Host header if there is one, as in the reference system."""
    written = header(outgoing.headers, "host")
    name = None if written is None else _HOST_NAME.fullmatch(written.strip())
    return outgoing.target.host if name is None else name.group(1).lower()


def header(headers: tuple[tuple[str, str], ...], name: str) -> str | None:
    """The first field of that name (in lower case), or None."""
    for key, value in headers:
        if key.lower() == name:
            return value
    return None


def _defaults(outgoing: Outgoing) -> list[tuple[str, str]]:
    """The fields that we add where the author set none."""
    fields = [
        ("User-Agent", USER_AGENT),
        ("Accept", "*/*"),
        ("Accept-Encoding", ACCEPT_ENCODING),
        ("Connection", "close"),  # one connection serves one exchange; the server need not keep it
    ]
    if outgoing.content_type is not None and outgoing.body is not None:
        fields.append(("Content-Type", outgoing.content_type))
    if header(outgoing.headers, "transfer-encoding") is None:
        if outgoing.body is not None:
            fields.append(("Content-Length", str(len(outgoing.body))))
        elif outgoing.method in _EMPTY_BODY_HAS_LENGTH:
            fields.append(("Content-Length", "0"))
    if outgoing.credentials is not None:
        fields.append(("Authorization", _basic(outgoing.credentials)))
    return fields


def _basic(credentials: BasicAuth) -> str:
    """RFC 7617 §2, in UTF-8 (§2.1)."""
    pair = f"{credentials.username}:{credentials.password.reveal()}"
    return f"Basic {b64encode(pair.encode(errors='replace')).decode()}"


def _refuse_contradictions(request: HTTPRequest) -> None:
    """What two servers on the way could frame or route differently (RFC 9112 §3.2, §6.3)."""
    single = [lower for name, _ in request.headers if (lower := name.lower()) in _AT_MOST_ONCE]
    if len(single) != len(set(single)):
        raise HTTPError(FailureCode.INVALID_REQUEST, f"the request has one of these headers twice: {', '.join(single)}")
    coding = header(request.headers, "transfer-encoding")
    length = header(request.headers, "content-length")
    if coding is not None and coding.strip().lower() != "chunked":
        reason = f"the request header Transfer-Encoding: {shown(coding)} is not supported; only chunked is"
        raise HTTPError(FailureCode.INVALID_REQUEST, reason)
    if coding is not None and length is not None:
        reason = "the request has both Content-Length and Transfer-Encoding"
        raise HTTPError(FailureCode.HEADERS_INCOMPATIBLE_CONTENT_LENGTH, reason)
    size = len(request.body or b"")
    if length is not None and length.strip() != str(size):
        reason = f"the request header Content-Length says {shown(length)}, but the body has {size} bytes"
        raise HTTPError(FailureCode.HEADERS_INCOMPATIBLE_CONTENT_LENGTH, reason)
