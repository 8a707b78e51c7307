"""The outcome of a TLS handshake: the agreed protocol and cipher, so that a weak choice shows in the result."""

from __future__ import annotations

from msgspec import Struct


class Handshake(Struct, frozen=True, kw_only=True):
    """*protocol* (`TLSv1.2`) and *cipher* (`AES256-SHA`, `TLS_AES_256_GCM_SHA384`) under OpenSSL's names."""

    protocol: str
    cipher: str

    @property
    def version(self) -> float:
        return version_number(self.protocol)

    def as_json(self) -> dict[str, str]:
        return {"protocol": self.protocol, "cipher": self.cipher}


def version_number(protocol: str) -> float:
    """The number in OpenSSL's name of a TLS version: 1.2 of `TLSv1.2`, 1.0 of `TLSv1`."""
    return float(protocol.removeprefix("TLSv"))
