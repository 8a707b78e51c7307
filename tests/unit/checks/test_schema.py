"""JSON Schema in four dialects: what a violation says, what is refused, and that no reference leaves the schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.definitions import json_schema
from tests.support.node import answers_of_node, needs_node
from tests.support.observed import http, judged
from tests.unit.checks.listener import Listener
from worker.checks.schema import VALIDATORS

ITEMS = http(b'{"items":[{"id":1},{"id":"two"}],"a/b":{"~":null}}')


@pytest.mark.parametrize(
    "dialect", [None, "draft-06", "draft-07", "draft-2019-09", "2019-09", "draft-2020-12", "2020-12"]
)
def test_a_schema_holds_or_says_where_it_does_not(dialect: str | None) -> None:
    assert judged(ITEMS, json_schema('{"type":"object","required":["items"]}', dialect)).valid
    schema = '{"properties":{"items":{"items":{"properties":{"id":{"type":"integer"}}}}}}'
    result = judged(ITEMS, json_schema(schema, dialect))
    assert (result.valid, result.actual) == (False, None)
    assert result.error_message == 'the body breaks the schema at /items/1/id: "two" is not of type "integer"'
    assert (result.type, result.operator, result.expected) == ("body", "validatesJSONSchema", schema)


@pytest.mark.parametrize(
    ("dialect", "schema", "body", "valid"),
    [
        ("draft-06", {"if": {"type": "string"}, "then": False}, "x", True),
        ("draft-07", {"if": {"type": "string"}, "then": False}, "x", False),
        ("draft-07", {"dependentRequired": {"a": ["b"]}}, {"a": 1}, True),
        ("draft-2019-09", {"dependentRequired": {"a": ["b"]}}, {"a": 1}, False),
        ("draft-2019-09", {"prefixItems": [{"type": "string"}]}, [1], True),
        ("draft-2020-12", {"prefixItems": [{"type": "string"}]}, [1], False),
        ("draft-07", {"definitions": {"a": {"type": "integer"}}, "$ref": "#/definitions/a"}, 1, True),
        ("draft-07", {"pattern": "^\\d{3}$"}, "123", True),
        ("draft-07", {"pattern": "^(?!1)\\d{3}$"}, "123", False),
        ("draft-07", True, None, True),
        ("draft-07", False, None, False),
    ],
)
def test_the_dialect_is_the_one_that_the_assertion_names(dialect: str, schema: Any, body: Any, valid: bool) -> None:
    assert judged(http(orjson.dumps(body)), json_schema(orjson.dumps(schema).decode(), dialect)).valid is valid


def test_the_place_is_a_json_pointer_and_the_top_is_named() -> None:
    escaped = '{"properties":{"a/b":{"properties":{"~":{"type":"string"}}}}}'
    assert "at /a~1b/~0: null is not of type" in str(judged(ITEMS, json_schema(escaped)).error_message)
    top = judged(ITEMS, json_schema('{"type":"array"}')).error_message
    assert str(top).startswith("the body breaks the schema at the top: ")


def test_a_sentence_that_repeats_the_whole_value_is_cut() -> None:
    result = judged(http(orjson.dumps({"a": "x" * 1_000_000})), json_schema('{"properties":{"a":{"type":"integer"}}}'))
    assert result.error_message is not None
    assert len(result.error_message) < 300


@pytest.mark.parametrize(
    "schema",
    [
        '{"type": "no such type"}',
        '{"pattern": "("}',
        '{"$ref": "#/definitions/missing"}',
        '{"minimum": "x"}',
        "[]",
        '"text"',
        "7",
    ],
)
def test_a_schema_that_is_none_says_so(schema: str) -> None:
    result = judged(http(b'{"x":1}'), json_schema(schema))
    assert not result.valid
    assert str(result.error_message).startswith("the schema cannot be used: ")
    assert len(str(result.error_message)) < 300


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (
            '{"properties": {"a": {"minimum": 1, "exclusiveMinimum": true}}}',
            'true is not of type "number" at /properties/a/exclusiveMinimum',
        ),
        ("[]", '[] is not of types "boolean", "object" at the top'),
    ],
)
def test_what_is_wrong_with_a_schema_is_told_in_one_line_with_its_place(schema: str, said: str) -> None:
    assert judged(http(b"{}"), json_schema(schema)).error_message == f"the schema cannot be used: {said}"


def test_a_schema_has_a_longest_length() -> None:
    result = judged(http(b"1"), json_schema('{"description":"' + "x" * 262_144 + '"}'))
    assert "more than 262144" in str(result.error_message)


@pytest.mark.parametrize("dialect", VALIDATORS)
def test_no_reference_is_fetched_from_file_or_network(dialect: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary.json"
    canary.write_text('{"type": "string", "description": "CANARY-4711"}')
    listener = Listener()
    for uri in (
        canary.as_uri(),
        f"http://127.0.0.1:{listener.port}/s.json",
        f"https://127.0.0.1:{listener.port}/s.json",
    ):
        for schema in (
            {"$ref": uri},
            {"$schema": uri},
            {"$id": uri, "$ref": "other.json"},
            {"properties": {"a": {"$ref": f"{uri}#/x"}}},
            {"$recursiveRef": uri},
            {"$dynamicRef": uri},
            {"$schema": uri, "$vocabulary": {uri: True}},
        ):
            result = judged(http(b'{"a": 1}'), json_schema(orjson.dumps(schema).decode(), dialect))
            assert "CANARY-4711" not in str(result)
    assert listener.close() == 0


def test_a_draft_that_a_schema_declares_itself_does_not_move_the_dialect() -> None:
    schema = '{"$schema":"http://json-schema.org/draft-06/schema#","if":{"type":"string"},"then":false}'
    assert not judged(http(b'"x"'), json_schema(schema, "draft-07")).valid


PATTERNS = [
    (r"^[\w-.]+$", "a-.b"),
    (r"^[\w-.]+$", "a b"),
    (r"^(?<a>x)\k<a>$", "xx"),
    (r"^(?<a>x)\k<a>$", "xy"),
    (r"^[^]$", "\n"),
    ("a{,5}", "a{,5}"),
    (r"^\0$", "\x00"),
    (r"^]$", "]"),
    (r"^\h$", "h"),
    (r"^[\p{L}\d]+$", "\u00e91"),
    ("^[0-9]{4}-[0-9]{2}$", "2026-11"),
    ("^[0-9]{4}-[0-9]{2}$", "2026-1"),
    ("^.$", "\r"),
    ("^.$", "\u2028"),
    ("^.$", "\n"),
    ("^.$", "\U0001f600"),
    (r"^[.]\.$", "a."),
    (r"^[.]\.$", ".."),
    (r"\bb", "\u00e9b"),
    (r"\Bb", "\u00e9b"),
    (r"\bb\b", "a b c"),
    (r"^[\b]$", "\b"),
    (r"^[\d-x]+$", "1-x"),
    (r"^[a-c]+$", "abc"),
    (r"^[a-c]+$", "a-c"),
    (r"^[[a]$", "["),
    (r"^[&&b]$", "&"),
    (r"^[^\]x]$", "]"),
    (r"^[^\]x]$", "a"),
    (r"a[]", "a"),
]


@needs_node
def test_a_pattern_means_what_it_means_in_javascript() -> None:
    found = """cases.map(([source, text]) => {
        try { return new RegExp(source, "u").test(text); } catch { return new RegExp(source).test(text); }
    })"""
    schemas = [json_schema(orjson.dumps({"items": {"pattern": source}}).decode()) for source, _ in PATTERNS]
    bodies = [http(orjson.dumps([text])) for _, text in PATTERNS]
    here = [judged(body, schema).valid for body, schema in zip(bodies, schemas, strict=True)]
    assert here == answers_of_node(found, PATTERNS)


def names_of(source: str, text: str) -> bool:
    """The word of a schema by which no other name may be there than those that *source* finds."""
    schema = {"patternProperties": {source: {"type": "integer"}}, "additionalProperties": False}
    return judged(http(orjson.dumps({text: 1})), json_schema(orjson.dumps(schema).decode())).valid


NOT_TRANSLATED = {r"^(?<a>x)\k<a>$", "a{,5}", r"^\h$"}
"""No engine but JavaScript's takes them, and no property's name is likely to be asked for so."""


@needs_node
def test_names_of_properties_mean_what_they_mean_in_javascript() -> None:
    found = """cases.map(([source, text]) => {
        try { return new RegExp(source, "u").test(text); } catch { return new RegExp(source).test(text); }
    })"""
    cases = [case for case in PATTERNS if case[0] not in NOT_TRANSLATED]
    assert [names_of(*case) for case in cases] == answers_of_node(found, cases)
    for source in NOT_TRANSLATED:
        schema = json_schema(orjson.dumps({"patternProperties": {source: True}}).decode())
        assert str(judged(http(b"{}"), schema).error_message).startswith("the schema cannot be used: ")


def test_two_names_that_say_the_same_both_hold() -> None:
    schema = json_schema(r'{"patternProperties": {"[^]": {"type": "integer"}, "[\\s\\S]": {"minimum": 5}}}')
    assert [judged(http(body), schema).valid for body in (b'{"a": 5}', b'{"a": 4}', b'{"a": 5.5}')] == [
        True,
        False,
        False,
    ]


def test_what_looks_like_a_pattern_and_is_none_is_left_alone() -> None:
    schema = {"enum": [{"pattern": "."}], "properties": {"pattern": {"const": "."}, "const": {"pattern": "^.$"}}}
    written = json_schema(orjson.dumps(schema).decode())
    assert judged(http(b'{"pattern": "."}'), written).valid
    other = {"properties": schema["properties"]}
    result = judged(http(rb'{"const": "\r", "pattern": "."}'), json_schema(orjson.dumps(other).decode()))
    assert not result.valid
    assert judged(http(b'{"const": "x", "pattern": "."}'), json_schema(orjson.dumps(other).decode())).valid


def test_what_only_javascript_takes_is_told_like_every_other_pattern() -> None:
    schema = {"properties": {"pattern": {"pattern": r"^[\w-.]+$"}, "b": {"items": {"pattern": "^[^]$"}}}}
    result = judged(http(b'{"pattern": "a b", "b": ["x"]}'), json_schema(orjson.dumps(schema).decode()))
    assert result.error_message == r'the body breaks the schema at /pattern: "a b" does not match "^[\\w-.]+$"'
    assert judged(http(b'{"pattern": 1, "b": ["x", 2]}'), json_schema(orjson.dumps(schema).decode())).valid


def test_a_pattern_that_is_none_anywhere_says_so() -> None:
    result = judged(http(b'"a"'), json_schema('{"pattern": "(?i)a"}'))
    said = "the schema cannot be used: the pattern is not a valid JavaScript regular expression: "
    assert str(result.error_message).startswith(said)


def test_patterns_that_only_javascript_takes_are_few() -> None:
    schema = orjson.dumps({"allOf": [{"pattern": "[^]"}] * 51}).decode()
    assert "more than 50 patterns" in str(judged(http(b'"a"'), json_schema(schema)).error_message)
