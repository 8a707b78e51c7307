"""Outcomes as they are pushed and as they are stored: what every reader can read, or the verdict alone."""

from __future__ import annotations

import json

import orjson
import pytest

from controlplane.outcomes import MAX_OUTCOME_BYTES, MAX_TOLD, ReadOutcome, read

FAILED = b'"status":"failed","failure":{"code":"DNS","message":"no such name"}'


def stored(data: bytes) -> ReadOutcome:
    outcome = read(data)
    assert isinstance(outcome, ReadOutcome)
    assert len(outcome.text) <= MAX_OUTCOME_BYTES
    json.dumps(json.loads(outcome.text), allow_nan=False).encode()
    return outcome


@pytest.mark.parametrize("number", ["0", "-0", "1.5", "9007199254740993", "18446744073709551615", "1e308", "5e-324"])
def test_a_number_with_a_finite_value_is_kept(number: str) -> None:
    outcome = stored(b'{%s,"timings":{"total":%s}}' % (FAILED, number.encode()))
    assert (orjson.loads(outcome.text)["timings"]["total"], outcome.cut) == (orjson.loads(number), False)


BREAKERS = {
    "400 digits": b"1" + b"0" * 399,
    "5000 digits": b"1" + b"0" * 4999,
    "minus 5000 digits": b"-1" + b"0" * 4999,
    "an exponent": b"1e400",
    "300 levels": b"[" * 300 + b"]" * 300,
}


@pytest.mark.parametrize("value", BREAKERS.values(), ids=BREAKERS)
def test_a_value_that_readers_stumble_over_costs_everything_but_the_verdict(value: bytes) -> None:
    outcome = stored(b'{%s,"timings":{"total":%s}}' % (FAILED, value))
    assert (outcome.status, outcome.cut) == ("failed", True)
    left = orjson.loads(outcome.text)
    assert left["failure"] == {"code": "DNS", "message": "no such name"}
    assert left["cut"] == ["outcome"]


def test_a_result_too_large_keeps_its_verdict() -> None:
    padding = MAX_OUTCOME_BYTES - len(FAILED) - len(b'{,"x":""}')
    assert not stored(b'{%s,"x":"%s"}' % (FAILED, b"x" * padding)).cut
    assert stored(b'{%s,"x":"%s"}' % (FAILED, b"x" * (padding + 1))).cut


def test_a_verdict_of_any_size_is_cut() -> None:
    long = b"x" * MAX_OUTCOME_BYTES
    outcome = stored(b'{"status":"failed","failure":{"code":"%s","message":"%s"}}' % (long, long))
    assert len(outcome.text) < 4_000


@pytest.mark.parametrize(
    "data", [b"{}", b"[]", b'{"status":"lost"}', b'{"status":1}', b'{"status":"passed","failure":1}']
)
def test_what_has_no_verdict_is_not_an_outcome(data: bytes) -> None:
    assert str(read(data)).startswith("not an outcome")


@pytest.mark.parametrize(
    ("timings", "duration"),
    [
        ('{"dns":1,"total":12.5}', 12.5),
        ('{"total":0}', 0.0),
        ('{"total":true}', None),
        ('{"total":-1}', None),
        ('{"total":1e300}', None),
        ('{"total":"12"}', None),
        ("{}", None),
        ("[7]", None),
        ("null", None),
    ],
)
def test_a_duration_is_a_number_of_this_world(timings: str, duration: float | None) -> None:
    assert stored(b'{"status":"passed","timings":%s}' % timings.encode()).duration_ms == duration


def test_an_outcome_tells_its_failure_and_the_trouble_of_its_worker() -> None:
    outcome = stored(b'{%s,"unhealthy":"the event loop lagged"}' % FAILED)
    assert (outcome.code, outcome.message, outcome.unhealthy) == ("DNS", "no such name", "the event loop lagged")
    assert stored(b'{"status":"passed","unhealthy":7}').unhealthy == ""
    long = stored(b'{"status":"failed","failure":{"code":"X","message":"%s"}}' % (b"y" * 9000))
    assert long.message == "y" * MAX_TOLD


def test_failed_assertions_are_told_in_words_and_kept_as_they_came() -> None:
    message = orjson.dumps(
        [{"type": "statusCode", "operator": "is", "target": 200, "errorMessage": "the status is 503, not 200"}]
    )
    failure = {"code": "INCORRECT_ASSERTION", "message": message.decode()}
    outcome = stored(orjson.dumps({"status": "failed", "failure": failure}))
    assert (outcome.code, outcome.message) == ("INCORRECT_ASSERTION", "the status is 503, not 200")
    assert orjson.loads(outcome.text)["failure"] == failure
