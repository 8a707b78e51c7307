"""The facts of a certificate that a target showed, whether or not it was accepted. Nothing is read or verified here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from worker.outcome import tls

SECONDS_PER_DAY: Final = 86_400


class DistinguishedName(Struct, frozen=True, kw_only=True):
    """Pairs of short name and value (`CN`, `O`, …) in the order of the certificate; a name may come several times."""

    attributes: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, str]:
        """The values by name, those of one name joined by `, `."""
        found: dict[str, str] = {}
        for name, value in self.attributes:
            found[name] = f"{found[name]}, {value}" if name in found else value
        return found


class KeyFacts(Struct, frozen=True, kw_only=True):
    """*kind* is `RSA`, `EC`, `ED25519`, …; *size* in bits. RSA keys have a *modulus* (hexadecimal) and an *exponent*, elliptic
    ones a *curve*.
    """

    kind: str
    size: int | None = None
    curve: str | None = None
    modulus: str | None = None
    exponent: int | None = None

    def as_json(self) -> dict[str, Any]:
        pairs = {"type": self.kind, "size": self.size, "curve": self.curve}
        return {name: value for name, value in pairs.items() if value is not None}


class CertificateFacts(Struct, frozen=True, kw_only=True):
    """*valid_from* and *valid_to* in seconds since 1970; *fingerprint* (SHA-1) and *fingerprint256* as `AB:CD:…`.

    *alternative_names* are written as Node writes them (`DNS:…`, `IP Address:…`), *extended_key_usage* as object identifiers.
    """

    subject: DistinguishedName
    issuer: DistinguishedName
    alternative_names: tuple[str, ...]
    serial_number: str
    valid_from: int
    valid_to: int
    fingerprint: str
    fingerprint256: str
    public_key: KeyFacts
    signature_algorithm: str
    extended_key_usage: tuple[str, ...] = ()

    def days_left(self, at: float) -> float:
        """Days from *at*, in seconds since 1970, until it ends, to a hundredth, rounded down; negative afterwards."""
        return (self.valid_to - at) * 100 // SECONDS_PER_DAY / 100

    def subject_as_json(self) -> dict[str, str]:
        names = {"altName": ", ".join(self.alternative_names)} if self.alternative_names else {}
        return self.subject.as_json() | names

    def as_json(self) -> dict[str, Any]:
        """Its part of the `cert` object of a result; times in milliseconds, as there."""
        key = self.public_key
        return {
            "subject": self.subject_as_json(),
            "issuer": self.issuer.as_json(),
            "serial_number": self.serial_number,
            "valid": {"from": self.valid_from * 1000, "to": self.valid_to * 1000},
            "fingerprint": self.fingerprint,
            "fingerprint256": self.fingerprint256,
            "key": key.as_json(),
            **({} if key.modulus is None else {"modulus": key.modulus, "exponent": key.exponent}),
            "signature_algorithm": self.signature_algorithm,
            "ext_key_usage": list(self.extended_key_usage),
        }

    def brief(self) -> dict[str, Any]:
        """An entry of the `chain` of a result."""
        return {
            "subject": self.subject.as_json(),
            "issuer": self.issuer.as_json(),
            "serial_number": self.serial_number,
            "valid": {"from": self.valid_from * 1000, "to": self.valid_to * 1000},
            "fingerprint256": self.fingerprint256,
        }


class CertificateFault(Struct, frozen=True, kw_only=True):
    """The reason why OpenSSL does not accept a chain: its *code* (X509_V_ERR_*) and *message*."""

    code: int
    message: str

    @property
    def name(self) -> str:
        return tls.fault_name(self.code)

    def as_json(self) -> dict[str, str]:
        return {"code": self.name, "message": self.message}


def moment(seconds: int) -> str:
    """A date of a certificate as text, in the form of JavaScript's `toISOString`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
