"""A user name and a password for HTTP Basic authentication (RFC 7617)."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

from worker.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicCredentials:
    """Sent to the origin for which they were given and to no other."""

    username: str
    password: Secret[str]

    def authorization(self) -> str:
        """The value of an Authorization header, in UTF-8 (RFC 7617 §2.1)."""
        pair = f"{self.username}:{self.password.reveal()}"
        return f"Basic {b64encode(pair.encode(errors='replace')).decode()}"
