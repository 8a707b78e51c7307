"""`config.request.basicAuth`: the ways in which an HTTP test proves who it is, as frozen values, and their reader.

A type that is known to the language and not here yet is noted as missing; a member that a type needs is a mistake where it is
absent. Nothing here knows how any of them is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from msgspec import Struct

from worker.apitest.reading import Node, perhaps, quote
from worker.secret import Secret

TOKEN_REQUESTS = ("header", "body")


class BasicAuth(Struct, frozen=True, kw_only=True):
    """`Authorization: Basic`, sent to the origin it was written for and to no other, as all of these."""

    username: str
    password: Secret[str]


class DigestAuth(Struct, frozen=True, kw_only=True):
    """RFC 7616."""

    username: str
    password: Secret[str]


class SigV4Auth(Struct, frozen=True, kw_only=True):
    """Amazon's Signature Version 4. An empty *region* or *service* is what the host's name says."""

    access_key: Secret[str]
    secret_key: Secret[str]
    session_token: Secret[str] | None = None
    region: str = ""
    service: str = ""


class OAuth(Struct, frozen=True, kw_only=True):
    """A bearer token by the client's credentials, or with a *username* by the user's. *client_in* is `header` or `body`."""

    token_url: str
    client_in: str
    client_id: str = ""
    client_secret: Secret[str] | None = None
    username: str | None = None
    password: Secret[str] | None = None
    scope: str = ""
    audience: str = ""
    resource: str = ""


Authentication: TypeAlias = BasicAuth | DigestAuth | SigV4Auth | OAuth


def read_authentication(node: Node) -> Authentication | None:
    """Read `basicAuth`; None where there is none, or none that can be sent."""
    if not node.present or not node.value:
        return None
    kind = node["type"].label() or "web"
    if kind not in _READERS:
        node.requires(f"the authentication {quote(kind)} is not there yet{perhaps(kind, _READERS)}")
        return None
    return _READERS[kind](node)


def _web(node: Node) -> BasicAuth | None:
    """None where both are empty: forms write it so where nobody filled them in."""
    username, password = node["username"].text(), node["password"].text()
    if not username and not password:
        return None
    return BasicAuth(username=username or "", password=Secret(password or ""))


def _digest(node: Node) -> DigestAuth:
    return DigestAuth(username=_required(node["username"]), password=Secret(_required(node["password"])))


def _sigv4(node: Node) -> SigV4Auth:
    return SigV4Auth(
        access_key=Secret(_required(node["accessKey"])),
        secret_key=Secret(_required(node["secretKey"])),
        session_token=_secret(node["sessionToken"]),
        region=node["region"].text() or "",
        service=node["serviceName"].text() or "",
    )


def _client_grant(node: Node) -> OAuth:
    return OAuth(
        token_url=_required(node["accessTokenUrl"]),
        client_in=_token_request(node["tokenApiAuthentication"]),
        client_id=_required(node["clientId"]),
        client_secret=Secret(_required(node["clientSecret"])),
        scope=node["scope"].text() or "",
        audience=node["audience"].text() or "",
        resource=node["resource"].text() or "",
    )


def _password_grant(node: Node) -> OAuth:
    return OAuth(
        token_url=_required(node["accessTokenUrl"]),
        client_in=_token_request(node["tokenApiAuthentication"]),
        client_id=node["clientId"].text() or "",
        client_secret=_secret(node["clientSecret"]),
        username=_required(node["username"]),
        password=Secret(_required(node["password"])),
        scope=node["scope"].text() or "",
        audience=node["audience"].text() or "",
        resource=node["resource"].text() or "",
    )


def _token_request(node: Node) -> str:
    where = node.label() or ""
    if not where:
        node.mistake("is empty" if node.present else "is missing")
    elif where not in TOKEN_REQUESTS:
        node.mistake(f"must be one of {', '.join(TOKEN_REQUESTS)}, not {quote(where)}{perhaps(where, TOKEN_REQUESTS)}")
    return where


def _required(node: Node) -> str:
    return node.text(required=True) or ""


def _secret(node: Node) -> Secret[str] | None:
    text = node.text()
    return Secret(text) if text else None


_READERS: Mapping[str, Callable[[Node], Authentication | None]] = MappingProxyType(
    {
        "web": _web,
        "digest": _digest,
        "sigv4": _sigv4,
        "oauth-client": _client_grant,
        "oauth-rop": _password_grant,
    }
)
