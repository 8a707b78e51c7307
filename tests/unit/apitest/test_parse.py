"""The parser: what it reads, what it calls a mistake and where, and what it says is not there yet."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.definitions import STATUS, api_test
from worker.apitest.assertion import (
    BodyHashAssertion,
    Comparison,
    Elements,
    JavaScriptAssertion,
    JSONPathAssertion,
    JSONSchemaAssertion,
    Operator,
    Subject,
    UnknownAssertion,
    XPathAssertion,
)
from worker.apitest.authentication import BasicAuth
from worker.apitest.parse import parse
from worker.apitest.protocols.dns import DNSRequest
from worker.apitest.protocols.http import HTTPRequest, HTTPVersion, ProxyServer
from worker.apitest.protocols.tcp import TCPRequest
from worker.errors import TestError
from worker.secret import Secret

FIRST: dict[str, dict[str, Any]] = {
    "http": STATUS,
    "tcp": {"type": "connection", "operator": "is", "target": "established"},
    "dns": {"type": "recordSome", "property": "A", "operator": "is", "target": "192.0.2.1"},
}


def definition(subtype: str = "http", **request: Any) -> dict[str, Any]:
    """A test that can be run."""
    return api_test(subtype, FIRST[subtype], **request)


def with_assertion(assertion: object, subtype: str = "http") -> dict[str, Any]:
    whole = definition(subtype)
    whole["config"]["assertions"] = [assertion]
    return whole


def mistakes(whole: object) -> tuple[str, ...]:
    with pytest.raises(TestError) as caught:
        parse(whole)
    return caught.value.errors


def test_an_http_definition_is_read_whole() -> None:
    whole = definition(
        method="POST",
        headers={"Accept": "text/html", "X-Number": 5, "X-Flag": True},
        query={"q": "a b", "n": 1.5, "r": ["1", 2]},
        body='{"a":1}',
        bodyType="application/json",
        basicAuth={"type": "web", "username": "ann", "password": "pw"},
        timeout=12.5,
        noSavingResponseBody=True,
    )
    whole |= {"public_id": "abc-def-ghi", "version": 7, "status": "live", "tags": ["a:b"], "monitor_id": 1}
    whole["options"] = {
        "tick_every": 900,
        "follow_redirects": True,
        "allow_insecure": True,
        "httpVersion": "any",
        "retry": {"count": 3, "interval": 300_000},
        "min_failure_duration": 0,
        "no such option": {"x": []},
    }
    test = parse(whole)
    assert (test.name, test.subtype, test.public_id, test.version) == ("shop", "http", "abc-def-ghi", 7)
    assert (test.tick_every, test.save_response_body, test.requires_update) == (900, False, ())
    assert test.request == HTTPRequest(
        url="https://shop.test/",
        method="POST",
        headers=(("Accept", "text/html"), ("X-Number", "5"), ("X-Flag", "true")),
        query=(("q", "a b"), ("n", "1.5"), ("r", "1"), ("r", "2")),
        body=b'{"a":1}',
        content_type="application/json",
        authentication=BasicAuth(username="ann", password=Secret("pw")),
        follow_redirects=True,
        allow_insecure=True,
        version=HTTPVersion.ANY,
        timeout=12.5,
    )


@pytest.mark.parametrize(
    ("option", "member", "version"),
    [
        (None, None, HTTPVersion.HTTP1),
        ("", "", HTTPVersion.HTTP1),
        ("http2", None, HTTPVersion.HTTP2),
        (None, "http2", HTTPVersion.HTTP2),
        ("any", "http2", HTTPVersion.ANY),
        ("http1", "http2", HTTPVersion.HTTP1),
    ],
)
def test_the_options_decide_on_the_http_version_and_without_any_it_is_http_1(
    option: str | None, member: str | None, version: HTTPVersion
) -> None:
    request = parse(definition(httpVersion=member) | {"options": {"httpVersion": option}}).request
    assert isinstance(request, HTTPRequest)
    assert request.version is version


@pytest.mark.parametrize(
    ("subtype", "request_members", "expected"),
    [
        ("http", {}, HTTPRequest(url="https://shop.test/")),
        ("http", {"timeout": 0, "body": "", "bodyType": "text/html"}, HTTPRequest(url="https://shop.test/")),
        ("http", {"headers": None, "basicAuth": None, "certificate": None}, HTTPRequest(url="https://shop.test/")),
        ("http", {"files": [], "proxy": {}, "form": {}, "certificate": {}}, HTTPRequest(url="https://shop.test/")),
        ("http", {"follow_redirects": True}, HTTPRequest(url="https://shop.test/", follow_redirects=True)),
        (
            "http",
            {"proxy": {"url": "http://u:p@proxy.test:3128", "headers": {"X-A": "b"}}},
            HTTPRequest(
                url="https://shop.test/",
                proxy=ProxyServer(url=Secret("http://u:p@proxy.test:3128"), headers=(("X-A", "b"),)),
            ),
        ),
        ("http", {"persistCookies": True}, HTTPRequest(url="https://shop.test/")),
        (
            "http",
            {"basicAuth": {"username": "ann"}},
            HTTPRequest(url="https://shop.test/", authentication=BasicAuth(username="ann", password=Secret(""))),
        ),
        (
            "http",
            {"body": "é", "bodyType": "graphql"},
            HTTPRequest(url="https://shop.test/", body="é".encode(), content_type="application/json"),
        ),
        ("tcp", {}, TCPRequest(host="shop.test", port=443)),
        ("tcp", {"port": "8080", "timeout": 3}, TCPRequest(host="shop.test", port=8080, timeout=3.0)),
        ("tcp", {"port": None, "shouldTrackHops": False}, TCPRequest(host="shop.test", port=443)),
        ("dns", {}, DNSRequest(host="shop.test")),
        (
            "dns",
            {"dnsServer": "ns.test", "dnsServerPort": "5353"},
            DNSRequest(host="shop.test", server="ns.test", port=5353),
        ),
        ("dns", {"dnsServer": "", "dnsServerPort": 53}, DNSRequest(host="shop.test")),
    ],
)
def test_requests(subtype: str, request_members: dict[str, Any], expected: object) -> None:
    assert parse(definition(subtype, **request_members)).request == expected


def test_options_decide_over_the_request_of_a_step() -> None:
    whole = definition(follow_redirects=True, allow_insecure=True)
    whole["options"] |= {"follow_redirects": False}
    request = parse(whole).request
    assert isinstance(request, HTTPRequest)
    assert (request.follow_redirects, request.allow_insecure) == (False, True)


def test_a_dns_test_asks_for_the_records_that_its_assertions_name_once_each() -> None:
    whole = definition("dns")
    whole["config"]["assertions"] = [
        {"type": "recordSome", "property": kind, "operator": "contains", "target": "x"}
        for kind in ("MX", "a", "MX", "TXT")
    ] + [{"type": "responseTime", "operator": "lessThan", "target": 100}]
    request = parse(whole).request
    assert isinstance(request, DNSRequest)
    assert request.record_types == ("MX", "A", "TXT")


def test_a_definition_with_little_in_it_is_read_as_http() -> None:
    test = parse({"type": "api", "config": api_test("http", STATUS)["config"]})
    assert (test.name, test.subtype, test.tick_every, test.save_response_body) == ("", "http", None, True)


@pytest.mark.parametrize(
    ("subtype", "assertion", "expected"),
    [
        ("http", STATUS, Comparison(subject=Subject.STATUS_CODE, operator=Operator.IS, target=200)),
        (
            "http",
            {"type": "header", "property": "Age", "operator": "moreThanOrEqual", "target": "5"},
            Comparison(subject=Subject.HEADER, operator=Operator.MORE_THAN_OR_EQUAL, target="5", property="Age"),
        ),
        (
            "http",
            {"type": "header", "property": "x", "operator": "doesNotExist"},
            Comparison(subject=Subject.HEADER, operator=Operator.DOES_NOT_EXIST, property="x"),
        ),
        (
            "http",
            {"type": "responseTime", "operator": "lessThan", "target": 2000, "timingsScope": "withoutDNS"},
            Comparison(subject=Subject.RESPONSE_TIME, operator=Operator.LESS_THAN, target=2000, without_dns=True),
        ),
        (
            "http",
            {"type": "body", "operator": "doesNotMatch", "target": ""},
            Comparison(subject=Subject.BODY, operator=Operator.DOES_NOT_MATCH, target=""),
        ),
        (
            "http",
            {"type": "body", "operator": "validatesJSONPath", "target": {"jsonPath": "$.a", "operator": "isUndefined"}},
            JSONPathAssertion(path="$.a", operator=Operator.IS_UNDEFINED),
        ),
        (
            "http",
            {
                "type": "body",
                "operator": "validatesJSONPath",
                "target": {
                    "jsonPath": "$.a",
                    "operator": "moreThan",
                    "targetValue": 5,
                    "elementsOperator": "everyElementMatches",
                },
            },
            JSONPathAssertion(path="$.a", operator=Operator.MORE_THAN, target=5, elements=Elements.EVERY),
        ),
        (
            "http",
            {
                "type": "body",
                "operator": "validatesXPath",
                "target": {"xPath": "//a", "operator": "contains", "targetValue": "0"},
            },
            XPathAssertion(path="//a", operator=Operator.CONTAINS, target="0"),
        ),
        (
            "http",
            {"type": "body", "operator": "validatesJSONSchema", "target": {"jsonSchema": "{}"}},
            JSONSchemaAssertion(schema="{}", meta_schema="draft-07"),
        ),
        (
            "http",
            {
                "type": "body",
                "operator": "validatesJSONSchema",
                "target": {"jsonSchema": "true", "metaSchema": "2020-12"},
            },
            JSONSchemaAssertion(schema="true", meta_schema="draft-2020-12"),
        ),
        (
            "http",
            {"type": "bodyHash", "operator": "sha1", "target": "a"},
            BodyHashAssertion(algorithm="sha1", target="a"),
        ),
        (
            "tcp",
            {"type": "connection", "operator": "is", "target": "refused"},
            Comparison(subject=Subject.CONNECTION, operator=Operator.IS, target="refused"),
        ),
        (
            "dns",
            {"type": "recordEvery", "property": "aaaa", "operator": "matches", "target": "^2001"},
            Comparison(subject=Subject.RECORD_EVERY, operator=Operator.MATCHES, target="^2001", property="AAAA"),
        ),
    ],
)
def test_assertions(subtype: str, assertion: dict[str, Any], expected: object) -> None:
    test = parse(with_assertion(assertion, subtype))
    assert test.assertions == (expected,)
    assert test.requires_update == ()


CONTENT = "contains, doesNotContain, is, isNot, matches, doesNotMatch"
BODY = f"{CONTENT}, validatesJSONPath, validatesXPath, validatesJSONSchema"
ORDER = "lessThan, lessThanOrEqual, moreThan, moreThanOrEqual"
METHODS = "GET, POST, PATCH, PUT, HEAD, DELETE, OPTIONS"


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        (None, "$: is missing"),
        ([], "$: must be an object, not a list"),
        ("text", "$: must be an object, not text"),
        (definition() | {"type": "browser"}, "type: must be 'api', not 'browser'"),
        (definition() | {"type": None}, "type: is missing"),
        (definition() | {"type": 5}, "type: must be text, not a number"),
        (definition() | {"name": 5}, "name: must be text, not a number"),
        (definition() | {"name": "\ud800"}, "name: holds half a surrogate pair, which UTF-8 text cannot"),
        (definition() | {"tags": "a:b"}, "tags: must be a list, not text"),
        (definition() | {"locations": [5]}, "locations[0]: must be text, not a number"),
        (definition() | {"message": {}}, "message: must be text, not an object"),
        (definition() | {"options": []}, "options: must be an object, not a list"),
        (definition() | {"config": None}, "config: is missing"),
        (definition() | {"version": -1}, f"version: must be a whole number from 0 to {2**53}, not -1"),
        (definition(url=None), "config.request.url: is missing"),
        (definition(url=""), "config.request.url: is empty"),
        (definition(url=5), "config.request.url: must be text, not a number"),
        (definition(method=None), "config.request.method: is missing"),
        (definition(method="GTE"), f"config.request.method: must be one of {METHODS}, not 'GTE'"),
        (
            definition(method="get"),
            f"config.request.method: must be one of {METHODS}, not 'get': did you mean 'GET'?",
        ),
        (definition(headers=["a"]), "config.request.headers: must be an object, not a list"),
        (definition(headers={"a": {}}), "config.request.headers.a: must be text, not an object"),
        (definition(query={"a": [{}]}), "config.request.query.a[0]: must be text, not an object"),
        (definition(body=5), "config.request.body: must be text, not a number"),
        (definition(timeout="10"), "config.request.timeout: must be a number, not text"),
        (definition(timeout=-1), "config.request.timeout: must not be negative"),
        (definition(timeout=float("nan")), "config.request.timeout: must be a finite number of sensible size"),
        (definition(timeout=10**5000), "config.request.timeout: must be a finite number of sensible size"),
        (definition(follow_redirects="yes"), "config.request.follow_redirects: must be true or false, not text"),
        (definition(proxy="http://p"), "config.request.proxy: must be an object, not text"),
        (definition(proxy={"headers": {"a": "b"}}), "config.request.proxy.url: is missing"),
        (definition(proxy={"url": ""}), "config.request.proxy.url: is empty"),
        (
            definition(proxy={"url": "http://p", "headers": {"a": {}}}),
            "config.request.proxy.headers.a: must be text, not an object",
        ),
        (definition(basicAuth="x"), "config.request.basicAuth: must be an object, not text"),
        (definition("tcp", host=None), "config.request.host: is missing"),
        (definition("tcp", port=0), "config.request.port: must be a whole number from 1 to 65535, not 0"),
        (definition("tcp", port=80.5), "config.request.port: must be a whole number from 1 to 65535, not 80.5"),
        (definition("tcp", port=True), "config.request.port: must be a number, not true"),
        (definition("tcp", port="https"), "config.request.port: must be a port from 1 to 65535, not 'https'"),
        (definition("tcp", port="65536"), "config.request.port: must be a port from 1 to 65535, not '65536'"),
        (definition("tcp", port="٣"), "config.request.port: must be a port from 1 to 65535, not '٣'"),
        (definition("dns", dnsServer=5), "config.request.dnsServer: must be text, not a number"),
        (
            definition("dns", dnsServerPort=-1),
            "config.request.dnsServerPort: must be a whole number from 1 to 65535, not -1",
        ),
        (with_assertion(5), "config.assertions[0]: must be an object, not a number"),
        (with_assertion(None), "config.assertions[0]: is missing"),
        (with_assertion({}), "config.assertions[0].type: is missing"),
        (
            with_assertion({"type": "statusCode", "target": 200}),
            "config.assertions[0].operator: is missing, must be one of is, isNot, matches, doesNotMatch",
        ),
        (
            with_assertion(STATUS | {"operator": "lessThan"}),
            "config.assertions[0].operator: must be one of is, isNot, matches, doesNotMatch, not 'lessThan'",
        ),
        (with_assertion(STATUS | {"operator": 5}), "config.assertions[0].operator: must be text, not a number"),
        (with_assertion(STATUS | {"target": None}), "config.assertions[0].target: is missing"),
        (with_assertion({"type": "javascript"}), "config.assertions[0].code: is missing"),
        (with_assertion({"type": "javascript", "code": " "}), "config.assertions[0].code: is empty"),
        (with_assertion({"type": "javascript", "code": 1}), "config.assertions[0].code: must be text, not a number"),
        (with_assertion(STATUS | {"target": "OK"}), "config.assertions[0].target: must be a number, not 'OK'"),
        (with_assertion(STATUS | {"target": []}), "config.assertions[0].target: must be text or a number, not a list"),
        (with_assertion(STATUS | {"target": True}), "config.assertions[0].target: must be a number, not 'True'"),
        (
            with_assertion({"type": "header", "operator": "is", "target": "x"}),
            "config.assertions[0].property: is missing",
        ),
        (
            with_assertion({"type": "header", "property": "a", "operator": "lessThan", "target": "x"}),
            "config.assertions[0].target: must be a number, not 'x'",
        ),
        (
            with_assertion({"type": "responseTime", "operator": "is", "target": 5}),
            "config.assertions[0].operator: must be one of lessThan, not 'is'",
        ),
        (
            with_assertion({"type": "body", "operator": "lessThan", "target": 5}),
            f"config.assertions[0].operator: must be one of {BODY}, not 'lessThan'",
        ),
        (
            with_assertion({"type": "bodyHash", "operator": "is", "target": "x"}),
            "config.assertions[0].operator: must be one of md5, sha1, sha256, not 'is'",
        ),
        (
            with_assertion({"type": "certificate", "operator": "isInMoreThan", "target": 5}),
            "config.assertions[0].type: http tests have no certificate assertions",
        ),
        (with_assertion(STATUS, "tcp"), "config.assertions[0].type: tcp tests have no statusCode assertions"),
        (
            with_assertion({"type": "connection", "operator": "is", "target": "open"}, "tcp"),
            "config.assertions[0].target: must be one of established, refused, timeout, not 'open'",
        ),
        (
            with_assertion({"type": "recordSome", "operator": "is", "target": "x"}, "dns"),
            "config.assertions[0].property: is missing",
        ),
        (
            with_assertion({"type": "recordSome", "property": "A", "operator": "isNot", "target": "x"}, "dns"),
            "config.assertions[0].operator: must be one of is, contains, matches, doesNotMatch, not 'isNot'",
        ),
        (
            with_assertion({"type": "body", "operator": "validatesJSONPath", "target": "$.a"}),
            "config.assertions[0].target: must be an object, not text",
        ),
        (
            with_assertion(
                {"type": "body", "operator": "validatesJSONPath", "target": {"jsonPath": "$.a", "operator": "is"}}
            ),
            "config.assertions[0].target.targetValue: is missing",
        ),
        (
            with_assertion(
                {
                    "type": "body",
                    "operator": "validatesJSONPath",
                    "target": {"jsonPath": "$.a", "operator": "doesNotExist"},
                }
            ),
            f"config.assertions[0].target.operator: must be one of {CONTENT}, {ORDER}, isUndefined, not 'doesNotExist'",
        ),
        (
            with_assertion(
                {
                    "type": "body",
                    "operator": "validatesXPath",
                    "target": {"xPath": "", "operator": "is", "targetValue": 1},
                }
            ),
            "config.assertions[0].target.xPath: is empty",
        ),
        (
            with_assertion({"type": "body", "operator": "validatesJSONSchema", "target": {"jsonSchema": {}}}),
            "config.assertions[0].target.jsonSchema: must be text, not an object",
        ),
    ],
)
def test_a_mistake_is_named_where_it_stands(whole: object, expected: str) -> None:
    assert mistakes(whole) == (expected,)


@pytest.mark.parametrize("tick_every", [0, 29, 604_801, -60, 60.5, 10**30])
def test_a_period_out_of_bounds_is_a_mistake(tick_every: float) -> None:
    (mistake,) = mistakes(definition() | {"options": {"tick_every": tick_every}})
    assert mistake.startswith("options.tick_every: must be a whole number from 30 to 604800, not ")


@pytest.mark.parametrize("tick_every", [30, 60.0, 604_800])
def test_a_period_within_its_bounds_is_none(tick_every: float) -> None:
    assert parse(definition() | {"options": {"tick_every": tick_every}}).tick_every == int(tick_every)


def test_a_schema_that_is_no_json_is_a_mistake() -> None:
    (mistake,) = mistakes(
        with_assertion({"type": "body", "operator": "validatesJSONSchema", "target": {"jsonSchema": "{"}})
    )
    assert mistake.startswith("config.assertions[0].target.jsonSchema: is not valid JSON: ")


def test_all_mistakes_are_told_at_once() -> None:
    whole = definition(url="", method="X", timeout="x")
    whole["config"]["assertions"] = [STATUS | {"target": "x"}, STATUS | {"operator": "contains"}, {}]
    whole["options"] = {"tick_every": 5}
    whole["name"] = 5
    assert [mistake.partition(":")[0] for mistake in mistakes(whole)] == [
        "name",
        "options.tick_every",
        "config.assertions[0].target",
        "config.assertions[1].operator",
        "config.assertions[2].type",
        "config.request.url",
        "config.request.method",
        "config.request.timeout",
    ]


@pytest.mark.parametrize("count", [0, 21])
def test_a_single_test_has_one_to_twenty_assertions(count: int) -> None:
    whole = definition()
    whole["config"]["assertions"] = [STATUS] * count
    (mistake,) = mistakes(whole)
    assert mistake.startswith("config.assertions: must hold at ")
    whole["config"]["assertions"] = [STATUS] * 20
    assert len(parse(whole).assertions) == 20


def test_mistakes_have_an_end_and_repeat_no_more_of_a_value_than_helps() -> None:
    found = mistakes(definition(headers={f"{n}": {} for n in range(10_000)}))
    assert len(found) == 101
    assert found[-1] == "$: 9900 more of this sort"
    (mistake,) = mistakes(definition(method="\x1b[31m" + "x" * 100_000))
    assert len(mistake) < 250
    assert mistake.isprintable()


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        (definition() | {"subtype": "grpc", "config": {}}, "subtype: 'grpc' tests are not there yet"),
        (definition() | {"subtype": "mcp"}, "subtype: 'mcp' tests are not there yet"),
        (
            definition(basicAuth={"type": "ntlm", "username": "u", "password": "p"}),
            "config.request.basicAuth: the authentication 'ntlm' is not there yet",
        ),
        (
            definition(bodyType="multipart/form-data", files=[{"name": "a", "bucketKey": "api-upload-file/x.json"}]),
            "config.request.files[0].bucketKey: the file itself is not in the definition, and only the reference system has it",
        ),
        (
            definition(bodyType="multipart/form-data", files=[{"name": "a", "content": "x", "encoding": "gzip"}]),
            "config.request.files[0].encoding: the encoding 'gzip' is not known",
        ),
        (
            definition(body="x", bodyType="application/protobuf"),
            "config.request.bodyType: the body type 'application/protobuf' is not there yet",
        ),
        (definition(httpVersion="h3"), "config.request.httpVersion: the HTTP version 'h3' is not known"),
        (
            definition() | {"options": {"httpVersion": "http3"}},
            "options.httpVersion: the HTTP version 'http3' is not known: did you mean 'http2'?",
        ),
        (
            with_assertion({"type": "networkHop", "operator": "lessThan", "target": 5}, "tcp"),
            "config.assertions[0].type: network hops are not there yet",
        ),
        (
            with_assertion({"type": "quantumState", "operator": "is", "target": 1}),
            "config.assertions[0].type: the assertion type 'quantumState' is not known",
        ),
        (
            with_assertion(STATUS | {"operator": "resembles"}),
            "config.assertions[0].operator: the operator 'resembles' is not known",
        ),
        (
            with_assertion(
                {"type": "body", "operator": "validatesXPath", "target": {"xPath": "//a", "operator": "resembles"}}
            ),
            "config.assertions[0].target.operator: the operator 'resembles' is not known",
        ),
        (
            with_assertion(
                {
                    "type": "body",
                    "operator": "validatesJSONPath",
                    "target": {
                        "jsonPath": "$.a",
                        "operator": "is",
                        "targetValue": 1,
                        "elementsOperator": "mostElementsMatch",
                    },
                }
            ),
            "config.assertions[0].target.elementsOperator: the elements operator 'mostElementsMatch' is not known",
        ),
        (
            with_assertion(
                {
                    "type": "body",
                    "operator": "validatesJSONSchema",
                    "target": {"jsonSchema": "{}", "metaSchema": "draft-99"},
                }
            ),
            "config.assertions[0].target.metaSchema: the meta-schema 'draft-99' is not known",
        ),
        (
            with_assertion({"type": "responseTime", "operator": "lessThan", "target": 1, "timingsScope": "onlyTLS"}),
            "config.assertions[0].timingsScope: the timings scope 'onlyTLS' is not known",
        ),
        (
            with_assertion({"type": "recordSome", "property": "NAPTR", "operator": "is", "target": "x"}, "dns"),
            "config.assertions[0].property: records of type 'NAPTR' are not there yet",
        ),
    ],
)
def test_what_is_not_there_yet_is_named_and_nothing_is_run(whole: dict[str, Any], expected: str) -> None:
    test = parse(whole)
    assert test.requires_update == (expected,)
    assert test.request is None


def test_a_script_before_the_request_is_read_as_it_stands_and_an_empty_one_is_none() -> None:
    whole = definition()
    whole["config"]["variablesFromScript"] = " \n"
    assert parse(whole).variables_script == ""
    whole["config"]["variablesFromScript"] = "dd.variable.set('A', 1)"
    assert (parse(whole).requires_update, parse(whole).variables_script) == ((), "dd.variable.set('A', 1)")


@pytest.mark.parametrize(
    "whole",
    [
        definition(url="https://{{ HOST }}/"),
        definition(method="{{ METHOD }}"),
        definition(body="{{numeric(3)}}"),
        definition(headers={"{{ A }}": "x"}),
        definition(query={"a": "{{ A }}"}),
        definition(basicAuth={"username": "u", "password": "{{ P }}"}),
        definition("tcp", host="{{ H }}"),
        definition("tcp", port="{{ PORT }}"),
        definition("dns", dnsServer="{{ S }}"),
        definition("dns", dnsServerPort="{{ PORT }}"),
        with_assertion({"type": "connection", "operator": "is", "target": "{{ END }}"}, "tcp"),
        with_assertion(STATUS | {"target": "{{ CODE }}"}),
        with_assertion(
            {"type": "body", "operator": "validatesJSONSchema", "target": {"jsonSchema": '{"const": {{ X }}}'}}
        ),
        with_assertion(
            {
                "type": "body",
                "operator": "validatesJSONPath",
                "target": {"jsonPath": "$.a", "operator": "moreThan", "targetValue": "{{ N }}"},
            }
        ),
        with_assertion({"type": "recordSome", "property": "{{ T }}", "operator": "is", "target": "x"}, "dns"),
    ],
)
def test_a_template_stands_for_valid_text_until_a_run_replaces_it(whole: dict[str, Any]) -> None:
    test = parse(whole)
    assert test.source == whole
    assert test.request is not None
    assert test.requires_update == ()


def test_braces_around_something_else_than_a_name_are_text() -> None:
    test = parse(definition(body="{{#each items}}{{{'a'}}}{{/each}}"))
    assert (test.requires_update, test.source) == ((), None)
    with pytest.raises(TestError) as caught:
        parse(definition("tcp", port="{{#each}}"))
    assert caught.value.errors == ("config.request.port: must be a port from 1 to 65535, not '{{#each}}'",)


def test_templates_for_people_and_variables_that_nothing_uses_change_nothing() -> None:
    whole = definition() | {"name": "{{ NAME }}", "message": "{{ #is_alert }} x", "tags": ["{{ T }}"]}
    whole["config"]["configVariables"] = [{"name": "NAME", "type": "text", "pattern": "x"}]
    whole["options"] |= {"monitor_name": "{{ NAME }}"}
    test = parse(whole)
    assert (test.requires_update, test.source) == ((), None)
    assert [variable.name for variable in test.variables] == ["NAME"]


def test_variables_are_read_with_the_test() -> None:
    whole = definition()
    whole["config"]["configVariables"] = [{"name": "a b ", "type": "text"}, {"name": "X", "type": "number"}]
    assert mistakes(whole) == ("config.configVariables[0].name: is not a valid name of a variable: 'a b '",)
    del whole["config"]["configVariables"][0]
    assert parse(whole).requires_update == ("config.configVariables[0].type: variables of type 'number' are not known",)


def test_assertions_that_a_newer_version_may_know_keep_their_place() -> None:
    whole = definition()
    whole["config"]["assertions"] = [
        {"type": "new", "operator": "is"},
        STATUS | {"operator": "new"},
        {"type": "javascript", "code": "1"},
        STATUS,
    ]
    assert parse(whole).assertions == (
        UnknownAssertion(type="new", operator="is"),
        UnknownAssertion(type="statusCode", operator="new"),
        JavaScriptAssertion(code="1"),
        Comparison(subject=Subject.STATUS_CODE, operator=Operator.IS, target=200),
    )


def test_a_password_is_in_no_mistake() -> None:
    whole = definition(basicAuth={"username": 5, "password": "s3cret", "type": "web"}, method="X")
    assert "s3cret" not in str(mistakes(whole))


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=()), max_size=8),
    st.sampled_from(["{{ A }}", "api", "http", "web", "is", "matches", "200", "\ud800", "", 10**400, "A", "GET"]),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


def read(whole: object) -> None:
    try:
        test = parse(whole)
    except TestError as error:
        sentences = error.errors
    else:
        assert (test.request is None) == bool(test.requires_update)
        return
    assert sentences
    for sentence in sentences:
        path, _, reason = sentence.partition(": ")
        assert path
        assert reason
        assert sentence.encode()


@given(JSON)
@settings(max_examples=150, deadline=None)
def test_any_json_is_read_or_is_a_test_error(whole: object) -> None:
    read(whole)


RICH = {
    "http": definition(
        headers={"a": "b"},
        query={"a": ["b"]},
        body="x",
        bodyType="text/plain",
        basicAuth={"type": "web", "username": "u", "password": "p"},
        timeout=5,
        noSavingResponseBody=False,
        httpVersion="any",
    ),
    "tcp": definition("tcp", timeout=5, shouldTrackHops=False),
    "dns": definition("dns", dnsServer="ns.test", dnsServerPort=53),
}
RICH["http"]["config"]["assertions"] = [
    STATUS,
    {"type": "header", "property": "a", "operator": "lessThan", "target": 1},
    {"type": "responseTime", "operator": "lessThan", "target": 1, "timingsScope": "all"},
    {
        "type": "body",
        "operator": "validatesJSONPath",
        "target": {"jsonPath": "a", "operator": "is", "targetValue": 1, "elementsOperator": "firstElementMatches"},
    },
    {"type": "body", "operator": "validatesXPath", "target": {"xPath": "a", "operator": "is", "targetValue": 1}},
    {"type": "body", "operator": "validatesJSONSchema", "target": {"jsonSchema": "{}", "metaSchema": "draft-07"}},
    {"type": "bodyHash", "operator": "md5", "target": "a"},
]
for each in RICH.values():
    each |= {"public_id": "a", "version": 1, "tags": ["a"]}
    each["options"] |= {"retry": {"count": 1, "interval": 1}, "follow_redirects": True, "allow_insecure": True}


def places(value: object) -> list[tuple[Any, Any]]:
    """Every member and item below *value*, as the container and the key within it."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [place for key in keys for place in ((value, key), *places(value[key]))]  # type: ignore[index]


