"""Definitions that the reference system's own clients recorded are read without a mistake."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.recordings import RECORDED
from tests.support.shared import needs_shared
from worker.apitest.parse import parse
from worker.apitest.protocols.dns import DNSRequest
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.protocols.ssl import SSLRequest
from worker.apitest.protocols.tcp import TCPRequest
from worker.errors import TestError

INVALID = {
    "33762d062bdcef9c": "config.request.method: must be one of GET, POST, PATCH, PUT, HEAD, DELETE, OPTIONS, "
    "not 'A non existent method'",
    "991ee598f8712cd8": "config.assertions: must hold at least one assertion",
}
"""A fixture with a method that does not exist, and a request that the reference system answered with 400."""


RUNNABLE = [case for case in RECORDED if case["subtype"] in ("http", "tcp", "dns", "ssl")]


@needs_shared
def test_every_valid_definition_of_a_protocol_is_read() -> None:
    assert len(RUNNABLE) == 198
    for case in RUNNABLE:
        if case["id"] in INVALID:
            continue
        test = parse(case["test"])
        assert test.subtype == case["subtype"]
        assert len(test.assertions) == len(case["test"]["config"]["assertions"])
        assert (test.request is None) == bool(test.requires_update)
        assert test.public_id == case["test"].get("public_id", "")
        assert test.tick_every == case["test"]["options"]["tick_every"]


@needs_shared
@pytest.mark.parametrize("identifier", INVALID)
def test_an_invalid_one_says_what_is_wrong(identifier: str) -> None:
    (case,) = (case for case in RUNNABLE if case["id"] == identifier)
    with pytest.raises(TestError) as caught:
        parse(case["test"])
    assert caught.value.errors == (INVALID[identifier],)


@needs_shared
def test_definitions_of_other_kinds_require_an_update_and_are_no_mistake() -> None:
    others = [case for case in RECORDED if case not in RUNNABLE and case["subtype"] != "multi"]
    assert Counter(case["subtype"] for case in others) == {"grpc": 7, "udp": 1}
    for case in others:
        test = parse(case["test"])
        assert test.request is None
        assert test.requires_update == (f"subtype: '{case['subtype']}' tests are not there yet",)


@needs_shared
def test_recorded_multistep_tests_are_read_and_name_what_of_each_step_is_not_there_yet() -> None:
    recorded = [case for case in RECORDED if case["subtype"] == "multi"]
    assert len(recorded) == 17
    for case in recorded:
        test = parse(case["test"])
        assert len(test.steps) == (0 if test.requires_update else len(case["test"]["config"]["steps"]))
        assert all(each.startswith("config.steps[") for each in test.requires_update), test.requires_update


@needs_shared
def test_what_a_recorded_definition_cannot_have_yet_is_named_where_it_stands() -> None:
    (case,) = (case for case in RUNNABLE if case["id"] == "0a3702c209ec5be0")
    assert parse(case["test"]).requires_update == (
        "config.assertions[2].operator: the operator 'A non existent operator' is not known",
    )


@needs_shared
def test_recorded_requests_that_can_be_run_are_read_whole() -> None:
    requests = [test.request for test in (parse(c["test"]) for c in RUNNABLE if c["id"] not in INVALID) if test.request]
    assert Counter(type(request) for request in requests) == {
        HTTPRequest: 175,
        TCPRequest: 2,
        DNSRequest: 2,
        SSLRequest: 12,
    }
    assert TCPRequest(host="example.org", port=443) in requests
    assert SSLRequest(host="example.org", port=443, server_name="example.org", accept_self_signed=True) in requests
    assert DNSRequest(host="example.org", record_types=("A",)) in requests
    headers = (("Authentication", "Token: 1234566789"), ("Content-Type", "application/json"))
    assert HTTPRequest(url="https://www.example.org", headers=headers) in requests
