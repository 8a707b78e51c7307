"""A run's page: hostile and foreign outcomes are text, and whatever another version wrote still renders."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from controlplane.pages import formats
from controlplane.pages.runpicture import MOST_BODY, MOST_ROWS, picture
from tests.support.outcomes import FAILED_ASSERTION, HOSTILE, incorrect, outcome
from tests.support.runpages import rendered


def everywhere(text: str) -> dict[str, Any]:
    """An outcome with *text* wherever a target or an author can put one."""
    assertion = FAILED_ASSERTION | dict.fromkeys(("property", "expected", "actual", "error_message", "log"), text)
    response = {
        "headers": {text: text, "set-cookie": [text]},
        "body": text,
        "redirects": [{"status_code": 302, "location": text}],
        "handshake": {"protocol": text, "cipher": text},
        "certificate": {"subject": {"CN": text, "altName": text}, "issuer": {text: text}},
        text: {text: [text]},
    }
    members = {
        "timings": {text: 1.0},
        "failure": {"code": text, "message": text},
        "assertions": [assertion],
        "response": response,
        "dns_resolution": {"attempts": [{"ip": text, "error": text}], "resolved_ip": text, "server": text},
        "unhealthy": text,
        "variables": {"extracted": [{"name": text, "value": text}]},
    }
    step = outcome(text, "failed", **members) | {"name": text}
    return outcome(text, "failed", **members, steps=[step])


@pytest.mark.parametrize("text", [*HOSTILE, "<script>alert(1)</script>", '" onmouseover="alert(1)', "{{ 7 * 7 }}"])
def test_hostile_text_is_text_everywhere(text: str) -> None:
    """The page has the elements and attributes that it has for harmless text, and shows the text as it may be seen."""
    page = rendered(everywhere(text))
    assert re.findall(r"<[^>]*>", page) == re.findall(r"<[^>]*>", rendered(everywhere("harmless")))
    shown = str(formats.visible(text))
    assert page.count(html.escape(shown, quote=False).replace('"', "&#34;").replace("'", "&#39;")) >= 10
    assert all(character in "\n\t" or formats.visible(character) == character for character in page)
    page.encode()


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_a_picture_is_not_markup(text: str) -> None:
    made = picture(everywhere(text))
    assert {type(made.name), type(made.message), *(type(fact.text) for fact in made.facts)} == {str}


FOREIGN: dict[str, Any] = {
    "nothing": {},
    "members of other types": dict.fromkeys(
        ("test", "status", "failure", "timings", "assertions", "dns_resolution", "response", "steps", "unhealthy"), 7
    ),
    "lists where objects are": {key: [1] for key in ("test", "failure", "timings", "dns_resolution", "response")},
    "objects where lists are": {key: {"a": 1} for key in ("assertions", "steps", "cut")},
    "lists of anything": {"assertions": [1, None, {}], "steps": [1, {}], "cut": [1]},
    "a verdict alone": {"status": "passed", "failure": None, "cut": ["outcome"]},
    "a certificate that is a list": {"response": {"certificate": [1], "headers": [["a", "b"]], "redirects": {}}},
    "numbers that are no moments": {"response": {"certificate": {"valid": {"from": 1e300, "to": -5}}}},
    "a missed run": {"status": "missed", "unhealthy": "no worker of the location was seen in its period"},
}


@pytest.mark.parametrize("value", FOREIGN.values(), ids=FOREIGN)
def test_an_outcome_of_another_shape_renders(value: dict[str, Any]) -> None:
    assert "Run of shop" in rendered(value)


def test_an_outcome_nested_as_deep_as_json_may_be_renders() -> None:
    deep: Any = 1
    for _ in range(250):
        deep = {"a": [deep]}
    assert "Run of" in rendered({"response": deep, "variables": deep, "steps": [{"steps": [{"steps": [{}]}]}]})


def test_long_outcomes_are_cut() -> None:
    many = [FAILED_ASSERTION] * 1000
    body = {"body": "x" * (MOST_BODY + 1), "headers": {str(n): "v" for n in range(1000)}}
    made = picture(outcome(assertions=many, response=body, steps=[{}] * 1000))
    assert (len(made.assertions), len(made.headers), len(made.steps)) == (MOST_ROWS, MOST_ROWS, MOST_ROWS)
    assert made.body is not None
    assert (len(made.body.text), made.body.is_cut) == (MOST_BODY, True)


def test_a_failure_shows_what_was_expected_and_what_was_found() -> None:
    page = rendered(incorrect())
    for text in ("INCORRECT_ASSERTION", "header content-type contains json", "text/html", "✗ fails", "✓ holds"):
        assert text in page


def test_dates_of_a_certificate_are_dates() -> None:
    certificate = {"valid": {"from": 1_700_000_000_000, "to": 1_800_000_000_000}, "serial": "0a"}
    facts = {fact.label: fact.text for fact in picture(outcome(response={"certificate": certificate})).certificate}
    assert facts == {
        "valid.from": "2023-11-14 22:13:20 UTC",
        "valid.to": "2027-01-15 08:00:00 UTC",
        "serial": "0a",
    }


def test_failed_assertions_are_told_in_words() -> None:
    message = '[{"type": "statusCode", "operator": "is", "target": 200, "actual": 503}]'
    made = picture({"status": "failed", "failure": {"code": "INCORRECT_ASSERTION", "message": message}})
    assert made.message == "statusCode is 200: got 503"
