"""The SSL prober: shakes hands, keeps what the target showed, and asks further where the test wants to know more.

The first handshake believes the worker's authorities and is the one that is timed. Others follow, outside the phases and within
the test's time, only where that one was refused for a reason that the test accepts or that a missing intermediate certificate
explains, and where an assertion asks for the lowest version. A revoked certificate fails the run; a status that nobody
could tell does not.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from msgspec.structs import replace

from worker.apitest.observation import Observation
from worker.apitest.protocols.ssl import SSLRequest
from worker.apitest.responses.ssl import SSLResponse
from worker.clock import Clock
from worker.egress.hosts import parse_host
from worker.errors import HostError
from worker.net.deadline import Deadline
from worker.net.door import Door
from worker.net.failure import DoorError, out_of_time, still_waiting
from worker.net.identity import ClientIdentity
from worker.net.inspection import (
    Aim,
    Inspection,
    accepting_anything,
    believing,
    completed_by,
    inspect,
    inspect_again,
    lowest_version,
)
from worker.net.recorder import Recorder
from worker.net.stapling import stapled_answer
from worker.outcome.failure import Failure, FailureCode
from worker.outcome.revocation import CertificateStatus, Revocation
from worker.probers.certificates.authority import Fetcher, missing_issuers
from worker.probers.certificates.facts import chain_facts
from worker.probers.certificates.issuers import issuer_among, read_certificate
from worker.probers.certificates.ocsp import unknown
from worker.probers.certificates.revocation import asked_status, stapled_status
from worker.probers.limits import ProbeLimits

_IN_PLACE_BYTES: Final = 8 * 1024
"""Of a chain that is read on the event loop: public ones have half of it. A large one is names, and reading those takes long."""
_UNKNOWN_ISSUER: Final = frozenset({2, 18, 19, 20, 21, 27})
"""X509_V_ERR_*: an issuer that is not there or not believed, the certificate itself among them."""
_INCOMPLETE: Final = frozenset({2, 20, 21})
"""Those of them that a missing intermediate certificate may explain."""


async def probe(request: SSLRequest, door: Door, clock: Clock, _limits: ProbeLimits) -> Observation:
    """Run *request*. What was seen is in the response also where the certificate, or anything later, makes the run fail."""
    deadline = Deadline(clock, request.timeout)
    look = _Look(request, door, clock, Recorder(clock, deadline))
    failure: Failure | None
    try:
        async with deadline.limit():
            failure = await look.run()
    except DoorError as error:
        failure = error.failure
    except TimeoutError:
        failure = look.timed_out()
    return Observation(
        timings=look.recorder.timings(),
        failure=failure,
        resolution=look.recorder.resolution(),
        trouble=deadline.trouble,
        response=look.response,
    )


def _aim(request: SSLRequest) -> Aim:
    shown = request.client_certificate
    return Aim(
        host=request.host,
        port=request.port,
        server_name=_canonical(request.server_name),
        identity=None if shown is None else ClientIdentity(chain=shown.chain, key=shown.key),
    )


def _canonical(name: str) -> str:
    """The name as it goes over the wire, for international ones and for numbers; the handshake refuses what is none."""
    try:
        return str(parse_host(name))
    except HostError:
        return name


class _Look:
    """One run, as far as it has come."""

    def __init__(self, request: SSLRequest, door: Door, clock: Clock, recorder: Recorder) -> None:
        self._request = request
        self._door = door
        self._clock = clock
        self._where = (door, _aim(request), recorder)
        self._waiting_for: str | None = None
        self._fetched: tuple[bytes, ...] = ()
        self.recorder = recorder
        self.response: SSLResponse | None = None

    async def run(self) -> Failure | None:
        """Look as far as the test asks. Raises DoorError and TimeoutError."""
        request = self._request
        first = await inspect(*self._where)
        self.response = response = await self._seen(first)
        if response is None:
            return first.failure
        seen = first if first.fault is None else await self._overruled(first) or first
        handshake = seen.handshake
        self.response = response = replace(
            response, handshake=handshake, fault=first.fault if handshake else seen.fault, fetched=len(self._fetched)
        )
        if handshake is None:
            return seen.failure
        if request.lowest_version:
            self._waiting_for = "handshakes that look for the lowest TLS version"
            lowest = await lowest_version(*self._where, handshake.protocol)
            self.response = response = replace(response, lowest_version=lowest)
        if not request.check_revocation:
            return None
        self._waiting_for = "the status of the certificate"
        revocation = await self._status(first, seen)
        self.response = replace(response, revocation=revocation)
        return self._revoked(revocation)

    def timed_out(self) -> Failure:
        """The failure of a run whose time is over."""
        if self._waiting_for is None:
            return out_of_time(self._request.timeout, self.recorder.latest)
        return still_waiting(self._request.timeout, self._waiting_for)

    async def _seen(self, inspection: Inspection) -> SSLResponse | None:
        """None where the target showed nothing."""
        presented = inspection.presented
        if not presented and inspection.handshake is None:
            return None
        if sum(map(len, presented)) <= _IN_PLACE_BYTES:
            chain = chain_facts(presented)
        else:
            chain = await self._door.trust.aside.run(partial(chain_facts, presented), self.recorder.detached())
        return SSLResponse(
            chain=chain,
            presented=inspection.count,
            checked_at=self._clock.now().timestamp(),
        )

    async def _overruled(self, refused: Inspection) -> Inspection | None:
        """A second handshake, where the test or a fetched intermediate certificate overrules the fault; else None."""
        request, fault = self._request, refused.fault
        assert fault is not None
        self._waiting_for = "a second TLS handshake"
        if request.accept_any:
            return await inspect_again(*self._where, accepting_anything())
        if request.accept_self_signed and fault.code in _UNKNOWN_ISSUER:
            return await inspect_again(*self._where, believing(refused.presented))
        if request.fetch_intermediates and fault.code in _INCOMPLETE:
            return await self._completed(refused)
        return None

    async def _completed(self, refused: Inspection) -> Inspection | None:
        """A second handshake that knows the certificates which the target left out; None where that does not help."""
        self._waiting_for = "the intermediate certificates that the target left out"
        fetched = await missing_issuers(refused.presented, self._fetcher())
        if not fetched:
            return None
        self._waiting_for = "a second TLS handshake"
        trust = self._door.trust
        context = await trust.aside.run(partial(completed_by, trust, fetched), self.recorder.detached())
        seen = await inspect_again(*self._where, context)
        if seen.verified and seen.verified[-1] in fetched:
            return None  # a certificate from the network is never an anchor, whatever it looks like to OpenSSL
        self._fetched = fetched
        return seen

    async def _status(self, first: Inspection, seen: Inspection) -> Revocation:
        """The status of the certificate, by whoever can tell."""
        certificate = read_certificate(first.presented[0]) if first.presented else None
        if certificate is None:
            return unknown("the certificate cannot be read")
        issuer = issuer_among(certificate, (*seen.verified[1:], *first.presented[1:], *self._fetched))
        if issuer is None:
            return unknown("the certificate's issuer is not known, so that no answer about it can be verified")
        stapled = await stapled_answer(*self._where)
        if stapled is not None:
            status = stapled_status(stapled, certificate, issuer, self._clock)
            if status.status is not CertificateStatus.UNKNOWN:
                return status
        return await asked_status(certificate, issuer, self._fetcher(), self._clock)

    def _revoked(self, revocation: Revocation) -> Failure | None:
        """A status that nobody could tell is no failure: whoever could hide a revocation could hide it from a browser, too."""
        if revocation.status is not CertificateStatus.REVOKED:
            return None
        reason = f", for the reason {revocation.revocation_reason}" if revocation.revocation_reason else ""
        said = f"the certificate of {self._request.server_name} was revoked (CERT_REVOKED) by its issuer{reason}"
        return Failure(FailureCode.OCSP, said)

    def _fetcher(self) -> Fetcher:
        return Fetcher(self._door, self._clock, self.recorder)
