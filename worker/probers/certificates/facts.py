"""DER → the facts of a certificate. Pure; nothing is verified, and a certificate that cannot be read is None.

Certificates are untrusted: a library's error of any kind means that there is nothing to tell.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.extensions import ExtensionNotFound

from worker.outcome.certificate import CertificateFacts, DistinguishedName, KeyFacts
from worker.probers.certificates.issuers import CANNOT_BE_READ
from worker.text import cut

MAX_NAMES: Final = 100
"""Alternative names that are kept: public authorities issue as many."""
MAX_ATTRIBUTES: Final = 20
"""Attributes of a subject or issuer; real ones have up to ten."""
MAX_USAGES: Final = 20
KEPT: Final = 128
"""Certificates whose facts are kept: a location's targets show the same ones again each period. A dozen KiB each, at most a
hundred with the largest ones.
"""
MAX_VALUE: Final = 500
"""Characters of one name or attribute: twice a DNS name."""
MAX_MODULUS_BITS: Final = 16_384
"""Of an RSA key whose modulus is kept: OpenSSL computes with none above."""

_SHORT_NAMES: Final = {
    "2.5.4.3": "CN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "1.2.840.113549.1.9.1": "emailAddress",
    "0.9.2342.19200300.100.1.25": "DC",
}
"""As OpenSSL and Node print them; others are their object identifiers."""


def chain_facts(presented: Sequence[bytes]) -> tuple[CertificateFacts, ...]:
    """The facts of a chain, without those that cannot be read; nothing where the first one, the target's own, cannot."""
    facts = [facts_of(each) for each in presented]
    return tuple(each for each in facts if each is not None) if facts and facts[0] is not None else ()


@lru_cache(maxsize=KEPT)
def facts_of(der: bytes) -> CertificateFacts | None:
    """Read *der*; None where it is not a certificate that can be read."""
    try:
        with warnings.catch_warnings(action="ignore"):  # nobody here can mend odd serial numbers and parameters
            return _read(x509.load_der_x509_certificate(der), der)
    except CANNOT_BE_READ:
        return None


def _read(certificate: x509.Certificate, der: bytes) -> CertificateFacts:
    return CertificateFacts(
        subject=_name(certificate.subject),
        issuer=_name(certificate.issuer),
        alternative_names=tuple(_alternative_names(certificate)),
        serial_number=_serial(certificate.serial_number),
        valid_from=int(certificate.not_valid_before_utc.timestamp()),
        valid_to=int(certificate.not_valid_after_utc.timestamp()),
        fingerprint=_fingerprint("sha1", der),
        fingerprint256=_fingerprint("sha256", der),
        public_key=_public_key(certificate),
        signature_algorithm=certificate.signature_algorithm_oid._name,  # noqa: SLF001  # it has no public name
        extended_key_usage=_extended_key_usage(certificate),
    )


def _name(name: x509.Name) -> DistinguishedName:
    pairs = (
        (_SHORT_NAMES.get(each.oid.dotted_string, each.oid.dotted_string), cut(_text(each.value), MAX_VALUE))
        for each in list(name)[:MAX_ATTRIBUTES]
    )
    return DistinguishedName(attributes=tuple(pairs))


def _text(value: str | bytes) -> str:
    return value.hex() if isinstance(value, bytes) else value


def _serial(number: int) -> str:
    """The number in hexadecimal, whole bytes, as OpenSSL prints it."""
    digits = f"{abs(number):X}"
    return ("-" if number < 0 else "") + digits.zfill(len(digits) + len(digits) % 2)


def _fingerprint(algorithm: str, der: bytes) -> str:
    return hashlib.new(algorithm, der, usedforsecurity=False).digest().hex(":").upper()


def _alternative_names(certificate: x509.Certificate) -> Iterator[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except ExtensionNotFound:
        return
    for each in list(names)[:MAX_NAMES]:
        match each:
            case x509.DNSName(value=value):
                yield f"DNS:{cut(value, MAX_VALUE)}"
            case x509.IPAddress(value=value):
                yield f"IP Address:{_address(value)}"
            case x509.RFC822Name(value=value):
                yield f"email:{cut(value, MAX_VALUE)}"
            case x509.UniformResourceIdentifier(value=value):
                yield f"URI:{cut(value, MAX_VALUE)}"
            case _:
                yield f"{type(each).__name__}:…"


def _address(value: object) -> str:
    """An address as OpenSSL and Node print it: the groups of IPv6 in full."""
    if not isinstance(value, IPv6Address):
        return str(value)
    return ":".join(f"{int(group, 16):X}" for group in value.exploded.split(":"))


def _extended_key_usage(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except ExtensionNotFound:
        return ()
    return tuple(each.dotted_string for each in list(usages)[:MAX_USAGES])


def _public_key(certificate: x509.Certificate) -> KeyFacts:
    """A key of a kind or size that the library refuses has only the name of its algorithm."""
    try:
        key = certificate.public_key()
    except CANNOT_BE_READ:
        return KeyFacts(kind=certificate.public_key_algorithm_oid._name)  # noqa: SLF001
    match key:
        case rsa.RSAPublicKey() if key.key_size <= MAX_MODULUS_BITS:
            numbers = key.public_numbers()
            exponent = numbers.e if numbers.e < 1 << 53 else None
            return KeyFacts(kind="RSA", size=key.key_size, modulus=f"{numbers.n:X}", exponent=exponent)
        case rsa.RSAPublicKey():
            return KeyFacts(kind="RSA", size=key.key_size)
        case ec.EllipticCurvePublicKey():
            return KeyFacts(kind="EC", size=key.key_size, curve=key.curve.name)
        case dsa.DSAPublicKey():
            return KeyFacts(kind="DSA", size=key.key_size)
        case ed25519.Ed25519PublicKey():
            return KeyFacts(kind="ED25519", size=256)
        case ed448.Ed448PublicKey():
            return KeyFacts(kind="ED448", size=456)
        case _:
            return KeyFacts(kind=certificate.public_key_algorithm_oid._name)  # noqa: SLF001
