"""SSL tests are read: the switches from options or from a step, the properties in every spelling, the numbers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.definitions import api_test
from worker.apitest.assertion import Comparison
from worker.apitest.parse import parse
from worker.apitest.protocols.ssl import SSLRequest
from worker.errors import TestError

IN_TIME = {"type": "responseTime", "operator": "lessThan", "target": 1000}


def request(*assertions: dict[str, Any], options: dict[str, Any] | None = None, **members: Any) -> SSLRequest:
    definition = api_test("ssl", *(assertions or (IN_TIME,)), **members)
    definition["options"] |= options or {}
    asked = parse(definition).request
    assert isinstance(asked, SSLRequest)
    return asked


def stepwise(name: str, options: dict[str, Any] | None = None) -> SSLRequest:
    members: dict[str, Any] = {name: True}
    return request(options=options, **members)


def mistakes(assertion: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(TestError) as caught:
        parse(api_test("ssl", assertion))
    return caught.value.errors


def test_the_name_is_the_host_unless_the_test_says_another_one() -> None:
    assert request() == SSLRequest(host="shop.test", port=443, server_name="shop.test")
    asked = request(servername="www.shop.test", port="8443", timeout=5)
    assert (asked.server_name, asked.port, asked.timeout) == ("www.shop.test", 8443, 5.0)


@pytest.mark.parametrize(
    ("name", "member", "value"),
    [
        ("accept_self_signed", "accept_self_signed", True),
        ("ignore_certificate_validation", "accept_any", True),
        ("checkCertificateRevocation", "check_revocation", True),
        ("disableAiaIntermediateFetching", "fetch_intermediates", False),
    ],
)
def test_a_switch_stands_in_the_options_or_in_the_request_of_a_step(name: str, member: str, value: bool) -> None:
    assert getattr(request(options={name: True}), member) is value
    assert getattr(stepwise(name), member) is value
    assert getattr(stepwise(name, options={name: False}), member) is not value
    assert getattr(request(), member) is not value


def test_a_step_writes_self_signed_as_insecure() -> None:
    assert request(allow_insecure=True).accept_self_signed
    assert not request(options={"allow_insecure": True}).accept_self_signed


def test_the_lowest_version_is_looked_for_only_where_an_assertion_needs_it() -> None:
    lowest = {"type": "minTlsVersion", "operator": "moreThanOrEqual", "target": 1.2}
    assert request(lowest).lowest_version
    assert not request({"type": "tlsVersion", "operator": "is", "target": 1.2}).lowest_version


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("subject.CN", "subject.CN"),
        ("Issuer.o", "issuer.o"),
        ("subject.altName", "subject.altName"),
        ("subjectaltname", "subject.altName"),
        ("serial_number", "serialNumber"),
        ("valid_to", "validTo"),
        ("valid.to", "validTo"),
        ("EXT_KEY_USAGE", "extKeyUsage"),
        ("fingerprint256", "fingerprint256"),
        ("issuer", "issuer"),
    ],
)
def test_a_property_is_known_in_every_spelling(written: str, read: str) -> None:
    (assertion,) = parse(
        api_test("ssl", {"type": "property", "property": written, "operator": "is", "target": "x"})
    ).assertions
    assert isinstance(assertion, Comparison)
    assert assertion.property == read


def test_an_unknown_property_requires_an_update_and_a_missing_one_is_a_mistake() -> None:
    (unknown,) = parse(
        api_test("ssl", {"type": "property", "property": "fingerprnt", "operator": "is", "target": "x"})
    ).requires_update
    assert unknown.startswith("config.assertions[0].property: the property 'fingerprnt' of a certificate is not known")
    assert unknown.endswith("did you mean 'fingerprint'?")
    assert mistakes({"type": "property", "operator": "is", "target": "x"}) == (
        "config.assertions[0].property: is missing",
    )


@pytest.mark.parametrize(
    ("kind", "operator"),
    [("certificate", "isInMoreThan"), ("tlsVersion", "is"), ("tlsVersion", "lessThan"), ("minTlsVersion", "moreThan")],
)
def test_days_and_versions_are_numbers_or_their_text(kind: str, operator: str) -> None:
    for target in (1, 1.2, "1.2", "10"):
        assert parse(api_test("ssl", {"type": kind, "operator": operator, "target": target})).assertions
    assert mistakes({"type": kind, "operator": operator, "target": "soon"}) == (
        "config.assertions[0].target: must be a number, not 'soon'",
    )
    assert mistakes({"type": kind, "operator": operator}) == ("config.assertions[0].target: is missing",)


@pytest.mark.parametrize(
    ("kind", "operator"), [("certificate", "lessThan"), ("minTlsVersion", "lessThan"), ("property", "moreThan")]
)
def test_an_operator_of_other_types_is_a_mistake(kind: str, operator: str) -> None:
    (mistake,) = mistakes({"type": kind, "property": "cipher", "operator": operator, "target": 1})
    assert mistake.startswith("config.assertions[0].operator: must be one of")
