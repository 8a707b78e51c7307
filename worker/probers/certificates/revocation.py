"""The status of a certificate, by what came with it, or asked of the responders that it names."""

from __future__ import annotations

import secrets
from typing import Final

from cryptography import x509

from worker.clock import Clock
from worker.outcome.revocation import CertificateStatus, Revocation, StatusSource
from worker.probers.certificates.authority import Fetcher
from worker.probers.certificates.issuers import responders
from worker.probers.certificates.ocsp import CONTENT_TYPE, question, status_of, unknown

NONCE_BYTES: Final = 16
"""RFC 9654 §2.1 has responders accept from 1 to 128, and the older ones take up to 32."""


def stapled_status(answer: bytes, certificate: x509.Certificate, issuer: x509.Certificate, clock: Clock) -> Revocation:
    """The status by the answer that a target sent with its certificate."""
    return status_of(answer, certificate, issuer, now=clock.now().timestamp(), source=StatusSource.STAPLED)


async def asked_status(
    certificate: x509.Certificate, issuer: x509.Certificate, fetcher: Fetcher, clock: Clock
) -> Revocation:
    """Ask one responder after another until one can tell; unknown with its reason where none can."""
    status = unknown("the certificate names no OCSP responder")
    for url in responders(certificate):
        status = await _asked(url, certificate, issuer, fetcher, clock)
        if status.status is not CertificateStatus.UNKNOWN:
            break
    return status


async def _asked(
    url: str, certificate: x509.Certificate, issuer: x509.Certificate, fetcher: Fetcher, clock: Clock
) -> Revocation:
    nonce = secrets.token_bytes(NONCE_BYTES)
    answer = await fetcher.fetch(url, question(certificate, issuer, nonce), CONTENT_TYPE)
    if answer.body is None:
        return unknown(answer.reason, source=StatusSource.RESPONDER, responder=url)
    return status_of(
        answer.body,
        certificate,
        issuer,
        now=clock.now().timestamp(),
        source=StatusSource.RESPONDER,
        nonce=nonce,
        responder=url,
    )