@pytest.mark.parametrize("subtype", RICH)
@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_definition_with_anything_in_place_of_one_or_two_members_is_read_or_is_a_test_error(
    subtype: str, data: st.DataObject
) -> None:
    whole = copy.deepcopy(RICH[subtype])
    assert parse(whole).requires_update == ()
    for _ in range(data.draw(st.integers(1, 2))):
        container, key = data.draw(st.sampled_from(places(whole)))
        container[key] = data.draw(JSON)
    read(whole)


def test_depth_is_no_danger() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for name in ("name", "config", "options", "tags"):
        read(definition() | {name: deep})
    read(with_assertion(STATUS | {"target": deep}))
    while deep:
        deep = deep.pop()


@pytest.mark.parametrize(
    ("options", "ignored"),
    [
        ({}, ()),
        ({"retry": {"count": 0, "interval": 300}, "scheduling": {"timeframes": [], "timezone": "UTC"}}, ()),
        ({"retry": {"interval": 300}}, ()),
        ({"retry": {"count": 2, "interval": 5000}}, ()),
        ({"retry": {"count": 2, "interval": 5001}}, ()),
        ({"retry": {"count": 11}}, ("options.retry.count",)),
    ],
)
def test_what_a_run_goes_without_is_named_and_the_test_is_run(
    options: dict[str, Any], ignored: tuple[str, ...]
) -> None:
    test = parse(definition() | {"options": {"tick_every": 60} | options})
    assert tuple(each.split(":")[0] for each in test.ignored) == ignored
    assert test.request is not None


def test_a_connection_is_tried_without_the_hops_on_its_way() -> None:
    test = parse(definition("tcp", shouldTrackHops=True))
    assert test.ignored == (
        "config.request.shouldTrackHops: network hops are not there yet: the connection is tried without them",
    )
    assert test.request == TCPRequest(host="shop.test", port=443)
