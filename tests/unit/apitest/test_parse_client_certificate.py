"""Client certificates are read with both of their parts or, as exports have them, with neither."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.definitions import api_test
from worker.apitest.definition import APITest
from worker.apitest.parse import parse
from worker.apitest.parse_request import MAX_PEM
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.protocols.ssl import SSLRequest
from worker.apitest.request import ClientCertificate
from worker.errors import TestError
from worker.secret import Secret

IN_TIME = {"type": "responseTime", "operator": "lessThan", "target": 1000}
WHOLE = {"cert": {"content": "CERT", "filename": "c.pem"}, "key": {"content": "KEY", "filename": "k.pem"}}


def parsed(subtype: str, certificate: Any, **members: Any) -> APITest:
    return parse(api_test(subtype, IN_TIME, certificate=certificate, **members))


def shown(subtype: str, certificate: Any, **members: Any) -> ClientCertificate | None:
    request = parsed(subtype, certificate, **members).request
    assert isinstance(request, HTTPRequest | SSLRequest)
    return request.client_certificate


def mistakes(certificate: Any) -> tuple[str, ...]:
    with pytest.raises(TestError) as caught:
        parsed("http", certificate)
    return caught.value.errors


@pytest.mark.parametrize("subtype", ["http", "ssl"])
def test_both_parts_are_read_and_the_key_does_not_print_itself(subtype: str) -> None:
    found = shown(subtype, WHOLE)
    assert found == ClientCertificate(chain="CERT", key=Secret("KEY"))
    assert "KEY" not in repr(parsed(subtype, WHOLE))
    assert shown(subtype, WHOLE, certificateDomains=["a.test"]) == ClientCertificate(
        chain="CERT", key=Secret("KEY"), domains=("a.test",)
    )


@pytest.mark.parametrize("subtype", ["http", "ssl"])
def test_an_export_has_neither_content_and_runs_without(subtype: str) -> None:
    test = parsed(subtype, {"cert": {"filename": "c.pem"}, "key": {"filename": "k.pem"}})
    assert test.request is not None
    assert test.requires_update == ()
    assert test.ignored == (
        "config.request.certificate: without its contents, which exports leave out: no client certificate is shown",
    )


@pytest.mark.parametrize("nothing", [None, {}])
def test_no_certificate_is_nothing_to_tell(nothing: Any) -> None:
    assert (shown("http", nothing), parsed("http", nothing).ignored) == (None, ())


def test_one_part_without_the_other_is_a_mistake() -> None:
    assert mistakes({"cert": {"content": "CERT"}}) == ("config.request.certificate.key.content: is missing",)
    assert mistakes({"key": {"content": "KEY"}}) == ("config.request.certificate.cert.content: is missing",)
    assert mistakes({"cert": "CERT"}) == ("config.request.certificate.cert: must be an object, not text",)


def test_contents_have_a_bound_and_the_sentence_does_not_repeat_them() -> None:
    (mistake,) = mistakes({"cert": {"content": "CERT"}, "key": {"content": "K" * (MAX_PEM + 1)}})
    assert mistake == "config.request.certificate.key.content: must have at most 32768 characters, not 32769"
