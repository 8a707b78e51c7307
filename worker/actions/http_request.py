"""The request of an `http.request`: input and connection made into bytes and header fields. Nothing is sent here.

What a task writes is never rendered. Fields that frame the message, or that proxies believe, are refused; what the connection
sets wins over what the task sets.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlencode

import orjson

from worker import __version__
from worker.actions.action import ActionFailure, Order
from worker.actions.connection import CERTIFICATE, KEY, ActionConnection
from worker.actions.weburl import absolute, below
from worker.net.http.credentials import BasicCredentials
from worker.net.http.fields import BAD_VALUE, TOKEN, Fields
from worker.net.http.request import Request
from worker.net.http.url import Target
from worker.net.identity import ClientIdentity

REFUSED_FIELDS: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-real-ip",
    }
)
"""They frame the message, belong to one connection (RFC 9110 §7.6.1), or say what a proxy would be believed."""
_REFUSED_START: Final = ("sec-", "proxy-")
WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_DATA_URI: Final = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPConnection(ActionConnection):
    """*headers* and *url_parameters* are templates. *idempotent*: the service recognises a request that comes twice."""

    base_url: Target
    headers: Fields = ()
    url_parameters: Fields = ()
    basic_user: str | None = None
    """Its password is the credential of that name."""
    ca_file: str | None = None
    idempotent: bool = False
    test_verb: str = "GET"
    test_path: str = "/"


def target_of(given: Mapping[str, Any], connection: ActionConnection | None) -> Target:
    """The place that an input means. Raises ActionFailure."""
    if isinstance(connection, HTTPConnection):
        return below(connection.base_url, given["url"])
    return absolute(given["url"])


def merged(given: Mapping[str, Any], connection: ActionConnection | None) -> dict[str, Any]:
    """The input with its URL as it will be sent, the query of the task's own parameters included."""
    query = urlencode([(pair["key"], pair["value"]) for pair in given.get("urlParams", ())])
    target = target_of(given, connection)
    joint = "" if not query else "&" if "?" in target.path else "?"
    return {**given, "url": f"{target.url}{joint}{query}"}


def request_of(order: Order, connection: ActionConnection | None) -> Request:
    """The first request of *order*. Raises ActionFailure, and CredentialsError."""
    given, target = order.input, target_of(order.input, connection)
    own = tuple(_own_fields(given))
    body, content_type = _body(given)
    query = tuple((pair["key"], pair["value"]) for pair in given.get("urlParams", ()))
    if not isinstance(connection, HTTPConnection):
        headers = own
        login = None
    else:
        headers = _over(own, tuple((name, connection.render(value).reveal()) for name, value in connection.headers))
        query = (*query, *((name, connection.render(value).reveal()) for name, value in connection.url_parameters))
        login = None if connection.basic_user is None else _login(connection, connection.basic_user)
    return Request(
        url=target.url,
        method=given["verb"],
        headers=_over(_said_by_us(order, given["verb"]), headers),
        query=query,
        body=body,
        content_type=None if any(name.lower() == "content-type" for name, _ in headers) else content_type,
        credentials=login,
        identity=_identity(connection),
    )


def default_fields() -> Fields:
    """The fields of every hop: nothing of a task or a connection is among them."""
    return (
        ("User-Agent", f"OpenPrivateActionRunner/{__version__}"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),
    )


def _said_by_us(order: Order, verb: str) -> Fields:
    """The task's id, by which a target knows such requests, and two deliveries of one from two requests."""
    known = (("Sec-Private-Action", order.task),)
    return (*known, ("Idempotency-Key", order.task)) if verb in WRITES else known


def _over(below: Fields, above: Fields) -> Fields:
    """All of *above*, and of *below* what has other names."""
    names = {name.lower() for name, _ in above}
    return (*(field for field in below if field[0].lower() not in names), *above)


def _login(connection: HTTPConnection, user: str) -> BasicCredentials:
    return BasicCredentials(username=user, password=connection.credential(user))


def _identity(connection: ActionConnection | None) -> ClientIdentity | None:
    """The certificate that the connection shows to servers that ask for one."""
    if connection is None or CERTIFICATE not in connection.secrets:
        return None
    return ClientIdentity(chain=connection.credential(CERTIFICATE).reveal(), key=connection.credential(KEY))


def _own_fields(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for header in given.get("requestHeaders", ()):
        name = header["key"]
        if TOKEN.fullmatch(name) is None:
            raise ActionFailure("REQUEST", f"{name[:80]!r} is not a valid name of a request header")
        if name.lower() in REFUSED_FIELDS or name.lower().startswith(_REFUSED_START):
            raise ActionFailure("REQUEST", f"the request header {name} is refused: it is not a task's to set")
        for value in header["value"]:
            if BAD_VALUE.search(value):
                raise ActionFailure("REQUEST", f"the request header {name} holds a character that no header can carry")
            yield name, value


def _body(given: Mapping[str, Any]) -> tuple[bytes | None, str | None]:
    """The body and its content type. A text goes as it is, anything else as JSON."""
    if "formData" in given:
        if "body" in given:
            raise ActionFailure("REQUEST", "body and formData exclude each other")
        return _multipart(given["formData"])
    if "body" not in given:
        return None, None
    body = given["body"]
    if isinstance(body, str):
        return body.encode(), None
    return orjson.dumps(body), "application/json"


def _multipart(parts: list[dict[str, str]]) -> tuple[bytes, str]:
    """multipart/form-data (RFC 7578)."""
    contents = [_part(part) for part in parts]
    number = 0
    while any(f"--form-{number}".encode() in content for content in contents):
        number += 1
    boundary = f"form-{number}"
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), content) for content in contents)
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _part(part: dict[str, str]) -> bytes:
    name = part["key"].replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = f'Content-Disposition: form-data; name="{name}"'
    if part.get("type", "string") == "string":
        return f"{head}\r\n\r\n{part['value']}".encode()
    match = _DATA_URI.fullmatch(part["value"])
    if match is None or BAD_VALUE.search(match[1]):
        raise ActionFailure("REQUEST", f"the form field {part['key'][:80]!r} is not a valid data: URI (RFC 2397)")
    kind, parameters, data = match.groups()
    try:
        content = b64decode(data, validate=True) if ";base64" in parameters else unquote_to_bytes(data)
    except ValueError:
        raise ActionFailure("REQUEST", f"the form field {part['key'][:80]!r} is not valid base64") from None
    about = f'{head}; filename="{name}"\r\nContent-Type: {kind or "application/octet-stream"}\r\n\r\n'
    return about.encode() + content
