"""Assertions on certificates and handshakes, and what a result tells of both."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.support.observed import SHOP, judged, parsed_test, ssl
from worker.apitest.responses.ssl import SSLResponse
from worker.apitest.result import Verdict
from worker.checks.protocols.table import response_as_json
from worker.checks.verdict import conclude
from worker.outcome.certificate import CertificateFault, moment
from worker.outcome.failure import Failure, FailureCode

EXPIRED = CertificateFault(code=10, message="certificate has expired")


@pytest.mark.parametrize(
    ("days", "operator", "target", "holds"),
    [
        (30.5, "isInMoreThan", 30, True),
        (30, "isInMoreThan", 30, False),
        (29.9, "isInMoreThan", "30", False),
        (29.9, "isInLessThan", 30, True),
        (30, "isInLessThan", 30, False),
        (30.5, "isInLessThan", 30.6, True),
        (-1, "isInLessThan", 0, True),
        (-1, "isInMoreThan", 0, False),
    ],
)
def test_the_end_of_a_certificate_is_counted_in_days(days: float, operator: str, target: object, holds: bool) -> None:
    result = judged(ssl(days=days), {"type": "certificate", "operator": operator, "target": target})
    assert (result.valid, result.actual) == (holds, days)


def test_days_are_rounded_down_so_that_the_message_and_the_verdict_agree() -> None:
    result = judged(ssl(days=30.009), {"type": "certificate", "operator": "isInMoreThan", "target": 30})
    assert (result.valid, result.actual) == (False, 30.0)
    assert result.error_message == "the number of days until the certificate ends is 30, not more than 30"


@pytest.mark.parametrize(
    ("name", "actual"),
    [
        ("subject.CN", "shop.test"),
        ("subject.cn", "shop.test"),
        ("subject.OU", "Web, Ops"),
        ("subject.altName", "DNS:shop.test, IP Address:192.0.2.1"),
        ("issuer.O", "Trust"),
        ("serialNumber", "0A1B"),
        ("fingerprint", "AA:BB"),
        ("fingerprint256", "CC:DD"),
        ("modulus", "ABCD"),
        ("exponent", 65537),
        ("keyType", "RSA"),
        ("keySize", 2048),
        ("signatureAlgorithm", "sha256WithRSAEncryption"),
        ("extKeyUsage", "1.3.6.1.5.5.7.3.1"),
        ("validFrom", "2023-11-14T22:13:20.000Z"),
        ("validTo", "2027-01-15T08:00:00.000Z"),
        ("protocol", "TLSv1.3"),
        ("cipher", "TLS_AES_256_GCM_SHA384"),
    ],
)
def test_every_property_has_its_value(name: str, actual: object) -> None:
    result = judged(ssl(), {"type": "property", "property": name, "operator": "is", "target": str(actual)})
    assert (result.valid, result.actual) == (True, actual)
    other = judged(ssl(), {"type": "property", "property": name, "operator": "isNot", "target": str(actual)})
    assert not other.valid


def test_a_whole_name_is_an_object() -> None:
    issuer = {"type": "property", "property": "issuer", "operator": "is", "target": '{"CN": "Trust CA", "O": "Trust"}'}
    assert judged(ssl(), issuer).valid


@pytest.mark.parametrize("operator", ["is", "isNot", "doesNotContain", "doesNotMatch"])
def test_what_the_certificate_does_not_have_satisfies_nothing(operator: str) -> None:
    result = judged(ssl(), {"type": "property", "property": "subject.L", "operator": operator, "target": "Utrecht"})
    assert (result.valid, result.error_message) == (False, "the certificate has no subject.L")


def test_patterns_are_searched() -> None:
    assert judged(ssl(), {"type": "property", "property": "issuer.CN", "operator": "matches", "target": "^Trust"}).valid


@pytest.mark.parametrize(
    ("protocol", "operator", "target", "holds"),
    [
        ("TLSv1.3", "is", 1.3, True),
        ("TLSv1.2", "is", "1.2", True),
        ("TLSv1", "is", "1.0", True),
        ("TLSv1.1", "moreThan", 1.1, False),
        ("TLSv1.2", "moreThanOrEqual", "1.2", True),
        ("TLSv1.1", "lessThan", 1.2, True),
    ],
)
def test_versions_of_tls_are_numbers(protocol: str, operator: str, target: object, holds: bool) -> None:
    result = judged(ssl(protocol=protocol), {"type": "tlsVersion", "operator": operator, "target": target})
    assert result.valid is holds


def test_the_lowest_version_is_another_one() -> None:
    strict = {"type": "minTlsVersion", "operator": "moreThan", "target": 1.1}
    assert judged(ssl(lowest="TLSv1.2"), strict).valid
    assert judged(ssl(lowest="TLSv1"), strict).actual == 1.0
    assert not judged(ssl(), strict).valid


def test_a_certificate_that_cannot_be_read_fails_what_is_asked_of_it() -> None:
    result = judged(ssl(chain=()), {"type": "certificate", "operator": "isInMoreThan", "target": 1})
    assert (result.valid, result.error_message) == (False, "the target's certificate cannot be read")
    assert judged(ssl(chain=()), {"type": "tlsVersion", "operator": "is", "target": 1.3}).valid


def test_the_report_has_the_names_of_the_reference_system() -> None:
    test = parsed_test("ssl", {"type": "certificate", "operator": "isInMoreThan", "target": 1})
    report = response_as_json(test, ssl(lowest="TLSv1.1", fault=EXPIRED), Verdict(failure=None))
    assert report is not None
    assert report["certificate_fault"] == {"code": "CERT_HAS_EXPIRED", "message": "certificate has expired"}
    assert (report["presented"], report["min_tls_version"], len(report["chain"])) == (2, 1.1, 1)
    assert report["handshake"] == {"protocol": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384"}
    assert report["certificate"] == {
        "subject": {
            "C": "NL",
            "O": "Shop",
            "OU": "Web, Ops",
            "CN": "shop.test",
            "altName": "DNS:shop.test, IP Address:192.0.2.1",
        },
        "issuer": {"O": "Trust", "CN": "Trust CA"},
        "serial_number": "0A1B",
        "valid": {"from": SHOP.valid_from * 1000, "to": SHOP.valid_to * 1000},
        "fingerprint": "AA:BB",
        "fingerprint256": "CC:DD",
        "key": {"type": "RSA", "size": 2048},
        "modulus": "ABCD",
        "exponent": 65537,
        "signature_algorithm": "sha256WithRSAEncryption",
        "ext_key_usage": ["1.3.6.1.5.5.7.3.1"],
        "days_left": 30.0,
    }


def test_a_refused_certificate_decides_and_its_facts_stay() -> None:
    test = parsed_test("ssl", {"type": "certificate", "operator": "isInMoreThan", "target": 1})
    seen = ssl(fault=EXPIRED)
    assert isinstance(seen.response, SSLResponse)
    failure = Failure(FailureCode.SSL, "the certificate of shop.test is not accepted")
    refused = replace(seen, failure=failure, response=replace(seen.response, handshake=None))
    verdict = conclude(test, refused, ())
    assert verdict.failure == failure
    report = response_as_json(test, refused, verdict)
    assert report is not None
    assert ("handshake" in report, report["certificate"]["subject"]["CN"]) == (False, "shop.test")


def test_dates_are_text_as_javascript_writes_it() -> None:
    assert moment(0) == "1970-01-01T00:00:00.000Z"
    assert moment(4_102_444_800) == "2100-01-01T00:00:00.000Z"
