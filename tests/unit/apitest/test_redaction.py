"""Secure values in a result: found in every spelling, wherever they stand; everything else left as it is."""

from __future__ import annotations

import base64
import html
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from worker.apitest.redaction import Redaction
from worker.apitest.result import AssertionResult, Result, Status
from worker.outcome.failure import Failure, FailureCode
from worker.outcome.phases import Timings
from worker.secret import REDACTED, Secret
from worker.text import cut, printable

SECRET = 'pä$$ "w/ord"+&<ž>\t7'


def redaction(*values: str) -> Redaction:
    return Redaction([Secret(value) for value in values])


SPELLINGS = {
    "plain": SECRET,
    "upper": 'PÄ$$ "W/ORD"+&<Ž>\t7',
    "percent": quote(SECRET, safe=""),
    "percent, lower": quote(SECRET, safe="").lower(),
    "path": quote(SECRET),
    "form": quote_plus(SECRET),
    "query": urlencode({"q": SECRET}).removeprefix("q="),
    "JSON": json.dumps(SECRET)[1:-1],
    "JSON as UTF-8": orjson.dumps(SECRET).decode()[1:-1],
    "JSON in JSON": json.dumps(json.dumps(SECRET))[3:-3],
    "HTML": html.escape(SECRET),
    "terminal": printable(SECRET),
    "header bytes": SECRET.encode().decode("latin-1"),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64url": base64.urlsafe_b64encode(SECRET.encode()).decode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_is_taken_out(spelling: str) -> None:
    assert redaction(SECRET).text(f"before ({spelling}) after") == f"before ({REDACTED}) after"


@pytest.mark.parametrize("user", ["", "a", "ab", "abc", "abcd"])
def test_credentials_in_base64_are_taken_out_at_any_alignment(user: str) -> None:
    encoded = base64.b64encode(f"{user}:{SECRET}:tail".encode()).decode()
    left = redaction(SECRET).text(f"Basic {encoded}").removeprefix("Basic ")
    head, tail = left.split(REDACTED)
    # Each character holds six bits: those left hold whole bits of the others only.
    assert len(head) <= len(f"{user}:") * 8 // 6
    assert len(tail.rstrip("=")) <= -(-len(":tail") * 8 // 6)
    assert encoded.startswith(head)
    assert encoded.endswith(tail)


@pytest.mark.parametrize("length", range(4, 12))
def test_the_beginning_of_a_value_is_taken_out_where_a_text_was_cut(length: int) -> None:
    value = "s3cretvalue42"
    assert redaction(value).text("see " + value[:length]) == f"see {REDACTED}"
    assert redaction(value).text(cut(f"see {value} and more", 5 + length)) == f"see {REDACTED}…"
    assert redaction(value).text(f"not '{value[:length]}…'; nor that") == f"not '{REDACTED}…'; nor that"
    assert redaction(value).text(f"{value[:length]}, and more") == f"{value[:length]}, and more"


def test_values_that_overlap_leave_nothing_between() -> None:
    assert redaction("abcdef", "defghi").text("<abcdefghi>") == f"<{REDACTED}>"
    assert redaction("abcd", "abcdefgh").text("abcdefgh abcd") == f"{REDACTED} {REDACTED}"
    assert redaction("aaaa").text("aaaaaa") == REDACTED


def test_a_short_value_is_taken_out_where_it_is_a_word() -> None:
    assert redaction("42").text("42, a42, 'pin=42'") == f"{REDACTED}, a42, 'pin={REDACTED}'"
    assert redaction("x")({"actual": "x", "error_message": "expected"}) == {
        "actual": REDACTED,
        "error_message": "expected",
    }


def test_blanks_around_a_value_and_lines_of_it_do_not_hide_it() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n"
    redact = redaction(key, "  token-7\r\n")
    assert redact.text("x-token: token-7") == f"x-token: {REDACTED}"
    assert redact.text(f"got {key}") == f"got {REDACTED}"
    assert redact.text("line kqhkiG9w0BAQEF of it") == f"line {REDACTED} of it"
    assert redaction(" ", "").text("a  b") == "a  b"


def test_every_part_of_a_result_is_looked_into() -> None:
    value = "t0ken-canary"
    outcome: dict[str, Any] = {
        "test": {"public_id": "abc-def-ghi", "name": f"with {value}", "version": 1},
        "status": "failed",
        "failure": {"code": "INVALID_REQUEST", "message": f"'{value}'"},
        "assertions": [{"type": "body", "operator": "is", "expected": value, "actual": [value], "valid": False}],
        "response": {"status_code": 200, "headers": {f"x-{value}": value, "x-b": "b"}, "body": f"<{value}>"},
        "timings": {"total": 1.5},
        "dns_resolution": None,
    }
    redacted = redaction(value)(outcome)
    assert value not in json.dumps(redacted)
    assert redacted == json.loads(json.dumps(outcome).replace(value, REDACTED))


def test_a_result_is_redacted_as_a_whole() -> None:
    value = "t0ken-canary"
    result = Result(
        test_public_id="abc",
        test_name=f"with {value}",
        test_subtype="http",
        test_version=1,
        status=Status.FAILED,
        timings=Timings((("dns", 12),)),
        failure=Failure(FailureCode.INVALID_REQUEST, f"'{value}'"),
        assertions=(AssertionResult(type="body", operator="is", expected=value, actual=value, valid=False),),
        resolution={"server": value},
        response={"headers": {value: value}, "body": [value]},
        unhealthy=f"no {value}",
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    redacted = redaction(value)(result)
    assert value not in repr(redacted)
    assert redacted.as_json() == json.loads(json.dumps(result.as_json()).replace(value, REDACTED))


def test_a_value_that_cannot_be_looked_into_is_an_error() -> None:
    with pytest.raises(TypeError, match="bytes is not looked into"):
        redaction("s3cret")({"body": b"s3cret"})


def test_a_long_value_is_taken_out_as_far_as_it_stands_there() -> None:
    value = "".join(f"{number:x}" for number in range(1_000, 2_700))
    assert redaction(value).text(f"<{value}>") == f"<{REDACTED}>"
    assert redaction(value).text(f"<{value[:1_000]}>") == f"<{REDACTED}>"
    assert redaction("ab" * 300).text("ab" * 500) == REDACTED


def test_words_of_a_result_stay_whatever_a_value_is() -> None:
    outcome = {
        "status": "passed",
        "failure": {"code": "TIMEOUT", "message": "passed TIMEOUT"},
        "assertions": [{"type": "header", "operator": "contains", "valid": True, "actual": "header contains"}],
        "response": {"headers": {"status": "passed", "type": "header"}},
    }
    assert redaction("passed", "TIMEOUT", "header", "contains", "status")(outcome) == {
        "status": "passed",
        "failure": {"code": "TIMEOUT", "message": f"{REDACTED} {REDACTED}"},
        "assertions": [{"type": "header", "operator": "contains", "valid": True, "actual": f"{REDACTED} {REDACTED}"}],
        "response": {"headers": {REDACTED: REDACTED, "type": REDACTED}},
    }


@pytest.mark.parametrize(
    ("number", "found"),
    [(123456, True), (123456.0, True), (71234567, True), (12345, False), (True, False), (None, False)],
)
def test_a_number_that_a_target_showed_can_be_a_value(number: Any, found: bool) -> None:
    redact = redaction("123456")
    assert redact({"actual": number}) == {"actual": REDACTED if found else number}
    assert redact({"total": number}) == {"total": number}


def test_two_headers_that_get_one_name_are_both_kept() -> None:
    assert redaction("secret-a", "secret-b")({"headers": {"secret-a": "1", "secret-b": "2"}}) == {
        "headers": {REDACTED: "1, 2"}
    }


def test_without_values_nothing_is_copied() -> None:
    outcome = {"body": "x"}
    assert redaction()(outcome) is outcome
    assert not redaction("")


def test_values_are_not_shown() -> None:
    assert "s3cret" not in repr(redaction("s3cret"))


TEXT = st.text(st.characters(codec="utf-8"), min_size=6, max_size=30).filter(lambda text: text.strip() == text)
WRITE = st.sampled_from(
    [
        lambda text: text,
        lambda text: quote(text, safe=""),
        quote_plus,
        lambda text: json.dumps(text)[1:-1],
        lambda text: orjson.dumps(text).decode()[1:-1],
        html.escape,
        printable,
    ]
)


@given(TEXT, WRITE, st.text("ab ,.:", max_size=10), st.text("ab ,.:", max_size=10))
def test_no_spelling_of_any_value_is_left(value: str, write: Any, before: str, after: str) -> None:
    spelling = write(value)
    assume(spelling not in before and spelling not in after)
    redacted = redaction(value).text(before + spelling + after)
    assert spelling not in redacted.replace(REDACTED, "\0")
    assert "\0" in redacted.replace(REDACTED, "\0")


@given(st.text(max_size=60), st.lists(st.text(min_size=1, max_size=8), max_size=3))
def test_any_text_and_any_values_end_as_text(text: str, values: list[str]) -> None:
    redacted = redaction(*values).text(text)
    for value in values:
        if len(value.strip()) >= 4:
            assert value not in redacted.replace(REDACTED, "\0")


@pytest.mark.parametrize(
    ("value", "text"),
    [("a" * 5000, "a" * 4000 + "b" + "a" * 90_000 + "b"), ("abab" * 1000, "ab" * 50_000), ("x" * 100, "…" * 100_000)],
)
def test_hostile_texts_end_soon(value: str, text: str) -> None:
    assert len(redaction(value).text(text)) <= len(text)
