"""Credentials that are one header field, the same in every request: HTTP Basic (RFC 7617) and a bearer token (RFC 6750)."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime

from msgspec import Struct

from worker.net.http.outgoing import Flow, Outgoing, authorized
from worker.secret import Secret


class BasicCredentials(Struct, frozen=True, kw_only=True):
    """A user name and a password."""

    username: str
    password: Secret[str]

    def flow(self, outgoing: Outgoing, _now: datetime) -> Flow:
        yield authorized(outgoing, self.authorization())

    def authorization(self) -> str:
        """The value of an Authorization header, in UTF-8 (RFC 7617 §2.1)."""
        pair = f"{self.username}:{self.password.reveal()}"
        return f"Basic {b64encode(pair.encode(errors='replace')).decode()}"


class BearerCredentials(Struct, frozen=True):
    """An access token, as it was issued."""

    token: Secret[str]

    def flow(self, outgoing: Outgoing, _now: datetime) -> Flow:
        yield authorized(outgoing, f"Bearer {self.token.reveal()}")
