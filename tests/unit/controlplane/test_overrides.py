"""Overrides of a pipeline: each changes what it names and nothing else, and what cannot be honoured is refused by name."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from controlplane.errors import UnusableError
from controlplane.service import overrides
from tests.support.definitions import STATUS, api_test

TEST = api_test("http", STATUS, url="https://shop.test/", headers={"Accept": "*/*", "cookie": "a=1"})


def changed(**given: Any) -> dict[str, Any]:
    before = copy.deepcopy(TEST)
    made = overrides.applied(TEST, given)
    assert before == TEST
    return made


REQUESTS = {
    "startUrl": ("https://other.test/", {"url": "https://other.test/"}),
    "body": ("x", {"body": "x"}),
    "bodyType": ("text/plain", {"bodyType": "text/plain"}),
    "headers": ({"ACCEPT": "text/html"}, {"headers": {"cookie": "a=1", "ACCEPT": "text/html"}}),
    "cookies": ("b=2", {"headers": {"Accept": "*/*", "Cookie": "b=2"}}),
    "testTimeout": (1500, {"timeout": 1.5}),
    "basicAuth": (
        {"username": "u", "password": "p"},
        {"basicAuth": {"type": "web", "username": "u", "password": "p"}},
    ),
}


@pytest.mark.parametrize(("name", "value", "members"), [(name, *row) for name, row in REQUESTS.items()])
def test_an_override_of_the_request(name: str, value: Any, members: dict[str, Any]) -> None:
    assert changed(**{name: value})["config"]["request"] == TEST["config"]["request"] | members


def test_a_cookie_can_be_appended() -> None:
    request = changed(cookies={"value": "b=2", "append": True})["config"]["request"]
    assert request["headers"] == {"Accept": "*/*", "Cookie": "a=1; b=2"}


def test_overrides_of_options() -> None:
    options = changed(allowInsecureCertificates=True, followRedirects=True, retry={"count": 2})["options"]
    assert options == {"tick_every": 60, "allow_insecure": True, "follow_redirects": True, "retry": {"count": 2}}


def test_a_variable_replaces_the_one_of_its_name() -> None:
    test = copy.deepcopy(TEST)
    test["config"]["configVariables"] = [{"type": "global", "name": "A", "id": "x"}, {"type": "text", "name": "B"}]
    found = overrides.applied(test, {"variables": {"A": "1"}})["config"]["configVariables"]
    assert found == [{"type": "text", "name": "B"}, {"type": "text", "name": "A", "pattern": "1", "example": "1"}]


def test_what_says_which_run_it_is_changes_no_definition() -> None:
    which = {"public_id": "a", "metadata": {}, "version": 1, "locations": ["x"], "executionRule": "skipped"}
    assert changed(**which) == TEST


@pytest.mark.parametrize("name", [*overrides.UNSUPPORTED, "whatIsThis"])
def test_what_cannot_be_honoured_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(UnusableError, match=f"override '{name}'"):
        changed(**{name: {"x": 1}})


@pytest.mark.parametrize("name", overrides.UNSUPPORTED)
def test_an_override_that_asks_for_nothing_is_none(name: str) -> None:
    assert changed(**{name: []}) == TEST


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("startUrl", 1),
        ("headers", []),
        ("headers", {"a": 1}),
        ("basicAuth", {"username": "u"}),
        ("followRedirects", "yes"),
        ("testTimeout", True),
        ("testTimeout", -1),
        ("variables", {"A": 1}),
        ("cookies", {"append": True}),
    ],
)
def test_a_value_of_another_kind_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(UnusableError, match=f"override '{name}"):
        changed(**{name: value})


def test_a_test_of_several_steps_has_no_one_request() -> None:
    test = TEST | {"config": {"steps": []}}
    with pytest.raises(UnusableError, match="override 'startUrl': the test has no request of its own"):
        overrides.applied(test, {"startUrl": "https://other.test/"})


def test_what_this_version_cannot_run_may_have_any_shape() -> None:
    test = {"config": {"request": {"headers": [], "basicAuth": "x"}, "configVariables": {}}, "options": {"retry": 1}}
    given = {
        "headers": {"A": "1"},
        "cookies": "b=2",
        "basicAuth": {"username": "u", "password": "p"},
        "retry": {"count": 1},
        "variables": {"V": "1"},
    }
    made = overrides.applied(test, given)
    assert made["config"]["request"]["headers"] == {"A": "1", "Cookie": "b=2"}
    assert (made["options"]["retry"], len(made["config"]["configVariables"])) == ({"count": 1}, 1)
