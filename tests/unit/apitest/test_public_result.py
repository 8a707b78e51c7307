"""The public v2 shape of a result: read by the reference system's own client, and equal to what that system recorded."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from datadog_api_client.configuration import Configuration
from datadog_api_client.model_utils import validate_and_convert_types
from datadog_api_client.v2.model.synthetics_test_result_detail import SyntheticsTestResultDetail
from hypothesis import given
from hypothesis import strategies as st

from tests.support import observed
from tests.support.definitions import api_test
from tests.support.recordings import RECORDED_RESULTS
from tests.support.shared import needs_shared
from worker.apitest.observation import Observation
from worker.apitest.parse import parse
from worker.apitest.public_result import public_result
from worker.apitest.result import Result, Status
from worker.checks.evaluate import evaluate
from worker.checks.evidence import Evidence
from worker.checks.protocols.table import response_as_json
from worker.checks.verdict import conclude
from worker.outcome.certificate import CertificateFault
from worker.outcome.handshake import Handshake
from worker.outcome.phases import Timings
from worker.outcome.resolution import Attempt, Resolution
from worker.outcome.revocation import CertificateStatus, Revocation, StatusSource

CLIENT = Configuration()  # type: ignore[no-untyped-call]
FULL = [each["result"] for each in RECORDED_RESULTS if each["kind"] == "full"]
PASSED = [each for each in FULL if each["result"]["passed"]]
TIMINGS = [each["result"]["result"]["timings"] for each in RECORDED_RESULTS]
SUMMED = [each for each in TIMINGS if set(each) != {"dns", "total"}]
"""All but a look-up that failed: there the reference system's total has what it does not print."""


def read_by_the_client(result: dict[str, Any]) -> Any:
    """The v2 model of the reference system's client; it raises for a member of a wrong type, null included."""
    expected = (SyntheticsTestResultDetail,)
    return validate_and_convert_types(result, expected, ["result"], True, True, CLIENT)  # type: ignore[no-untyped-call]


def outcome_of(definition: dict[str, Any], observation: Observation) -> dict[str, Any]:
    """What a run of *definition* that saw *observation* stores."""
    test = parse(definition)
    results = [evaluate(each, Evidence(observation, observed.LIMITS)) for each in test.assertions]
    verdict = conclude(test, observation, results)
    return Result(
        test_public_id="abc-def-ghi",
        test_name=test.name,
        test_subtype=test.subtype,
        test_version=1,
        status=Status.PASSED if verdict.passed else Status.FAILED,
        timings=observation.timings,
        failure=verdict.failure,
        assertions=verdict.assertions,
        resolution=observation.resolution_as_json(),
        response=response_as_json(test, observation, verdict),
    ).as_json()


def in_tenths(timings: dict[str, float]) -> Timings:
    """The phases of a recording in the order of a run."""
    order = ("authentication", "redirect", "dns", "tcp", "ssl", "handshake", "firstByte", "wait", "download")
    return Timings(tuple((name, round(timings[name] * 10)) for name in order if name in timings))


def exactly(value: float) -> Decimal:
    return Decimal(str(value))


@needs_shared
def test_every_recorded_total_is_what_our_phases_sum_up_to() -> None:
    assert len(SUMMED) >= 151
    for recorded in SUMMED:
        shown = public_result({"status": "passed", "timings": in_tenths(recorded).as_json()})
        assert shown["timings"] == recorded
        assert shown["duration"] == recorded["total"]


@needs_shared
def test_a_recorded_run_ends_in_the_recorded_assertions_and_facts() -> None:
    assert PASSED
    for recorded in PASSED:
        said = recorded["result"]
        headers = [(each["property"], each["actual"]) for each in said["assertionResults"] if each["type"] == "header"]
        seen = observed.http(status=said["httpStatusCode"], content_type=None, headers=headers, body=b"x" * 220)
        definition = recorded["check"] | {"name": "recorded", "subtype": said["subtype"], "locations": []}
        shown = public_result(outcome_of(definition, seen), result_id=recorded["result_id"], run_type="scheduled")
        assert shown["assertions"] == said["assertionResults"]
        assert shown["timings"] == said["timings"]
        assert shown["response"]["status_code"] == said["httpStatusCode"]
        assert shown["response"]["body_size"] == said["responseSize"]
        assert (shown["id"], shown["status"]) == (recorded["result_id"], "passed")
        read_by_the_client(shown)


@given(st.lists(st.integers(0, 10**9), max_size=9))
def test_the_printed_phases_sum_up_to_the_printed_total_exactly(nanoseconds: list[int]) -> None:
    phases = {f"phase{number}": value for number, value in enumerate(nanoseconds)}
    timings = public_result({"timings": Timings.from_nanoseconds(phases).as_json()})["timings"]
    total = timings.pop("total")
    assert sum(map(exactly, timings.values())) == exactly(total)


