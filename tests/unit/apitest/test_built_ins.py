"""Built-ins: random text from the given source, dates and times of the given moment."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from random import Random

import orjson
import pytest

from tests.support.checkout import ROOT
from worker.apitest.built_ins import BuiltIns
from worker.apitest.template import ExpressionError

NOW = datetime(2026, 11, 27, 2, 3, 4, 56_789, tzinfo=UTC)
VECTORS = orjson.loads((ROOT / "tests/vectors/dates.json").read_bytes())
"""`[moment, format or shift, text]`, written by moment.js 2.31.0."""


def built_ins(at: datetime = NOW, seed: int = 1) -> BuiltIns:
    return BuiltIns(at=at, random=Random(seed), public_id="abc-def-ghi", result_id="42")


@pytest.mark.parametrize(
    ("expression", "length", "alphabet"),
    [
        ("numeric(3)", 3, str.isdigit),
        ("numeric( 10 )", 10, str.isdigit),
        ("alphabetic(15)", 15, str.isalpha),
        ("alphanumeric(10000)", 10_000, str.isalnum),
    ],
)
def test_random_text_has_its_length_and_alphabet(expression: str, length: int, alphabet: object) -> None:
    text = built_ins()(expression)
    assert text is not None
    assert len(text) == length
    assert text.isascii()
    assert alphabet(text)  # type: ignore[operator]


def test_random_text_comes_from_the_given_source_alone() -> None:
    once, again, other = built_ins(seed=1), built_ins(seed=1), built_ins(seed=2)
    for expression in ("numeric(9)", "alphabetic(9)", "alphanumeric(9)", "uuid"):
        first = once(expression)
        assert first == again(expression) != other(expression)
        assert first != once(expression)
        again(expression)


def test_a_uuid_is_random_as_rfc_9562_has_it() -> None:
    made = uuid.UUID(built_ins()("uuid"))
    assert made.version == 4
    assert made.variant == uuid.RFC_4122


def test_the_run_knows_its_test_and_itself() -> None:
    assert built_ins()("public-id") == "abc-def-ghi"
    assert built_ins()("result-id") == "42"


def test_a_date_is_formatted_as_moment_js_does() -> None:
    ours = [
        [moment, form, built_ins(datetime.fromisoformat(moment))(f"date(0d, {form})")]
        for moment, form, _ in VECTORS["formats"]
    ]
    assert ours == VECTORS["formats"]


def test_a_date_is_shifted_as_moment_js_does() -> None:
    ours = [
        [moment, shift, built_ins(datetime.fromisoformat(moment))(f"date({shift}, YYYY-MM-DDTHH:mm:ss.SSS)")]
        for moment, shift, _ in VECTORS["shifts"]
    ]
    assert ours == VECTORS["shifts"]


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("date(0d, YYYY-MM-DD)", "2026-11-27"),
        ("date(+1d,YYYY-MM-DD)", "2026-11-28"),
        ("date(-27d, MM-DD-YYYY)", "10-31-2026"),
        ("date(7, DD_MM_YYYY_HH_MM)", "04_12_2026_02_12"),
        ("date(1 h, MMM D, YYYY HH)", "Nov 27, 2026 03"),
        ("timestamp(0, s)", "1795744984"),
        ("timestamp(0, ms)", "1795744984056"),
        ("timestamp(-60, s)", "1795744924"),
        ("timestamp(+500,ms)", "1795744984556"),
    ],
)
def test_dates_and_timestamps_as_tests_write_them(expression: str, text: str) -> None:
    assert built_ins()(expression) == text


@pytest.mark.parametrize("expression", ["HOST", "now()", "numeric", "date", "UUID", "uuid()", "numeric(3) x", ""])
def test_other_expressions_are_none(expression: str) -> None:
    assert built_ins()(expression) is None


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("numeric()", "needs a whole number from 1 to 10000"),
        ("numeric(0)", "needs a whole number from 1 to 10000"),
        ("alphabetic(10001)", "needs a whole number from 1 to 10000"),
        ("alphanumeric(١)", "needs a whole number from 1 to 10000"),
        ("alphanumeric(" + "9" * 5000 + ")", "needs a whole number from 1 to 10000"),
        ("date(0d)", "needs an offset with its unit and a format, as in date(-1d, YYYY-MM-DD)"),
        ("date(0d, )", "needs an offset with its unit and a format, as in date(-1d, YYYY-MM-DD)"),
        ("date(x, YYYY)", "needs an offset with its unit and a format, as in date(-1d, YYYY-MM-DD)"),
        ("date(1q, YYYY)", "has a unit that is not one of ms, s, m, h, d, w, M, y"),
        ("date(9999y, YYYY)", "leads out of the years 1 to 9999"),
        ("date(-3000y, YYYY)", "leads out of the years 1 to 9999"),
        ("date(999999999999999w, YYYY)", "leads out of the years 1 to 9999"),
        ("date(0d, LT)", "has a format with LT, which is not there yet"),
        ("timestamp(0)", "needs a whole number and a unit, s or ms, as in timestamp(-60, s)"),
        ("timestamp(0, h)", "needs a whole number and a unit, s or ms, as in timestamp(-60, s)"),
        ("timestamp(0s, s)", "needs a whole number and a unit, s or ms, as in timestamp(-60, s)"),
        ("timestamp(9999999999999, s)", "needs a whole number and a unit, s or ms, as in timestamp(-60, s)"),
    ],
)
def test_mistaken_arguments_are_named(expression: str, reason: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        built_ins()(expression)
    assert caught.value.reason == reason


def test_the_last_week_of_the_calendar_is_an_error_not_a_crash() -> None:
    at = datetime(9999, 12, 31, tzinfo=UTC)
    with pytest.raises(ExpressionError):
        built_ins(at)("date(0d, gggg)")
