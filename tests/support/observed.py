"""Observations made by hand, and one call that parses an assertion, judges it, and checks that both places to run agree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from tests.support.definitions import api_test
from worker.apitest.assertion import Assertion
from worker.apitest.definition import APITest
from worker.apitest.observation import Observation
from worker.apitest.parse import parse
from worker.apitest.protocols.table import PROTOCOLS
from worker.apitest.responses.dns import DNSAnswer, DNSAnswers
from worker.apitest.responses.http import HTTPResponse
from worker.apitest.responses.ssl import SSLResponse
from worker.apitest.responses.tcp import TCPConnection
from worker.apitest.result import AssertionResult
from worker.checks.cost import cost_of, evaluate_bounded
from worker.checks.evaluate import evaluate
from worker.checks.evidence import AssertionLimits, Evidence
from worker.checks.limits import BOUNDED_WORK
from worker.config.options import NAMES
from worker.outcome.certificate import (
    SECONDS_PER_DAY,
    CertificateFacts,
    CertificateFault,
    DistinguishedName,
    KeyFacts,
)
from worker.outcome.handshake import Handshake
from worker.outcome.phases import Timings
from worker.outcome.revocation import Revocation

LIMITS = AssertionLimits(
    max_body_bytes=cast("int", NAMES["maxBodySizeIfProcessed"].option.default),
    pattern_seconds=cast("int", NAMES["regexTimeout"].option.default) / 1000,
)
"""The options' own defaults."""
TIMINGS = Timings((("dns", 109), ("tcp", 24), ("ssl", 180), ("firstByte", 212), ("download", 2)))
"""52.7 ms, 41.8 without the look-up."""


def parsed_test(subtype: str, *assertions: dict[str, Any], **request: Any) -> APITest:
    return parse(api_test(subtype, *assertions, **request))


def assertion_of(subtype: str, assertion: dict[str, Any]) -> Assertion:
    return parsed_test(subtype, assertion).assertions[0]


def http(
    body: bytes = b"",
    content_type: str | None = "application/json",
    *,
    status: int = 200,
    headers: Iterable[tuple[str, str]] = (),
    encodings: tuple[str, ...] = (),
    handshake: Handshake | None = None,
) -> Observation:
    typed = () if content_type is None else (("Content-Type", content_type),)
    return Observation(
        timings=TIMINGS,
        response=HTTPResponse(
            url="https://shop.test/",
            status=status,
            http_version="1.1",
            headers=(*typed, *headers),
            body=body,
            content_encodings=encodings,
            handshake=handshake,
        ),
    )


def tcp(outcome: str) -> Observation:
    return Observation(timings=Timings((("dns", 10), ("tcp", 20))), response=TCPConnection(outcome=outcome))


def dns(**answers: tuple[str, ...]) -> Observation:
    """Records by type; a type without records was not found."""
    return Observation(
        timings=Timings((("dns", 145),)),
        response=DNSAnswers(
            answers=tuple(
                DNSAnswer(record_type=kind, records=records, rcode="NOERROR" if records else "NXDOMAIN")
                for kind, records in answers.items()
            )
        ),
    )


SHOP = CertificateFacts(
    subject=DistinguishedName(
        attributes=(("C", "NL"), ("O", "Shop"), ("OU", "Web"), ("OU", "Ops"), ("CN", "shop.test"))
    ),
    issuer=DistinguishedName(attributes=(("O", "Trust"), ("CN", "Trust CA"))),
    alternative_names=("DNS:shop.test", "IP Address:192.0.2.1"),
    serial_number="0A1B",
    valid_from=1_700_000_000,
    valid_to=1_800_000_000,
    fingerprint="AA:BB",
    fingerprint256="CC:DD",
    public_key=KeyFacts(kind="RSA", size=2048, modulus="ABCD", exponent=65537),
    signature_algorithm="sha256WithRSAEncryption",
    extended_key_usage=("1.3.6.1.5.5.7.3.1",),
)


def ssl(
    *,
    days: float = 30,
    protocol: str = "TLSv1.3",
    lowest: str | None = None,
    fault: CertificateFault | None = None,
    chain: tuple[CertificateFacts, ...] = (SHOP,),
    revocation: Revocation | None = None,
) -> Observation:
    """*days* before the end of the certificate."""
    handshake = Handshake(protocol=protocol, cipher="TLS_AES_256_GCM_SHA384")
    return Observation(
        timings=Timings((("dns", 10), ("tcp", 20), ("handshake", 30))),
        response=SSLResponse(
            chain=chain,
            presented=2,
            checked_at=SHOP.valid_to - days * SECONDS_PER_DAY,
            handshake=handshake,
            fault=fault,
            lowest_version=lowest,
            revocation=revocation,
        ),
    )


EXAMPLES: dict[str, Observation] = {
    "http": http(b"{}"),
    "tcp": tcp("established"),
    "dns": dns(A=("192.0.2.1",), AAAA=()),
    "ssl": ssl(),
}
"""One observation of each protocol."""


def judged(observation: Observation, assertion: dict[str, Any], limits: AssertionLimits = LIMITS) -> AssertionResult:
    """The result of *assertion*, the same in place where it may be judged there."""
    (subtype,) = (name for name, each in PROTOCOLS.items() if isinstance(observation.response, each.response))
    parsed = assertion_of(subtype, assertion)
    result = evaluate(parsed, Evidence(observation, limits))
    if cost_of(parsed, Evidence(observation, limits)) <= BOUNDED_WORK:
        assert evaluate_bounded(parsed, Evidence(observation, limits)) == result
    return result
