"""JSONPath assertions: every inner operator, every elements operator, every kind of value, and what people write."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.support.definitions import json_path
from tests.support.observed import http, judged
from worker.checks.jsonpath import find
from worker.checks.judgement import JudgementError

DOCUMENT: dict[str, Any] = {
    "status": "ok",
    "code": 200,
    "price": 9.5,
    "whole": 3.0,
    "big": 9007199254740993,
    "ready": True,
    "none": None,
    "text": "42",
    "empty": "",
    "tags": ["a", "b"],
    "nested": {"b": 1, "a": [1, 2]},
    "items": [
        {"id": 1, "name": "Ann", "price": 5, "tags": ["x"]},
        {"id": 2, "name": "bob", "price": 15.5, "tags": []},
        {"id": 3, "name": "Cid", "price": 25, "tags": ["x", "y"]},
    ],
    "a b": 7,
    "a-b": 8,
    "é": 9,
}
PAGE = http(orjson.dumps(DOCUMENT))


@pytest.mark.parametrize(
    "assertion",
    [
        json_path("$.status", "is", "ok"),
        json_path("status", "is", "ok"),
        json_path("$.code", "is", "200"),
        json_path("$.code", "is", 200),
        json_path("$.code", "is", "200.0"),
        json_path("$.whole", "is", "3"),
        json_path("$.big", "is", "9007199254740993"),
        json_path("$.ready", "is", "true"),
        json_path("$.ready", "is", True),
        json_path("$.none", "is", "null"),
        json_path("$.text", "is", 42),
        json_path("$.empty", "is", ""),
        json_path("$.tags", "is", '["a","b"]'),
        json_path("$.tags", "is", '[ "a", "b" ]'),
        json_path("$.nested", "is", '{"a":[1,2],"b":1}'),
        json_path("$.status", "isNot", "0"),
        json_path("$.code", "isNot", 404),
        json_path("$.ready", "isNot", 1),
        json_path("$.status", "contains", "k"),
        json_path("$.code", "contains", "20"),
        json_path("$.tags", "contains", '"a"'),
        json_path("$.status", "doesNotContain", "error"),
        json_path("$.status", "matches", "^(ok|up)$"),
        json_path("$.code", "matches", "^2\\d\\d$"),
        json_path("$.status", "doesNotMatch", "error"),
        json_path("$.price", "lessThan", 10),
        json_path("$.price", "lessThan", "10"),
        json_path("$.code", "lessThanOrEqual", 200),
        json_path("$.text", "moreThan", 41),
        json_path("$.price", "moreThanOrEqual", 9.5),
        json_path("$.nothing", "isUndefined"),
        json_path("$.items[7].id", "isUndefined"),
        json_path("$.nothing", "isUndefined", "ignored"),
        json_path("$.items[*].id", "is", 1),
        json_path("$.items[*].id", "is", 1, "firstElementMatches"),
        json_path("$.items[*].id", "is", 3, "atLeastOneElementMatches"),
        json_path("$..id", "lessThan", 4),
        json_path("$.items[*].id", "moreThan", 0, "everyElementMatches"),
        json_path("$.items[*].id", "is", "[1,2,3]", "serializationMatches"),
        json_path("$.items[*].id", "is", "[1, 2, 3]", "serializationMatches"),
        json_path("$.items[*].id", "contains", "2,3", "serializationMatches"),
        json_path("$.items[*].name", "matches", "Ann.*Cid", "serializationMatches"),
        json_path("$.nothing[*]", "is", "[]", "serializationMatches"),
        json_path("$.nothing[*]", "is", "x", "everyElementMatches"),
        json_path("$.items[?(@.id > 9)].name", "matches", "x", "everyElementMatches"),
        json_path("$.items.length", "is", 3),
        json_path("$.items.length", "moreThan", 2),
        json_path("$.items[0].tags.length", "is", 1),
        json_path("$", "contains", "Ann"),
    ],
)
def test_a_path_that_satisfies(assertion: dict[str, Any]) -> None:
    result = judged(PAGE, assertion)
    assert (result.valid, result.error_message) == (True, None)
    assert (result.type, result.operator) == ("body", "validatesJSONPath")
    assert result.target_path == assertion["target"]["jsonPath"]
    assert result.target_path_operator == assertion["target"]["operator"]


@pytest.mark.parametrize(
    ("assertion", "actual", "reason"),
    [
        (json_path("$.status", "is", "up"), "ok", "the value at $.status is 'ok', not 'up'"),
        (json_path("$.code", "is", 404), 200, "the value at $.code is 200, not 404"),
        (json_path("$.code", "isNot", "200"), 200, "the value at $.code is '200', which it must not be"),
        (json_path("$.none", "is", ""), None, "the value at $.none is null, not ''"),
        (json_path("$.ready", "is", 1), True, "the value at $.ready is true, not 1"),
        (json_path("$.text", "is", "42.0"), "42", "the value at $.text is '42', not '42.0'"),
        (json_path("$.status", "contains", "x"), "ok", "the value at $.status does not contain 'x'"),
        (json_path("$.status", "doesNotContain", "k"), "ok", "the value at $.status contains 'k'"),
        (json_path("$.status", "matches", "^k"), "ok", "the value at $.status does not match the pattern '^k'"),
        (json_path("$.status", "doesNotMatch", "k"), "ok", "the value at $.status matches the pattern 'k'"),
        (json_path("$.price", "lessThan", 9.5), 9.5, "the value at $.price is 9.5, not less than 9.5"),
        (json_path("$.price", "moreThan", 9.5), 9.5, "the value at $.price is 9.5, not more than 9.5"),
        (json_path("$.price", "lessThanOrEqual", 9), 9.5, "the value at $.price is 9.5, more than 9"),
        (json_path("$.price", "moreThanOrEqual", 10), 9.5, "the value at $.price is 9.5, less than 10"),
        (json_path("$.status", "moreThan", 1), "ok", "the value at $.status: 'ok' is not a number"),
        (json_path("$.ready", "moreThan", 0), True, "the value at $.ready: true is not a number"),
        (json_path("$.status", "isUndefined"), "ok", "$.status is there"),
        (json_path("$.none", "isUndefined"), None, "$.none is there"),
        (json_path("$.gone", "isNot", "x"), None, "$.gone finds nothing"),
        (json_path("$.gone", "doesNotMatch", "x"), None, "$.gone finds nothing"),
        (json_path("$.gone[*]", "is", "x", "atLeastOneElementMatches"), None, "$.gone[*] finds nothing"),
        (
            json_path("$.items[*].id", "lessThan", 3, "everyElementMatches"),
            3,
            "value 3 of 3 at $.items[*].id is 3, not less than 3",
        ),
        (
            json_path("$.items[*].id", "is", 9, "atLeastOneElementMatches"),
            "[1,2,3]",
            "none of 3: the value at $.items[*].id is 1, not 9",
        ),
        (
            json_path("$.items[*].id", "is", "[1,2]", "serializationMatches"),
            "[1,2,3]",
            "what $.items[*].id finds, as JSON, is [1,2,3], not '[1,2]'",
        ),
    ],
)
def test_a_path_that_does_not_says_why(assertion: dict[str, Any], actual: object, reason: str) -> None:
    result = judged(PAGE, assertion)
    assert (result.valid, result.actual, result.error_message) == (False, actual, reason)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is empty, not JSON"),
        (b"  \n", "the body is empty, not JSON"),
        (b"<html>", "the body is not valid JSON: "),
        (b'{"a": NaN}', "the body is not valid JSON: "),
        (b'{"a": 1', "the body is not valid JSON: "),
        (b"[" * 100_000, "the body is nested to more than 2500 levels"),
    ],
)
def test_a_body_that_is_no_json_satisfies_no_path(body: bytes, reason: str) -> None:
    for assertion in (json_path("$.a", "is", 1), json_path("$.a", "isUndefined"), json_path("$..a", "is", 1)):
        result = judged(http(body), assertion)
        assert not result.valid
        assert result.error_message is not None
        assert result.error_message.startswith(reason)


def test_a_byte_order_mark_and_another_charset_are_still_json() -> None:
    assert judged(http(b'\xef\xbb\xbf{"a":1}'), json_path("$.a", "is", 1)).valid
    assert judged(
        http('{"a":"é"}'.encode("latin-1"), "application/json; charset=iso-8859-1"), json_path("$.a", "is", "é")
    ).valid
    assert judged(http('{"a":"é"}'.encode("utf-16"), None), json_path("$.a", "is", "é")).valid


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("$.items[*].id", [1, 2, 3]),
        ("items[*].id", [1, 2, 3]),
        ("$..id", [1, 2, 3]),
        ("$.items..id", [1, 2, 3]),
        ("$.items[-1].id", [3]),
        ("$.items[-1:].id", [3]),
        ("$.items[0,1].id", [1, 2]),
        ("$.items[0:2].id", [1, 2]),
        ("$.items[::2].id", [1, 3]),
        ("$['status','code']", ["ok", 200]),
        ("$['a b']", [7]),
        ('$["a b"]', [7]),
        ("$.a-b", [8]),
        ("$.é", [9]),
        (r"$['\u0073tatus']", ["ok"]),
        ("$.items[?(@.price < 10)].name", ["Ann"]),
        ("$.items[?(@.name=='Ann')].id", [1]),
        ('$.items[?(@.name == "Ann")].id', [1]),
        ("$.items[?(@['name']=='Ann')].id", [1]),
        ("$.items[?@.price > 10].id", [2, 3]),
        ("$.items[?(@.price > 1 && @.id == 2)].id", [2]),
        ("$.items[?(@.price > 20 || @.id == 2)].id", [2, 3]),
        ("$.items[?(@.price > 20 or @.id == 2)].id", [2, 3]),
        ("$.items[?(!(@.price > 10))].id", [1]),
        ("$.items[?(@.name =~ 'A')].id", [1]),
        ("$.items[?(@.name =~ /BOB/i)].id", [2]),
        ("$.items[?(@.name in ['Ann', 'bob'])].id", [1, 2]),
        ("$.items[?(@.tags contains 'y')].id", [3]),
        ("$.items[?match(@.name, '[A-C].*')].id", [1, 3]),
        ("$.items[?length(@.tags) > 1].id", [3]),
        ("$.items[?count(@.tags[*]) == 0].id", [2]),
        ("$.items[?(@.price*2 > 30)].id", [2, 3]),
        ("$.items.`len`", [3]),
        ("$.items.length", [3]),
        ("$.items[?(@.id==3)].tags.length", [2]),
        ("$..tags.length", [2, 1, 0, 2]),
        ("$.status.length", []),
        ("$[status]", ["ok"]),
        ("$.nothing", []),
    ],
)
def test_what_people_write_finds_what_they_mean(expression: str, found: list[object]) -> None:
    assert find(expression, DOCUMENT) == found


@pytest.mark.parametrize(
    "expression",
    [
        "$.",
        "$[",
        "$.items[?(@.id ====1)]",
        "$.items[?(@.name.length - 1 > 1)]",
        "$.items[?(@.id % 2)]",
        "$..",
        "length($)",
        "$.a[?(",
        "\x00",
        "a b c",
        "$" * 9,
    ],
)
def test_what_is_no_jsonpath_says_so_in_one_line(expression: str) -> None:
    with pytest.raises(
        JudgementError, match=r"\A(this is not a valid JSONPath|the JSONPath cannot be evaluated here): .+\Z"
    ):
        find(expression, DOCUMENT)


def test_an_expression_has_a_longest_length() -> None:
    with pytest.raises(JudgementError, match="2001 characters"):
        find("$." + "a" * 1999, DOCUMENT)


@pytest.mark.parametrize(
    "expression",
    [
        "$.status + 1",
        "$.items[?(@.name =~ '(')].id",
        "$.tags * 'x'",
        "$.code / 0",
        "$.items[?match(@.name, '(')]",
        "$.none.`sub(/(/, x)`",
    ],
)
def test_whatever_a_library_raises_is_a_reason_and_no_exception(expression: str) -> None:
    result = judged(PAGE, json_path(expression, "is", "no such value"))
    assert not result.valid
    assert result.error_message


def test_a_deeply_nested_value_cannot_be_compared_as_text() -> None:
    result = judged(http(b"[" * 400 + b"]" * 400), json_path("$", "contains", "x"))
    assert (result.valid, result.actual) == (False, "…")
    assert result.error_message == "the value at $: the value is nested too deeply to be written as text"


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**30])
def test_a_number_of_any_size_is_itself(number: int) -> None:
    page = http(b'{"id": %d}' % number)
    assert judged(page, json_path("$.id", "is", number)).valid
    assert not judged(page, json_path("$.id", "isNot", number)).valid
    assert judged(page, json_path("$.id", "is", str(number))).valid
    assert not judged(page, json_path("$.id", "moreThan", str(number))).valid
    assert judged(page, json_path("$.id", "lessThanOrEqual", number)).valid


def test_a_number_beyond_all_others_is_compared_and_nothing_breaks() -> None:
    page = http(b'{"id": 1.5}', headers=[("X-Size", "9" * 400)])
    more = {"type": "header", "property": "x-size", "operator": "moreThan", "target": 1.5}
    assert judged(page, more).valid
    assert not judged(page, json_path("$.id", "is", "9" * 400)).valid
