"""A result in one line, from trustworthy JSON and from any other."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.apitest import summary

PASSED = {
    "test": {"name": "Shop", "public_id": "abc-def-ghi"},
    "status": "passed",
    "failure": None,
    "timings": {"dns": 0.4, "tcp": 0.1, "firstByte": 1.2, "total": 1.7},
}


def test_a_passed_run_shows_its_phases_and_their_sum() -> None:
    assert summary.line(PASSED) == f"✓ passed  {'Shop':<34}  dns 0.4 · tcp 0.1 · firstByte 1.2 = 1.7 ms"


def test_a_failure_shows_its_code_and_reason() -> None:
    outcome = PASSED | {"status": "failed", "failure": {"code": "DNS", "message": "no such name"}}
    assert summary.line(outcome).endswith("= 1.7 ms  DNS: no such name")


def test_failed_assertions_are_told_in_words() -> None:
    message = orjson.dumps(
        [
            {"type": "statusCode", "operator": "is", "target": 200, "actual": 503, "valid": False},
            {
                "type": "body",
                "operator": "contains",
                "target": "x",
                "actual": "y",
                "valid": False,
                "errorMessage": "no x in it",
            },
        ]
    ).decode()
    told = summary.failure({"code": "INCORRECT_ASSERTION", "message": message})
    assert told == "INCORRECT_ASSERTION: statusCode is 200: got 503; no x in it"


def test_trouble_of_the_worker_is_told_apart() -> None:
    assert summary.line(PASSED | {"unhealthy": "late loop"}).endswith("[unhealthy: late loop]")


def test_a_missed_run_says_why() -> None:
    missed = {
        "test": {"name": "Shop"},
        "status": "missed",
        "unhealthy": "no worker was seen",
        "timings": {"total": 0.0},
    }
    assert summary.line(missed) == f"○ missed  {'Shop':<34}  no worker was seen"


def test_what_a_target_sent_cannot_steer_a_terminal() -> None:
    outcome = PASSED | {"status": "failed", "failure": {"code": "DNS", "message": "\x1b[2J\r\nfake line\u202e"}}
    assert "\\x1b[2J\\r\\nfake line\\u202e" in summary.line(outcome)


def test_colour_is_for_those_who_ask() -> None:
    assert "\033[" not in summary.line(PASSED)
    assert summary.line(PASSED, colour=True).startswith("\033[32m✓ passed \033[0m")


@pytest.mark.parametrize("number", [10**400, 1e308, float("inf"), float("nan"), -1, 1e12])
def test_a_number_that_no_phase_has_is_not_told(number: float) -> None:
    assert summary.line(PASSED | {"timings": {"dns": number, "total": number}}).endswith("dns ? = ? ms")


def test_phases_without_end_are_cut() -> None:
    timings = {f"phase{number}": 1.0 for number in range(10_000)} | {"total": 1.0}
    assert len(summary.line(PASSED | {"timings": timings})) < 400


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([10**400, -(10**4000)]) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["test", "status", "failure", "timings", "unhealthy", "assertions"]), json_values, max_size=6
    )
)
def test_any_json_is_told_on_one_line(outcome: dict[str, Any]) -> None:
    told = summary.line(outcome)
    assert len(told.splitlines()) <= 1
    assert len(told) < 5000
