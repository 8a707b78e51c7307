"""Results of any size: within the bound as they are, beyond it cut part by part, and never without their verdict."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.apitest import bounds
from worker.apitest.bounds import MAX_OUTCOME_BYTES
from worker.apitest.result import AssertionResult, Result, Status
from worker.outcome.failure import Failure, FailureCode
from worker.outcome.phases import Timings

VERDICT = Failure(FailureCode.INCORRECT_ASSERTION, "it does not hold")


def outcome(**parts: Any) -> dict[str, Any]:
    made = Result(
        test_public_id="abc-def-ghi",
        test_name="Shop",
        test_subtype="http",
        test_version=1,
        status=Status.FAILED,
        failure=VERDICT,
        timings=Timings((("dns", 4),)),
    ).as_json()
    return made | parts


def encoded(**parts: Any) -> dict[str, Any]:
    data = bounds.encode(outcome(**parts))
    assert len(data) <= MAX_OUTCOME_BYTES
    read: dict[str, Any] = orjson.loads(data)
    assert set(read) == set(outcome())
    assert read["status"] == "failed"
    return read


WIDE = ['"', "\x00", "\\", "☃", "🌙", "\x7f", "x"]


def test_an_ordinary_result_is_sent_as_it_is() -> None:
    assert encoded() == outcome()


def test_a_result_at_the_bound_is_not_looked_into() -> None:
    room = MAX_OUTCOME_BYTES - len(bounds.encode(outcome(response={"headers": {"a": ""}})))
    exact = outcome(response={"headers": {"a": "x" * room}})
    assert encoded(response=exact["response"]) == exact
    assert encoded(response={"headers": {"a": "x" * (room + 1)}})["cut"] == ["response"]


@pytest.mark.parametrize("filling", WIDE)
def test_ten_redirects_to_sixty_thousand_characters_keep_the_verdict(filling: str) -> None:
    redirects = [{"status_code": 302, "location": "http://a/" + filling * 60_000} for _ in range(10)]
    body = "b" * 60_000
    read = encoded(response={"status_code": 500, "redirects": redirects, "body": body, "is_body_truncated": False})
    assert read["failure"] == VERDICT.as_json()
    assert (read["cut"], read["response"]["status_code"], read["response"]["body"]) == (["response"], 500, body)
    assert [hop["status_code"] for hop in read["response"]["redirects"]] == [302] * 10
    assert all(hop["location"].endswith("…") for hop in read["response"]["redirects"])


@pytest.mark.parametrize("filling", WIDE)
@pytest.mark.parametrize(
    "part", ["response", "assertions", "dns_resolution", "failure", "timings", "test", "unhealthy"]
)
def test_each_part_alone_can_be_of_any_size(part: str, filling: str) -> None:
    text = filling * 300_000
    values = {
        "response": {"status_code": 200, "headers": {text: text}, "body": text, "is_body_truncated": False},
        "assertions": [{"type": "body", "actual": text, "expected": text}] * 20,
        "dns_resolution": {"attempts": [{"ip": text}] * 20},
        "failure": {"code": "DNS", "message": text},
        "timings": dict.fromkeys((f"{text}{number}" for number in range(3)), 1.0),
        "test": {"name": text},
        "unhealthy": text,
    }
    read = encoded(**{part: values[part]})
    assert read["cut"] == [part]
    if part != "failure":
        assert read["failure"] == VERDICT.as_json()
    else:
        assert read["failure"]["code"] == "DNS"


def test_all_parts_together_can_be_of_any_size() -> None:
    text = '"' * 400_000
    read = encoded(
        response={"headers": dict.fromkeys(map(str, range(100)), text[:2000]), "body": "b" * 90_000},
        assertions=[{"actual": text[:1000], "expected": text[:1000]}] * 200,
        failure={"code": "INCORRECT_ASSERTION", "message": text},
        dns_resolution={"attempts": [{"ip": text[:1000]}] * 100},
        test={"name": text},
        unhealthy=text,
    )
    assert read["failure"]["code"] == "INCORRECT_ASSERTION"
    assert read["response"]["body"] == "b" * 90_000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(outcome())), json_values), st.integers(0, 400_000))
def test_whatever_a_result_holds_it_shrinks_until_only_its_verdict_is_left(parts: dict[str, Any], padding: int) -> None:
    data: bytes | None = orjson.dumps(outcome() | parts | {"status": "failed", "unhealthy": "y" * padding})
    sizes = []
    last = b""
    while data is not None:
        last = data
        sizes.append(len(data))
        assert len(sizes) < 5
        data = bounds.shrink(data)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 16_384
    assert orjson.loads(last)["status"] == "failed"


def test_a_result_that_is_refused_for_its_size_loses_its_body_first() -> None:
    whole = outcome(response={"status_code": 500, "body": "x" * 1000, "is_body_truncated": False})
    smaller = bounds.shrink(orjson.dumps(whole))
    assert smaller is not None
    assert orjson.loads(smaller) == whole | {"response": {"status_code": 500, "body": "", "is_body_truncated": True}}


def test_then_only_the_verdict_is_left() -> None:
    assertion = AssertionResult(type="body", operator="is", expected="a", actual="b", valid=False).as_json()
    whole = outcome(response={"status_code": 500, "headers": {"a": "b"}}, assertions=[assertion])
    smaller = bounds.shrink(orjson.dumps(whole))
    assert smaller is not None
    left = orjson.loads(smaller)
    assert set(left) == set(whole)
    assert (left["failure"], left["test"]) == (whole["failure"], whole["test"])
    assert (left["response"], left["assertions"]) == (None, [])
    assert {"response", "assertions", "timings"} <= set(left["cut"])
    assert bounds.shrink(smaller) is None


@pytest.mark.parametrize("data", [b"{}", b"[]", b'{"response": null}', b'"x"', b'{"status":"passed","failure":null}'])
def test_what_cannot_be_made_smaller_is_not(data: bytes) -> None:
    assert bounds.shrink(data) is None


def test_what_the_bounds_leave_is_marked_once() -> None:
    twice = bounds.verdict_alone(bounds.verdict_alone(outcome(response={"a": 1})))
    assert len(twice["cut"]) == len(set(twice["cut"]))


def row(name: str, filling: str = "", size: int = 300_000, **members: Any) -> dict[str, Any]:
    failure = {"code": "INCORRECT_ASSERTION", "message": filling * 5_000}
    return {
        "name": name,
        "subtype": "http",
        "status": "failed",
        "failure": failure,
        "assertions": [{"actual": filling * 400, "expected": filling * 400, "valid": False}] * 5,
        "timings": {"dns": 1.0, "total": 1.0},
        "response": {"status_code": 500, "headers": {"a": filling * size}, "body": filling * 6_000},
        "variables": {"extracted": [{"name": "A", "secure": False, "value": filling * 5_000}]},
        **members,
    }


@pytest.mark.parametrize("filling", WIDE)
@pytest.mark.parametrize("count", [1, 3, 100])
def test_no_step_pushes_the_verdict_of_another_one_out(count: int, filling: str) -> None:
    rows = [row(str(number), filling, 300_000 // count) for number in range(count)]
    data = bounds.encode(outcome(steps=rows))
    assert len(data) <= MAX_OUTCOME_BYTES
    read = orjson.loads(data)
    assert (read["cut"], len(read["steps"])) == (["steps"], count)
    for before, after in zip(rows, read["steps"], strict=True):
        assert (after["name"], after["status"]) == (before["name"], "failed")
        assert after["failure"]["code"] == "INCORRECT_ASSERTION"


def test_a_small_step_beside_large_ones_stays_as_it_is() -> None:
    small = row("small")
    rows = [row("large", "x"), small, row("large", '"')]
    read = orjson.loads(bounds.encode(outcome(steps=rows)))
    assert read["steps"][1] == small
    assert read["steps"][0]["response"]["status_code"] == 500
    assert read["steps"][0]["response"]["body"] == ""


def test_steps_within_steps_are_cut_within_their_share() -> None:
    inner = row("inner", "x", steps=[row(str(number), "☃") for number in range(10)])
    rows = [row(str(number), "x", steps=[inner] * 3) for number in range(3)]
    data = bounds.encode(outcome(steps=rows))
    assert len(data) <= MAX_OUTCOME_BYTES
    for outer in orjson.loads(data)["steps"]:
        assert [each["name"] for each in outer["steps"]] == ["inner"] * 3
        for each in outer["steps"]:
            assert [last["failure"]["code"] for last in each["steps"]] == ["INCORRECT_ASSERTION"] * 10


def test_a_result_with_steps_loses_bodies_first_and_then_all_but_verdicts() -> None:
    whole = outcome(steps=[row("a", "x", steps=[row("b", "y")])])
    smaller = bounds.shrink(orjson.dumps(whole))
    assert smaller is not None
    (first,) = orjson.loads(smaller)["steps"]
    assert first["response"] == whole["steps"][0]["response"] | {"body": "", "is_body_truncated": True}
    assert first["steps"][0]["response"]["body"] == ""
    smallest = bounds.shrink(smaller)
    assert smallest is not None
    left = orjson.loads(smallest)
    assert left["steps"] == [
        {
            "name": "a",
            "subtype": "http",
            "status": "failed",
            "failure": {"code": "INCORRECT_ASSERTION", "message": ""},
        }
    ]
    assert "steps" in left["cut"]
    assert bounds.shrink(smallest) is None
