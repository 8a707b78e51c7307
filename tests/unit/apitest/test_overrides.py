"""Overrides of CI clients: what each changes, what it leaves, and what has no effect."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.support.definitions import STATUS, api_test
from worker.apitest.authentication import BasicAuth
from worker.apitest.overrides import OverriddenTest, overridden
from worker.apitest.parse import parse
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.template import Namespace
from worker.apitest.templated import rendered
from worker.apitest.variables import resolve
from worker.errors import TestError


def http_with(**overrides: Any) -> OverriddenTest:
    whole = api_test("http", STATUS, headers={"Cookie": "a=1", "X-A": "1"}, body="old", bodyType="text/plain")
    before = deepcopy(whole)
    result = overridden(whole, overrides)
    assert whole == before
    return result


def request_of(result: OverriddenTest) -> HTTPRequest:
    request = parse(result.test).request
    assert isinstance(request, HTTPRequest)
    return request


def test_without_overrides_the_test_is_as_it_was() -> None:
    whole = api_test("http", STATUS)
    assert overridden(whole, {}) == overridden(whole, None) == OverriddenTest(test=whole)


def test_parts_of_the_request_are_replaced() -> None:
    request = request_of(
        http_with(
            startUrl="https://other.test/",
            headers={"x-a": "2", "X-B": "3"},
            body="{}",
            bodyType="application/json",
            basicAuth={"username": "u", "password": "p"},
        )
    )
    assert request.url == "https://other.test/"
    assert dict(request.headers) == {"Cookie": "a=1", "x-a": "2", "X-B": "3"}
    assert (request.body, request.content_type) == (b"{}", "application/json")
    assert isinstance(request.authentication, BasicAuth)
    assert (request.authentication.username, request.authentication.password.reveal()) == ("u", "p")


@pytest.mark.parametrize(
    ("cookies", "header"),
    [
        ("b=2", "b=2"),
        ({"value": "b=2"}, "b=2"),
        ({"value": "b=2", "append": True}, "a=1; b=2"),
        ({"value": "b=2", "append": False}, "b=2"),
    ],
)
def test_cookies_are_replaced_or_appended(cookies: Any, header: str) -> None:
    assert dict(request_of(http_with(cookies=cookies)).headers)["Cookie"] == header


def test_cookies_are_appended_to_a_header_of_any_case_or_to_none() -> None:
    whole = api_test("http", STATUS, headers={"COOKIE": "a=1; "})
    found = overridden(whole, {"cookies": {"append": True, "value": "b=2"}}).test
    assert found["config"]["request"]["headers"] == {"Cookie": "a=1; b=2"}
    del whole["config"]["request"]["headers"]
    found = overridden(whole, {"cookies": {"append": True, "value": "b=2"}}).test
    assert found["config"]["request"]["headers"] == {"Cookie": "b=2"}


def test_options_are_replaced_and_the_others_stay() -> None:
    result = http_with(followRedirects=True, allowInsecureCertificates=True, retry={"count": 2}, locations=["pl:a"])
    assert result.test["options"] == {
        "tick_every": 60,
        "follow_redirects": True,
        "allow_insecure": True,
        "retry": {"count": 2},
    }
    assert result.test["locations"] == ["pl:a"]
    request = request_of(result)
    assert (request.follow_redirects, request.allow_insecure) == (True, True)
    again = overridden(result.test, {"retry": {"interval": 500}, "followRedirects": False}).test["options"]
    assert (again["retry"], again["follow_redirects"]) == ({"count": 2, "interval": 500}, False)


def test_variables_win_over_declared_ones_and_stay_secure() -> None:
    whole = api_test("http", STATUS, url="https://{{ HOST }}/{{ PATH }}?{{ TOKEN }}")
    whole["config"]["configVariables"] = [
        {"name": "HOST", "type": "text", "pattern": "old.test"},
        {"name": "PATH", "type": "text", "pattern": "on/{{ HOST }}"},
        {"name": "TOKEN", "type": "global", "secure": True, "id": "x"},
    ]
    result = overridden(whole, {"variables": {"HOST": "new.test", "TOKEN": "t", "PORT": 8443}})
    test = parse(result.test)
    variables = resolve(test.variables, (), lambda _: None)
    request = rendered(test, variables.namespace(lambda _: None)).request
    assert isinstance(request, HTTPRequest)
    assert request.url == "https://new.test/on/new.test?t"
    assert {each.name: each.secure for each in variables.known} == {
        "HOST": False,
        "TOKEN": True,
        "PORT": False,
        "PATH": False,
    }
    assert result.named == {"HOST", "TOKEN", "PORT"}


def test_a_start_url_can_hold_templates() -> None:
    test = parse(http_with(startUrl="https://{{ HOST }}/").test)
    request = rendered(test, Namespace(values={"HOST": "ci.test"})).request
    assert isinstance(request, HTTPRequest)
    assert request.url == "https://ci.test/"


@pytest.mark.parametrize(
    ("options", "overrides", "rule"),
    [
        ({}, {}, "blocking"),
        ({"ci": {"executionRule": "skipped"}}, {}, "skipped"),
        ({"ci": {"executionRule": "skipped"}}, {"executionRule": "non_blocking"}, "non_blocking"),
        ({"ci": {"executionRule": "new"}}, {}, "blocking"),
        ({}, {"executionRule": "skipped"}, "skipped"),
    ],
)
def test_the_rule_is_the_overrides_or_the_tests_own(
    options: dict[str, Any], overrides: dict[str, Any], rule: str
) -> None:
    assert overridden(api_test("http", STATUS) | {"options": options}, overrides).rule == rule


def test_what_has_no_effect_is_named() -> None:
    result = http_with(deviceIds=["chrome"], startUrI="x", version=3)
    assert result.ignored == (
        "testOverrides.deviceIds: has no effect on an API test",
        "testOverrides.startUrI: is not known: did you mean 'startUrl'?",
        "testOverrides.version: has no effect on an API test",
    )
    of_requests = {"startUrl": "https://b/", "startUrlSubstitutionRegex": "a|b", "headers": {"a": "b"}}
    tcp = overridden(api_test("tcp", host="a"), of_requests)
    assert tcp == OverriddenTest(
        test=api_test("tcp", host="a"),
        ignored=(
            "testOverrides.startUrl: has an effect on http tests only",
            "testOverrides.startUrlSubstitutionRegex: has an effect on http tests only",
            "testOverrides.headers: has an effect on http tests only",
        ),
    )


@pytest.mark.parametrize(
    ("overrides", "mistake"),
    [
        ([], "testOverrides: must be an object, not a list"),
        ({"startUrl": 1}, "testOverrides.startUrl: must be text, not a number"),
        ({"headers": {"a": {}}}, "testOverrides.headers.a: must be text, not an object"),
        ({"followRedirects": "yes"}, "testOverrides.followRedirects: must be true or false, not text"),
        (
            {"executionRule": "maybe"},
            "testOverrides.executionRule: must be one of blocking, non_blocking, skipped, not",
        ),
        ({"cookies": {"append": 1, "value": "x"}}, "testOverrides.cookies.append: must be true or false, not a number"),
        ({"retry": {"count": "2"}}, "testOverrides.retry.count: must be a number, not text"),
        ({"startUrlSubstitutionRegex": "a"}, "testOverrides.startUrlSubstitutionRegex: must have the form"),
        (
            {"tunnel": {}},
            "testOverrides.tunnel: is not supported: run the test at a location whose worker reaches the host by itself",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(overrides: Any, mistake: str) -> None:
    with pytest.raises(TestError) as caught:
        overridden(api_test("http", STATUS), overrides)
    assert caught.value.errors[0].startswith(mistake)
