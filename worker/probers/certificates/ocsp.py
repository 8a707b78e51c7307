"""Questions about a certificate's status, and answers to them, checked (RFC 6960). Pure: no network, no clock.

An answer counts only if it is about this certificate and this issuer, is signed by the issuer or by whom it has delegated that to
(§4.2.2.2), and is of our time. Everything else is an unknown status with its reason: who can suppress an answer can always do
that, so a wrong one proves no more than a missing one.
"""

from __future__ import annotations

import hmac
import warnings
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.extensions import ExtensionNotFound
from cryptography.x509.oid import ExtendedKeyUsageOID

from worker.outcome.revocation import CertificateStatus, Revocation, StatusSource
from worker.probers.certificates.issuers import CANNOT_BE_READ, is_issued_by, is_ordinary
from worker.text import printable

CONTENT_TYPE: Final = "application/ocsp-request"
MAX_RESPONSES: Final = 20
"""Single responses of one answer that are looked through: a stapled one has one."""
MAX_SIGNERS: Final = 5
"""Certificates of one answer that are tried."""
CLOCK_SECONDS: Final = 300.0
"""By how much clocks may differ."""
MAX_AGE_SECONDS: Final = 7 * 86_400.0
"""Of an answer that does not say when the next one comes."""

_STATUSES: Final = {
    ocsp.OCSPCertStatus.GOOD: CertificateStatus.GOOD,
    ocsp.OCSPCertStatus.REVOKED: CertificateStatus.REVOKED,
    ocsp.OCSPCertStatus.UNKNOWN: CertificateStatus.UNKNOWN,
}
_ERRORS = (*CANNOT_BE_READ, AttributeError, NotImplementedError)
_SHOWN = 200
"""Characters of a library's error that a sentence repeats."""


def unknown(reason: str, *, source: StatusSource | None = None, responder: str | None = None) -> Revocation:
    """A status that nobody could tell, for *reason*."""
    return Revocation(status=CertificateStatus.UNKNOWN, reason=reason, source=source, responder=responder)


def question(certificate: x509.Certificate, issuer: x509.Certificate, nonce: bytes) -> bytes:
    """The request for the status of *certificate*. SHA-1 is what all responders know an issuer by; nothing rests on it."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())  # noqa: S303
    return builder.add_extension(x509.OCSPNonce(nonce), critical=False).build().public_bytes(Encoding.DER)


def status_of(
    answer: bytes,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    *,
    now: float,
    source: StatusSource,
    nonce: bytes | None = None,
    responder: str | None = None,
) -> Revocation:
    """The status of *certificate* by *answer*. *now* in seconds since 1970; *nonce* is that of the question, if there was one."""
    try:
        with warnings.catch_warnings(action="ignore"):
            found = _checked(answer, certificate, issuer, now, nonce)
            if isinstance(found, str):
                return unknown(found, source=source, responder=responder)
            single, produced_at = found
            return _status(single, produced_at, source, responder)
    except _ERRORS as error:
        reason = f"the answer cannot be read: {printable(str(error), _SHOWN)}"
        return unknown(reason, source=source, responder=responder)


def _checked(
    answer: bytes, certificate: x509.Certificate, issuer: x509.Certificate, now: float, nonce: bytes | None
) -> tuple[ocsp.OCSPSingleResponse, datetime] | str:
    """The part of *answer* that is about *certificate*, and the time of the whole; the reason where it proves nothing."""
    response = ocsp.load_der_ocsp_response(answer)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return f"the responder refuses to answer ({response.response_status.name.lower()})"
    if not any(_has_signed(signer, response) for signer in _signers(response, issuer, now)):
        return "the answer is not signed by the issuer or by a responder of its own"
    if nonce is not None and not _repeats(nonce, response):
        return "the answer is to another question"
    for single in _single_responses(response):
        if _is_about(single, certificate, issuer):
            return _time_fault(single, now) or (single, response.produced_at_utc)
    return "the answer is not about this certificate"


def _single_responses(response: ocsp.OCSPResponse) -> Iterator[ocsp.OCSPSingleResponse]:
    for index, single in enumerate(response.responses):
        if index == MAX_RESPONSES:
            return
        yield single


def _is_about(single: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Compare with the question that would be asked with the answer's own hash algorithm."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, single.hash_algorithm)
    asked = builder.build()
    return (single.serial_number, single.issuer_name_hash, single.issuer_key_hash) == (
        asked.serial_number,
        asked.issuer_name_hash,
        asked.issuer_key_hash,
    )


def _time_fault(single: ocsp.OCSPSingleResponse, now: float) -> str | None:
    begins, ends = single.this_update_utc.timestamp(), single.next_update_utc
    if begins > now + CLOCK_SECONDS:
        return "the answer is from the future, or this machine's clock is behind"
    last = begins + MAX_AGE_SECONDS if ends is None else ends.timestamp()
    return "the answer is out of date" if last < now - CLOCK_SECONDS else None


def _repeats(nonce: bytes, response: ocsp.OCSPResponse) -> bool:
    """True also for an answer without a nonce: most responders sign ahead (RFC 5019 §4)."""
    try:
        said = response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except ExtensionNotFound:
        return True
    return hmac.compare_digest(said, nonce)


def _signers(response: ocsp.OCSPResponse, issuer: x509.Certificate, now: float) -> Iterator[x509.Certificate]:
    """The issuer, then those to whom it has delegated the signing of answers (RFC 6960 §4.2.2.2)."""
    yield issuer
    for certificate in response.certificates[:MAX_SIGNERS]:
        begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
        if begins - CLOCK_SECONDS <= now <= ends + CLOCK_SECONDS and _is_delegate(certificate, issuer):
            yield certificate


def _is_delegate(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usages and is_issued_by(certificate, issuer)


def _has_signed(signer: x509.Certificate, response: ocsp.OCSPResponse) -> bool:
    key, signature, signed = signer.public_key(), response.signature, response.tbs_response_bytes
    algorithm = response.signature_hash_algorithm
    if not is_ordinary(key):
        return False
    try:
        match key:
            case rsa.RSAPublicKey() if algorithm is not None:
                key.verify(signature, signed, padding.PKCS1v15(), algorithm)
            case ec.EllipticCurvePublicKey() if algorithm is not None:
                key.verify(signature, signed, ec.ECDSA(algorithm))
            case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
                key.verify(signature, signed)
            case _:
                return False
    except (InvalidSignature, *_ERRORS):
        return False
    return True


def _status(
    single: ocsp.OCSPSingleResponse, produced_at: datetime, source: StatusSource, responder: str | None
) -> Revocation:
    revoked_at, reason, next_update = single.revocation_time_utc, single.revocation_reason, single.next_update_utc
    status = _STATUSES[single.certificate_status]
    return Revocation(
        status=status,
        source=source,
        reason="the responder does not know this certificate" if status is CertificateStatus.UNKNOWN else None,
        responder=responder,
        serial_number=f"{single.serial_number:X}",
        revoked_at=None if revoked_at is None else int(revoked_at.timestamp()),
        revocation_reason=None if reason is None else reason.value,
        produced_at=int(produced_at.timestamp()),
        this_update=int(single.this_update_utc.timestamp()),
        next_update=None if next_update is None else int(next_update.timestamp()),
    )