RESOLUTION = Resolution(
    server="192.0.2.53",
    address="192.0.2.1",
    port=443,
    attempts=(Attempt(address="192.0.2.2", port=443, elapsed_tenths=3, error="refused"),),
)
STEP = {
    "name": "Log in",
    "subtype": "http",
    "status": "failed",
    "allow_failure": False,
    "timings": {"dns": 0.1, "firstByte": 0.2, "total": 0.3},
    "assertions": [{"type": "statusCode", "operator": "is", "expected": "200", "actual": 403, "valid": False}],
    "failure": {"code": "INCORRECT_ASSERTION", "message": "[]"},
    "response": {"status_code": 403, "handshake": {"protocol": "TLSv1.2", "cipher": "AES256-SHA"}},
    "variables": {"extracted": [{"name": "TOKEN", "val": "***", "secure": True}]},
}
OUTCOME: dict[str, Any] = {
    "test": {"public_id": "abc-def-ghi", "name": "Shop", "subtype": "multi", "version": 3},
    "status": "failed",
    "failure": {"code": "TIMEOUT", "message": "after 5 s"},
    "timings": {"dns": 1.0, "total": 1.0},
    "assertions": [],
    "dns_resolution": RESOLUTION.as_json(),
    "response": {
        "status_code": 200,
        "headers": {"server": "x"},
        "handshake": {"protocol": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384"},
        "certificate": {"subject": {"CN": "shop.test"}, "valid": {"from": 1, "to": 2}},
    },
    "steps": [STEP, {"name": "Pay", "subtype": "http", "status": "skipped", "allow_failure": False}],
    "scheduled_at": 1,
    "leased_at": 2,
    "started_at": 3,
    "finished_at": 4,
    "unhealthy": "the event loop was late",
    "location": {"worker_id": "w", "version": "1"},
    "cut": ["assertions"],
    "is_fast_retry": True,
    "initial_id": "9",
}


def test_each_member_has_its_public_name() -> None:
    shown = public_result(OUTCOME, result_id="7", run_type="scheduled")
    steps = shown.pop("steps")
    assert shown == {
        "id": "7",
        "initial_id": "9",
        "is_fast_retry": True,
        "status": "failed",
        "run_type": "scheduled",
        "duration": 1.0,
        "started_at": 3,
        "finished_at": 4,
        "triggered_at": 1,
        "unhealthy": True,
        "unhealthy_reason": "the event loop was late",
        "failure": {"code": "TIMEOUT", "message": "after 5 s"},
        "assertions": [],
        "timings": {"dns": 1.0, "total": 1.0},
        "resolved_ip": "192.0.2.1",
        "dns_resolution": {
            "server": "192.0.2.53",
            "resolved_ip": "192.0.2.1",
            "resolved_port": "443",
            "attempts": [{"ip": "192.0.2.2", "port": "443", "elapsed": "0.3", "error": "refused"}],
        },
        "response": {"status_code": 200, "headers": {"server": "x"}},
        "cert": {
            "subject": {"CN": "shop.test"},
            "valid": {"from": 1, "to": 2},
            "cipher": "TLS_AES_256_GCM_SHA384",
            "protocol": "TLSv1.3",
            "tls_version": 1.3,
        },
        "cut": ["assertions"],
    }
    assert steps[0]["cert"] == {"cipher": "AES256-SHA", "protocol": "TLSv1.2", "tls_version": 1.2}
    assert steps[0]["response"] == {"status_code": 403}
    assert {name: steps[0][name] for name in STEP if name != "response"} == {
        name: value for name, value in STEP.items() if name != "response"
    }
    assert steps[1] == OUTCOME["steps"][1]


def test_the_reference_systems_client_reads_it() -> None:
    read = read_by_the_client(public_result(OUTCOME, result_id="7", run_type="scheduled"))
    assert read.cert.tls_version == 1.3
    assert read.steps[0].assertions[0].actual == 403
    assert read.dns_resolution.attempts[0]["error"] == "refused"
    assert not read._unparsed


SEEN = {
    "http": observed.http(b"{}", handshake=Handshake(protocol="TLSv1.2", cipher="AES256-SHA")),
    "tcp": observed.tcp("established"),
    "dns": observed.dns(A=("192.0.2.1",), AAAA=()),
    "ssl": observed.ssl(
        fault=CertificateFault(code=18, message="self-signed certificate"),
        revocation=Revocation(
            status=CertificateStatus.REVOKED,
            source=StatusSource.STAPLED,
            serial_number="0A1B",
            revoked_at=1,
            revocation_reason="keyCompromise",
            this_update=2,
        ),
    ),
}


@pytest.mark.parametrize("subtype", SEEN)
def test_the_reference_systems_client_reads_each_protocol(subtype: str) -> None:
    definition = api_test(subtype, {"type": "responseTime", "operator": "lessThan", "target": 1})
    shown = public_result(outcome_of(definition, SEEN[subtype]), run_type="ci")
    read = read_by_the_client(shown)
    assert read.failure.code == "INCORRECT_ASSERTION"
    assert read.timings == shown["timings"]
    assert "connection_outcome" not in shown.get("response", {})
    assert shown.get("connection_outcome") == ("established" if subtype == "tcp" else None)
    if subtype == "ssl":
        assert (read.cert.tls_version, read.cert.issuer["CN"], read.cert.valid.to) == (
            1.3,
            "Trust CA",
            1_800_000_000_000,
        )
        assert (read.ocsp.status, read.ocsp.certificate.revocation_time, read.ocsp.updates.this_update) == (
            "revoked",
            1000,
            2000,
        )


def test_a_run_that_was_missed_is_no_data() -> None:
    shown = public_result({"status": "missed", "timings": {"total": 0.0}, "unhealthy": None, "failure": None})
    assert shown == {"status": "no_data", "duration": 0.0, "unhealthy": False, "timings": {"total": 0.0}}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*OUTCOME, "ocsp", "variables"]), json_values, max_size=9))
def test_no_outcome_raises_and_nothing_is_null(outcome: dict[str, Any]) -> None:
    assert None not in public_result(outcome).values()
