"""Certificates and handshakes judged and reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.apitest.assertion import Comparison, Subject
from worker.apitest.responses.ssl import SSLResponse
from worker.apitest.result import AssertionResult, Verdict
from worker.checks.describe import unjudged
from worker.checks.evidence import Evidence
from worker.checks.judge import judge_response_time, judge_value
from worker.checks.judgement import JudgementError
from worker.checks.operators import Search
from worker.checks.protocols.protocol import ProtocolChecks
from worker.checks.values import JSON
from worker.outcome.certificate import CertificateFacts, moment
from worker.outcome.handshake import Handshake, version_number

if TYPE_CHECKING:
    from worker.apitest.definition import APITest


def report(_test: APITest, response: SSLResponse, _verdict: Verdict) -> dict[str, Any]:
    """`certificate` and `ocsp` have the members of the reference system's second version, and some more."""
    handshake, fault = response.handshake, response.fault
    lowest, revocation = response.lowest_version, response.revocation
    members = {
        "handshake": None if handshake is None else handshake.as_json(),
        "certificate": _certificate(response),
        "chain": [each.brief() for each in response.chain],
        "presented": response.presented,
        "fetched": response.fetched or None,
        "certificate_fault": None if fault is None else fault.as_json(),
        "min_tls_version": None if lowest is None else version_number(lowest),
        "ocsp": None if revocation is None else revocation.as_json(),
    }
    return {name: value for name, value in members.items() if value is not None}


def _certificate(response: SSLResponse) -> dict[str, Any] | None:
    if not response.chain:
        return None
    leaf = response.chain[0]
    return leaf.as_json() | {"days_left": leaf.days_left(response.checked_at)}


def property_of(response: SSLResponse, name: str) -> JSON:
    """The property *name*, one of `PROPERTIES` or an attribute of a name; None where the certificate has none such."""
    handshake = response.handshake
    if name in ("cipher", "protocol"):
        return None if handshake is None else handshake.as_json()[name]
    if not response.chain:
        return None
    leaf = response.chain[0]
    head, _, attribute = name.partition(".")
    if head == "issuer":
        return _part(leaf.issuer.as_json(), attribute)
    if head == "subject":
        return _part(leaf.subject_as_json(), attribute)
    return _plain_property(leaf, name)


def _part(names: dict[str, str], attribute: str) -> JSON:
    """The attribute of a name, letter case ignored; the whole name as an object without one."""
    if not attribute:
        return dict(names)
    return next((value for name, value in names.items() if name.lower() == attribute.lower()), None)


def _plain_property(leaf: CertificateFacts, name: str) -> JSON:
    key = leaf.public_key
    found: dict[str, JSON] = {
        "exponent": key.exponent,
        "extKeyUsage": ", ".join(leaf.extended_key_usage) or None,
        "fingerprint": leaf.fingerprint,
        "fingerprint256": leaf.fingerprint256,
        "keySize": key.size,
        "keyType": key.kind,
        "modulus": key.modulus,
        "serialNumber": leaf.serial_number,
        "signatureAlgorithm": leaf.signature_algorithm,
        "validFrom": moment(leaf.valid_from),
        "validTo": moment(leaf.valid_to),
    }
    return found[name]


def _response(evidence: Evidence) -> SSLResponse:
    response = evidence.observation.response
    if not isinstance(response, SSLResponse):
        raise JudgementError("there is no TLS handshake to look at")
    return response


def _handshake(evidence: Evidence) -> Handshake:
    handshake = _response(evidence).handshake
    if handshake is None:
        raise JudgementError("the TLS handshake did not end")
    return handshake


def _judge_certificate(assertion: Comparison, evidence: Evidence, search: Search) -> AssertionResult:
    response = _response(evidence)
    if not response.chain:
        raise JudgementError("the target's certificate cannot be read")
    days = response.chain[0].days_left(response.checked_at)
    return judge_value(assertion, "the number of days until the certificate ends", days, search)


def _judge_property(assertion: Comparison, evidence: Evidence, search: Search) -> AssertionResult:
    name = assertion.property or ""
    value = property_of(_response(evidence), name)
    if value is None:
        return unjudged(assertion, f"the certificate has no {name}")
    return judge_value(assertion, f"the certificate's {name}", value, search)


def _judge_version(assertion: Comparison, evidence: Evidence, search: Search) -> AssertionResult:
    return judge_value(assertion, "the agreed TLS version", _handshake(evidence).version, search)


def _judge_lowest_version(assertion: Comparison, evidence: Evidence, search: Search) -> AssertionResult:
    lowest = _response(evidence).lowest_version
    if lowest is None:
        raise JudgementError("the lowest TLS version of the target is not known")
    return judge_value(assertion, "the lowest TLS version of the target", version_number(lowest), search)


CHECKS = ProtocolChecks(
    response=SSLResponse,
    judges={
        Subject.CERTIFICATE: _judge_certificate,
        Subject.MIN_TLS_VERSION: _judge_lowest_version,
        Subject.PROPERTY: _judge_property,
        Subject.RESPONSE_TIME: judge_response_time,
        Subject.TLS_VERSION: _judge_version,
    },
    report=report,
)
