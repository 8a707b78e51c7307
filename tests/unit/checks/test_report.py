"""What of a response a result keeps, and what it leaves out."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.support.observed import LIMITS, dns, http, parsed_test, tcp
from worker.apitest.observation import Observation
from worker.apitest.responses.http import HTTPResponse
from worker.checks.evaluate import evaluate
from worker.checks.evidence import Evidence
from worker.checks.limits import MAX_KEPT_BODY, SNIPPET
from worker.checks.preview import needs_evaluator, preview_of
from worker.checks.protocols.table import response_as_json
from worker.checks.verdict import conclude
from worker.outcome.handshake import Handshake
from worker.outcome.hop import Hop
from worker.outcome.phases import Timings

STATUS = {"type": "statusCode", "operator": "is", "target": 200}
HOLDS = {"type": "body", "operator": "contains", "target": "x"}
FAILS = {"type": "body", "operator": "contains", "target": "nowhere"}


def reported(
    observation: Observation, *assertions: dict[str, Any], subtype: str = "http", **request: Any
) -> dict[str, Any]:
    test = parsed_test(subtype, *assertions, **request)
    preview = preview_of(observation.response) if needs_evaluator(test, observation.response) else None
    evidence = Evidence(observation, LIMITS)
    verdict = conclude(test, observation, [evaluate(assertion, evidence) for assertion in test.assertions], preview)
    response = response_as_json(test, observation, verdict)
    assert response is not None
    return response


def test_a_response_without_body_assertions_keeps_no_body() -> None:
    page = http(b"x" * 100, headers=[("X-A", "1"), ("x-a", "2")])
    assert reported(page, STATUS) == {
        "status_code": 200,
        "http_version": "1.1",
        "headers": {"content-type": "application/json", "x-a": "1, 2"},
        "redirects": [],
        "body_size": 100,
    }


def test_what_tls_agreed_on_is_kept() -> None:
    page = http(b"x", handshake=Handshake(protocol="TLSv1.2", cipher="AES256-SHA"))
    assert reported(page, STATUS)["handshake"] == {"protocol": "TLSv1.2", "cipher": "AES256-SHA"}


def test_content_codings_that_are_not_known_are_named() -> None:
    assert reported(http(b"x", encodings=("gzip", "AWS-Chunked")), HOLDS)["unknown_content_encodings"] == [
        "aws-chunked"
    ]
    many = reported(http(b"x", encodings=("y" * 1000,) * 1000), HOLDS)["unknown_content_encodings"]
    assert [len(name) for name in many] == [SNIPPET] * 4
    assert "unknown_content_encodings" not in reported(http(gzip.compress(b"x"), encodings=("gzip", "identity")), HOLDS)


def test_fifty_characters_are_kept_when_all_body_assertions_hold() -> None:
    assert reported(http(b"x" * 100), HOLDS)["body"] == "x" * 50
    assert reported(http(b"x" * 100), HOLDS)["is_body_truncated"] is True
    assert reported(http(b"x"), HOLDS) | {"body": "x", "is_body_truncated": False} == reported(http(b"x"), HOLDS)


def test_the_body_is_kept_to_its_bound_when_one_fails() -> None:
    whole = reported(http(b"x" * MAX_KEPT_BODY), HOLDS, FAILS)
    assert (len(whole["body"]), whole["is_body_truncated"]) == (MAX_KEPT_BODY, False)
    more = reported(http(b"x" * (MAX_KEPT_BODY + 1)), HOLDS, FAILS)
    assert (len(more["body"]), more["is_body_truncated"]) == (MAX_KEPT_BODY, True)


def test_a_compressed_body_is_kept_readable() -> None:
    page = http(gzip.compress(b"x" * 1_000_000), encodings=("gzip",))
    kept = reported(page, FAILS)
    assert (kept["body"], kept["is_body_truncated"]) == ("x" * MAX_KEPT_BODY, True)
    broken = http(b"no gzip", encodings=("gzip",))
    assert "body" not in reported(broken, FAILS)


@pytest.mark.parametrize(
    "page",
    [http(gzip.compress(b"x"), encodings=("gzip",)), http(b"\xa4\xa4", "text/plain; charset=big5")],
    ids=["coded", "of a rare charset"],
)
def test_what_costs_more_than_a_look_is_not_decoded_in_place(page: Observation) -> None:
    test = parsed_test("http", FAILS)
    assert needs_evaluator(test, page.response)
    assert not needs_evaluator(parsed_test("http", STATUS), page.response), "nothing of the body is kept"
    assert not needs_evaluator(parsed_test("http", FAILS, noSavingResponseBody=True), page.response)
    verdict = conclude(test, page, [evaluate(test.assertions[0], Evidence(page, LIMITS))])
    assert "body" not in (response_as_json(test, page, verdict) or {})


@pytest.mark.parametrize("body", [bytes(MAX_KEPT_BODY), b"x" * (MAX_KEPT_BODY // 2) + bytes(MAX_KEPT_BODY // 2)])
def test_a_body_of_control_characters_is_bounded_as_it_is_written(body: bytes) -> None:
    kept = reported(http(body), FAILS)
    assert kept["is_body_truncated"] is True
    assert body.startswith(kept["body"].encode())
    assert MAX_KEPT_BODY // 4 < len(json.dumps(kept["body"])) <= 1.5 * MAX_KEPT_BODY + 2


@pytest.mark.parametrize("shift", range(4))
def test_a_body_is_cut_between_characters_and_not_within_one(shift: int) -> None:
    text = "x" * shift + "€" * MAX_KEPT_BODY
    kept = reported(http(text.encode()), FAILS)
    assert kept["body"]
    assert text.startswith(kept["body"])


def test_a_test_that_says_so_keeps_no_body_at_all() -> None:
    assert "body" not in reported(http(b"x"), FAILS, noSavingResponseBody=True)


def test_redirects_say_where_each_one_led() -> None:
    hops = tuple(
        Hop(url=f"https://shop.test/{n}", status=status, address=None, timings=Timings())
        for n, status in enumerate((301, 302, 200))
    )
    response = HTTPResponse(url=hops[-1].url, status=200, http_version="1.1", headers=(), body=b"", hops=hops)
    assert reported(Observation(timings=Timings(), response=response), STATUS)["redirects"] == [
        {"status_code": 301, "location": "https://shop.test/1"},
        {"status_code": 302, "location": "https://shop.test/2"},
    ]


def test_records_and_connections() -> None:
    record = {"type": "recordSome", "property": "A", "operator": "is", "target": "192.0.2.1"}
    assert reported(dns(A=("192.0.2.1",)), record, subtype="dns") == {
        "records": [{"type": "A", "values": ["192.0.2.1"], "rcode": "NOERROR", "flags": [], "ttl": None}]
    }
    connection = {"type": "connection", "operator": "is", "target": "refused"}
    assert reported(tcp("refused"), connection, subtype="tcp") == {"connection_outcome": "refused"}


def test_no_response_is_none() -> None:
    test = parsed_test("http", STATUS)
    observation = Observation(timings=Timings())
    assert (
        response_as_json(
            test,
            observation,
            conclude(test, http(), [evaluate(test.assertions[0], Evidence(http(), LIMITS))]),
        )
        is None
    )
