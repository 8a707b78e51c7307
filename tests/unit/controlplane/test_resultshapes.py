"""Version 1 of a result beside recorded ones of the reference system, and outcomes that nobody sound would have stored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controlplane.service.resultshapes import (
    RunType,
    check_time,
    duration,
    failure_of,
    status_1,
    summary_1,
    version_1,
    version_2,
)
from tests.support.recordings import RECORDED_RESULTS

FULL = [each["result"] for each in RECORDED_RESULTS if each["kind"] == "full"]
SUMMARIES = [each["result"] for each in RECORDED_RESULTS if each["kind"] != "full"]
OURS = {"resolutionAttempts", "tunnel", "assertionResults"}
"""Members that are always there; the reference system leaves out some that are empty."""
THEIRS = {"mainDC", "enrichment"}
"""Members that mean nothing outside of its own data centres."""


def outcome_of(result: dict[str, Any]) -> dict[str, Any]:
    """What a worker of ours would have stored of the run behind a recorded result."""
    seen = result["result"]
    response = {"status_code": seen.get("httpStatusCode"), "body_size": seen.get("responseSize")}
    resolution = {"server": seen.get("dnsServer"), "resolved_ip": seen.get("resolvedIp")}
    return {
        "test": {"subtype": seen.get("subtype")},
        "status": "passed" if seen["passed"] else "failed",
        "started_at": result["check_time"],
        "timings": seen["timings"],
        "assertions": seen.get("assertionResults", []),
        "failure": seen.get("failure"),
        "response": response,
        "dns_resolution": resolution,
    }


@pytest.mark.parametrize("recorded", FULL, ids=lambda recorded: str(recorded["result_id"]))
def test_a_recorded_result_has_the_same_members_and_values(recorded: dict[str, Any]) -> None:
    run = RunType.SCHEDULED if recorded["run_type"] == 0 else RunType.TRIGGERED
    outcome = outcome_of(recorded)
    shown = version_1(outcome, run=run)
    expected = {name: value for name, value in recorded["result"].items() if name not in THEIRS | {"error"}}
    assert {name: value for name, value in shown.items() if name in expected} == expected
    assert set(shown) - set(expected) <= OURS | {"error"}
    assert (status_1(outcome), check_time(outcome, 0)) == (recorded["status"], recorded["check_time"])


@pytest.mark.parametrize("recorded", SUMMARIES[:20])
def test_a_recorded_summary_has_the_same_members(recorded: dict[str, Any]) -> None:
    outcome = {"status": "passed", "timings": recorded["result"]["timings"], "failure": None}
    shown = summary_1(outcome, run=RunType.SCHEDULED)
    assert shown["timings"] == recorded["result"]["timings"]
    assert set(shown) >= set(recorded["result"]) - {"errorMessage", "unhealthy"}


def test_a_run_that_did_not_happen_says_why_as_trouble_of_ours() -> None:
    missed = {"status": "missed", "failure": None, "unhealthy": "no worker was seen", "scheduled_at": 5}
    assert failure_of(missed) == {"code": "INTERNAL_ERROR", "message": "no worker was seen"}
    shown = version_2(missed, number="1", run=RunType.CI, triggered_at=7, ended_at=9)
    assert (shown["status"], shown["unhealthy"], shown["finished_at"], shown["triggered_at"]) == ("no_data", True, 9, 7)
    assert (status_1(missed), check_time(missed, 8), duration(missed)) == (2, 5, 0)


def test_no_message_holds_what_a_report_cannot() -> None:
    failed = {"status": "failed", "failure": {"code": "X", "message": "a\x00b\x1bc\td\n"}}
    shown = failure_of(failed)
    assert shown == {"code": "X", "message": "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c\td\n"}


STRANGE: list[dict[str, Any]] = [
    {},
    {"status": 1, "failure": [], "timings": [], "assertions": {}, "response": "x", "dns_resolution": 1, "test": 2},
    {"status": "failed", "failure": {}, "assertions": [1, None], "started_at": "x", "finished_at": True},
    {"response": {"status_code": "200", "body_size": 1.5}, "finished_at": 1, "started_at": 5},
]


@pytest.mark.parametrize("outcome", STRANGE)
def test_a_strange_outcome_is_shown_all_the_same(outcome: dict[str, Any]) -> None:
    old = version_1(outcome, run=RunType.SCHEDULED)
    new = version_2(outcome, number="1", run=RunType.SCHEDULED, triggered_at=None, ended_at=1)
    json.dumps([old, new, summary_1(outcome, run=RunType.SCHEDULED)])
    assert duration(outcome) == 0
    assert "httpStatusCode" not in old
