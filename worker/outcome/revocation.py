"""The state of a certificate by the Online Certificate Status Protocol (RFC 6960), and who said so."""

from __future__ import annotations

from enum import Enum
from typing import Any

from msgspec import Struct


class CertificateStatus(Enum):
    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    """No valid answer: nobody to ask, nobody who answered, or an answer that proves nothing."""


class StatusSource(Enum):
    STAPLED = "stapled"
    """Sent by the target with its certificate (RFC 6066 §8)."""
    RESPONDER = "responder"
    """Asked of the server that the certificate names (RFC 5280 §4.2.2.1)."""


class Revocation(Struct, frozen=True, kw_only=True):
    """Times in seconds since 1970. *reason* says in words why the status is unknown; *responder* is the URL that was asked."""

    status: CertificateStatus
    source: StatusSource | None = None
    reason: str | None = None
    responder: str | None = None
    serial_number: str | None = None
    revoked_at: int | None = None
    revocation_reason: str | None = None
    produced_at: int | None = None
    this_update: int | None = None
    next_update: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The `ocsp` object of a result; times in milliseconds, as there."""
        certificate = {
            "serial_number": self.serial_number,
            "revocation_time": _milliseconds(self.revoked_at),
            "revocation_reason": self.revocation_reason,
        }
        updates = {
            "produced_at": _milliseconds(self.produced_at),
            "this_update": _milliseconds(self.this_update),
            "next_update": _milliseconds(self.next_update),
        }
        return _present(
            {
                "status": self.status.value,
                "source": None if self.source is None else self.source.value,
                "reason": self.reason,
                "responder": self.responder,
                "certificate": _present(certificate) or None,
                "updates": _present(updates) or None,
            }
        )


def _milliseconds(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1000


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
