"""What a test asks for: one frozen value per protocol. Parsed once (`parse`), then never looked at as JSON again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from worker.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicAuth:
    """`Authorization: Basic`, sent to the origin it was written for and to no other."""

    username: str
    password: Secret[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPRequest:
    """One HTTP exchange, redirects included. *timeout* in seconds, look-up to last byte over all hops."""

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str | None = None
    """From `bodyType`; a Content-Type among *headers* wins over it."""
    basic_auth: BasicAuth | None = None
    follow_redirects: bool = False
    allow_insecure: bool = False
    timeout: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TCPRequest:
    """A connection attempt. *timeout* in seconds."""

    host: str
    port: int
    timeout: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DNSRequest:
    """Look-ups of one name, one per record type that the assertions ask about. *timeout* in seconds, over all of them.

    Without *server* the worker's own resolution order is used and nothing is judged but the answer; with it, the server is a
    target like any other and passes the egress policy.
    """

    host: str
    record_types: tuple[str, ...] = ("A",)
    server: str | None = None
    port: int = 53
    timeout: float = 60.0


Request: TypeAlias = HTTPRequest | TCPRequest | DNSRequest
