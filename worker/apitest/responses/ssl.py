"""The certificates and the handshake that an SSL probe saw."""

from __future__ import annotations

from worker.apitest.observation import ProbeResponse
from worker.outcome.certificate import CertificateFacts, CertificateFault
from worker.outcome.handshake import Handshake
from worker.outcome.revocation import Revocation


class SSLResponse(ProbeResponse, frozen=True, kw_only=True):
    """The certificates that the target showed, its own first, whether or not they were accepted.

    *presented* counts them, also those that are not described. *fault* is the reason why they were not accepted at first, even
    where the test accepts that. *handshake* is None where it did not end. *checked_at* in seconds since 1970.
    """

    chain: tuple[CertificateFacts, ...]
    presented: int
    checked_at: float
    handshake: Handshake | None = None
    fault: CertificateFault | None = None
    fetched: int = 0
    """Intermediate certificates that the target left out and the worker fetched."""
    lowest_version: str | None = None
    revocation: Revocation | None = None
