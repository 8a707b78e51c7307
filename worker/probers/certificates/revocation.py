"""The status of a certificate, asked of the responders that it names. Unknown with its reason where none of them can tell."""

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


async def asked_status(
    certificate: x509.Certificate, issuer: x509.Certificate, fetcher: Fetcher, clock: Clock
) -> Revocation:
    """Ask one responder after another until one can tell."""
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
