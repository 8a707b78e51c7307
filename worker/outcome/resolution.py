"""The way from a name to the address that was dialled: the server that answered, and each address that was tried."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Attempt(Struct, frozen=True, kw_only=True):
    """One address tried. *error* is None for the one that worked; *elapsed_tenths* in tenths of a millisecond."""

    address: str
    port: int
    elapsed_tenths: int
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        seen = {"ip": self.address, "port": self.port, "elapsed": self.elapsed_tenths / 10}
        return seen | ({"error": self.error} if self.error else {})


class Resolution(Struct, frozen=True, kw_only=True):
    """*server* answered the look-up (None for a literal or the host's resolver), *address* was dialled."""

    server: str | None = None
    address: str | None = None
    port: int | None = None
    attempts: tuple[Attempt, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The `dns_resolution` object of a result."""
        return {
            "server": self.server,
            "resolved_ip": self.address,
            "resolved_port": self.port,
            "attempts": [attempt.as_json() for attempt in self.attempts],
        }
