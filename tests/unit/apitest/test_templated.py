"""The test of one run: values in the places of templates, everything else as the author wrote it."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from tests.support.definitions import STATUS, api_test, json_path, json_schema, xpath
from tests.support.recordings import RECORDED
from tests.support.shared import needs_shared
from worker.apitest.assertion import Comparison
from worker.apitest.authentication import BasicAuth
from worker.apitest.built_ins import BuiltIns
from worker.apitest.definition import APITest
from worker.apitest.parse import parse
from worker.apitest.protocols.dns import DNSRequest
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.protocols.tcp import TCPRequest
from worker.apitest.template import Namespace
from worker.apitest.templated import rendered
from worker.apitest.variables import Variable, resolve
from worker.errors import TemplateError, TestError
from worker.secret import Secret

UNREADABLE = {"33762d062bdcef9c", "991ee598f8712cd8"}
"""Recordings of requests that the reference system refused."""
VALUES = {
    "HOST": "shop.test",
    "PORT": "8443",
    "NAME": "x-name",
    "TEXT": 'a "b" {{ HOST }} 7',
    "NUMBER": "42",
    "METHOD": "PUT",
    "TYPE": "aaaa",
    "END": "refused",
    "USER": "u",
}


def run_of(whole: dict[str, Any], **values: str) -> APITest:
    return rendered(parse(whole), Namespace(values=VALUES | values))


def test_values_stand_in_every_part_of_a_request() -> None:
    test = run_of(
        api_test(
            "http",
            STATUS,
            url="https://{{ HOST }}:{{ PORT }}/{{ NUMBER }}",
            method="{{ METHOD }}",
            headers={"{{ NAME }}": "v {{ TEXT }}", "plain": "{{#if}}"},
            query={"q": ["{{ NUMBER }}", 1], "{{ NAME }}": "{{USER}}"},
            body='{"t": {{ NUMBER }}}',
            basicAuth={"type": "web", "username": "{{ USER }}", "password": "p{{ NUMBER }}"},
        )
    )
    request = test.request
    assert isinstance(request, HTTPRequest)
    assert request.url == "https://shop.test:8443/42"
    assert request.method == "PUT"
    assert request.headers == (("x-name", 'v a "b" {{ HOST }} 7'), ("plain", "{{#if}}"))
    assert request.query == (("q", "42"), ("q", "1"), ("x-name", "u"))
    assert request.body == b'{"t": 42}'
    assert isinstance(request.authentication, BasicAuth)
    assert (request.authentication.username, request.authentication.password.reveal()) == ("u", "p42")


def test_values_stand_in_the_requests_of_other_protocols() -> None:
    connection = {"type": "connection", "operator": "is", "target": "{{ END }}"}
    tcp = run_of(api_test("tcp", connection, host="{{ HOST }}", port="{{ PORT }}"))
    assert tcp.request == TCPRequest(host="shop.test", port=8443)
    assert [each.target for each in tcp.assertions if isinstance(each, Comparison)] == ["refused"]
    record = {"type": "recordSome", "property": "{{ TYPE }}", "operator": "is", "target": "{{ HOST }}"}
    dns = run_of(api_test("dns", record, host="www.{{ HOST }}", dnsServer="{{ HOST }}", dnsServerPort="{{ PORT }}"))
    assert dns.request == DNSRequest(host="www.shop.test", record_types=("AAAA",), server="shop.test", port=8443)


@pytest.mark.parametrize(
    ("assertion", "meant"),
    [
        (STATUS | {"target": "{{ NUMBER }}"}, STATUS | {"target": "42"}),
        (
            {"type": "header", "property": "{{ NAME }}", "operator": "contains", "target": "a {{ NUMBER }}"},
            {"type": "header", "property": "x-name", "operator": "contains", "target": "a 42"},
        ),
        (json_path("$.{{ USER }}", "moreThan", "{{ NUMBER }}"), json_path("$.u", "moreThan", "42")),
        (xpath("//{{ USER }}", "is", "{{ TEXT }}"), xpath("//u", "is", VALUES["TEXT"])),
        (json_schema('{"const": {{ NUMBER }}}'), json_schema('{"const": 42}')),
        (
            {"type": "bodyHash", "operator": "md5", "target": "{{ NUMBER }}"},
            {"type": "bodyHash", "operator": "md5", "target": "42"},
        ),
    ],
)
def test_values_stand_in_every_part_of_an_assertion(assertion: dict[str, Any], meant: dict[str, Any]) -> None:
    # What is meant may hold braces: they came from a value, and are text.
    written = rendered(parse(api_test("http", meant)), Namespace(values={"HOST": "{{ HOST }}"}))
    assert run_of(api_test("http", assertion)).assertions == written.assertions


def test_scripts_are_left_to_the_scripts_engine() -> None:
    script = {"type": "javascript", "code": "dd.expect('{{ NAME }}')"}
    test = run_of(api_test("http", script, url="https://{{ HOST }}/"))
    assert getattr(test.assertions[0], "code", "") == "dd.expect('{{ NAME }}')"


def test_what_is_for_people_stays_as_it_is_and_so_does_a_test_without_templates() -> None:
    whole = api_test("http", STATUS) | {"name": "{{ NAME }}"}
    plain = parse(whole)
    assert plain.source is None
    assert rendered(plain, Namespace()) is plain
    test = run_of(api_test("http", STATUS, url="https://{{ HOST }}/") | {"name": "{{ NAME }}", "public_id": "abc"})
    assert (test.name, test.public_id) == ("{{ NAME }}", "abc")


def test_rendering_leaves_the_definition_as_it_was() -> None:
    whole = api_test(
        "http", {"type": "javascript", "code": "1"}, json_path("$.{{ USER }}", "is", "x"), url="{{ HOST }}"
    )
    before = deepcopy(whole)
    run_of(whole)
    assert whole == before


def test_names_without_a_value_are_all_named_with_their_places() -> None:
    whole = api_test("http", STATUS | {"target": "{{ CODE }}"}, url="https://{{ HOSTS }}/", headers={"a": "{{ B }}"})
    with pytest.raises(TemplateError) as caught:
        run_of(whole)
    assert caught.value.errors == (
        "config.request.url: no variable is called 'HOSTS': did you mean 'HOST'?",
        "config.request.headers.a: no variable is called 'B'",
        "config.assertions[0].target: no variable is called 'CODE'",
    )


@pytest.mark.parametrize(
    ("whole", "value", "mistake"),
    [
        (
            api_test("tcp", host="h", port="{{ X }}"),
            "70000",
            "config.request.port: must be a port from 1 to 65535, not '70000'",
        ),
        (api_test("http", STATUS, method="{{ X }}"), "get", "config.request.method: must be one of GET, POST"),
        (
            api_test("http", STATUS | {"target": "{{ X }}"}),
            "ok",
            "config.assertions[0].target: must be a number, not 'ok'",
        ),
        (api_test("http", STATUS, url="{{ X }}"), "", "config.request.url: is empty"),
        (
            api_test("http", json_schema("{{ X }}")),
            "{",
            "config.assertions[0].target.jsonSchema: is not valid JSON",
        ),
    ],
)
def test_a_value_that_makes_no_valid_test_is_a_mistake_at_its_place(
    whole: dict[str, Any], value: str, mistake: str
) -> None:
    whole["config"]["assertions"] = whole["config"]["assertions"] or [
        {"type": "connection", "operator": "is", "target": "established"}
    ]
    with pytest.raises(TestError) as caught:
        run_of(whole, X=value)
    assert caught.value.errors[0].startswith(mistake)


def test_braces_that_a_value_brought_are_judged_like_any_text() -> None:
    whole = api_test("tcp", {"type": "connection", "operator": "is", "target": "established"}, port="{{ X }}")
    with pytest.raises(TestError, match="must be a port"):
        run_of(whole, X="{{ PORT }}")


def test_a_source_can_hold_what_secure_variables_declare_and_is_not_shown() -> None:
    whole = api_test("http", STATUS, url="https://{{ HOST }}/")
    whole["config"]["configVariables"] = [{"name": "HOST", "type": "text", "pattern": "s3cret", "secure": True}]
    test = parse(whole)
    assert "s3cret" not in repr(test)
    assert json.loads(json.dumps(test.source)) == whole


@needs_shared
def test_every_recorded_template_is_replaced_and_one_of_the_recorders_own_is_named() -> None:
    templated = [test for case in RECORDED if case["id"] not in UNREADABLE and (test := parse(case["test"])).source]
    assert len([test for test in templated if test.subtype == "http"]) == 154
    built_in = BuiltIns(at=datetime(2026, 1, 2, tzinfo=UTC), random=Random(7), public_id="abc", result_id="1")
    placeholder = Variable(name="unique_lower_alnum", value=Secret("u1"))
    for test in (test for test in templated if test.subtype == "http"):
        run = rendered(test, resolve(test.variables, [placeholder], built_in).namespace(built_in))
        first = run.assertions[0]
        assert isinstance(first, Comparison)
        assert first.property == "content-type"
        assert "{{" not in repr(run.assertions)
        if "unique_lower_alnum" in json.dumps(test.source):
            with pytest.raises(TemplateError, match=r"config\.request\.headers\.unique: no variable is called"):
                rendered(test, resolve(test.variables, (), built_in).namespace(built_in))
