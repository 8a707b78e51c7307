"""Fetches what certificates name: the issuers that a target leaves out (RFC 5280 §4.2.2.1), answers about their status.

Every fetch is an HTTP exchange through the door, under its policy. The URLs come from a target, so there are few, and each answer
is small and has its own time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from msgspec import Struct

from worker.clock import Clock
from worker.net.door import Door
from worker.net.http.client import Client
from worker.net.http.request import Request
from worker.net.http.response import HTTPLimits
from worker.net.recorder import Recorder
from worker.probers.certificates.issuers import (
    CANNOT_BE_READ,
    is_named_by,
    issuer_among,
    issuer_places,
    read_certificate,
    read_issuer,
)

MAX_ANSWER_BYTES: Final = 64 * 1024
"""Of one answer: a certificate, or a signed status with the certificate of who signed it, takes a few KiB."""
MAX_FETCHED: Final = 3
"""Intermediate certificates that are fetched for one chain: public chains lack one, or two."""
FETCH_SECONDS: Final = 10.0
"""For one answer: authorities answer in tenths of a second. It never takes more than half of the time that the test has left, so
that the run goes on where nothing comes.
"""


class Answer(Struct, frozen=True, kw_only=True):
    """*reason* says why there is no *body*."""

    url: str
    body: bytes | None = None
    reason: str = ""


class Fetcher:
    """Fetches within the time of one run."""

    def __init__(self, door: Door, clock: Clock, recorder: Recorder) -> None:
        self._client = Client(door, clock, HTTPLimits(max_body_bytes=MAX_ANSWER_BYTES))
        self._recorder = recorder

    async def fetch(self, url: str, body: bytes | None = None, content_type: str | None = None) -> Answer:
        """GET *url*, or POST *body* there. Raises nothing."""
        request = Request(
            url=url,
            method="GET" if body is None else "POST",
            body=body,
            content_type=content_type,
            follow_redirects=True,
        )
        seconds = max(0.0, min(FETCH_SECONDS, self._recorder.remaining() / 2))
        transfer = await self._client.send(request, seconds)
        response = transfer.response
        if transfer.failure is not None or response is None:
            reason = "nothing came" if transfer.failure is None else transfer.failure.message
            return Answer(url=url, reason=reason)
        if response.status != 200:
            return Answer(url=url, reason=f"{url}: answered with status {response.status}")
        return Answer(url=url, body=response.body)


async def missing_issuers(presented: Sequence[bytes], fetcher: Fetcher) -> tuple[bytes, ...]:
    """Fetch the issuers that the chain *presented* lacks, in DER, from its end upwards. OpenSSL verifies what comes of it."""
    last = _end_of(presented)
    found: list[bytes] = []
    while last is not None and len(found) < MAX_FETCHED and not is_named_by(last, last):
        last = await _issuer_of(last, fetcher)
        if last is not None and not is_named_by(last, last):  # a root is believed or not, wherever it lies
            found.append(last.public_bytes(Encoding.DER))
    return tuple(found)


def _end_of(presented: Sequence[bytes]) -> x509.Certificate | None:
    """The end of the chain that begins with the first certificate, by names, in whatever order the others came."""
    last = read_certificate(presented[0]) if presented else None
    rest = [read_issuer(each) for each in presented[1:]]
    for _ in range(len(rest)):
        above = next((each for each in rest if each is not None and last is not None and is_named_by(last, each)), None)
        if above is None or above == last:
            break
        last = above
    return last


async def _issuer_of(certificate: x509.Certificate, fetcher: Fetcher) -> x509.Certificate | None:
    for url in issuer_places(certificate):
        answer = await fetcher.fetch(url)
        issuer = issuer_among(certificate, _certificates_in(answer.body or b""))
        if issuer is not None:
            return issuer
    return None


def _certificates_in(body: bytes) -> list[bytes]:
    """One certificate in DER, as RFC 5280 §4.2.2.1 has it, or a certs-only CMS message; PEM where a server is mistaken."""
    if read_issuer(body) is not None:
        return [body]
    for read in (pkcs7.load_der_pkcs7_certificates, x509.load_pem_x509_certificates):
        try:
            return [each.public_bytes(Encoding.DER) for each in read(body)[:MAX_FETCHED]]
        except CANNOT_BE_READ:
            continue
    return []
