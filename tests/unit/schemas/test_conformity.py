"""What is certain without the validator is what the validator says, and usual inputs of every action are certain."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from worker.actionrunner import connectionkinds, connections, policyfile, scriptfile
from worker.actions.catalogue import CATALOGUE
from worker.schemas import validator
from worker.schemas.conformity import certainty
from worker.schemas.schema import closed, fault, first_breach, violation

WRITTEN: dict[str, Any] = {
    **{name: action.input_schema for name, action in CATALOGUE.items()},
    **{
        kind: closed({**connections._COMMON, **found.properties}, "type", *found.required)
        for kind, found in connectionkinds.KINDS.items()
    },
    "connections": connections._FILE,
    "policy": policyfile._POLICY,
    "rule": policyfile._RULE,
    "scripts": scriptfile._FILE,
    "one script": scriptfile._SCRIPT,
    "query": connectionkinds._QUERY,
}
"""All that a runner checks by as it starts and for a task."""
SCHEMAS: dict[str, Any] = {name: orjson.loads(orjson.dumps(schema)) for name, schema in WRITTEN.items()}
SCALARS: tuple[Any, ...] = (None, True, False, 0, 1, -1, 3, 2**40, 0.5, 1.0, "", "a", "GET", "/v1/x", "é", "a\n")
GENERATED = 150
"""Documents for each schema: some ten milliseconds."""


def generated(schema: Any, chance: random.Random, depth: int = 0) -> Any:
    """A document that mostly follows *schema*, and now and then does not."""
    if chance.random() < 0.06 or not isinstance(schema, dict) or depth > 5:
        return chance.choice(SCALARS) if chance.random() < 0.7 else {"odd": [1, {}]}
    if "oneOf" in schema:
        return generated(chance.choice(schema["oneOf"]), chance, depth)
    if "enum" in schema or "const" in schema:
        return chance.choice(schema.get("enum", [schema.get("const")]))
    kinds = schema.get("type", chance.choice(["object", "string", "number"]))
    return MAKERS[kinds if isinstance(kinds, str) else chance.choice(kinds)](schema, chance, depth)


def _object(schema: dict[str, Any], chance: random.Random, depth: int) -> dict[str, Any]:
    listed, required = schema.get("properties", {}), schema.get("required", ())
    names = [name for name in listed if name in required or chance.random() < 0.4]
    found = {name: generated(listed[name], chance, depth + 1) for name in names if chance.random() < 0.98}
    more = schema.get("additionalProperties", {"type": "string"})
    if more is not False or chance.random() < 0.05:
        found |= {chance.choice("abcXY-. é"): generated(more, chance, depth + 1) for _ in range(chance.randrange(3))}
    return found


def _array(schema: dict[str, Any], chance: random.Random, depth: int) -> list[Any]:
    return [generated(schema.get("items", {}), chance, depth + 1) for _ in range(chance.randrange(4))]


def _string(_: dict[str, Any], chance: random.Random, __: int) -> str:
    return chance.choice(
        ("200", "5m", "404-499", "/a?b", "name_1", "a.b", "*", "x" * 90, "http://h/", "Ä", "a\nb", "/ok\n")
    )


def _number(schema: dict[str, Any], chance: random.Random, _: int) -> float:
    return chance.choice((0, 1, -1, 0.5, 7, schema.get("minimum", 2), schema.get("maximum", 9), 10**7))


MAKERS = {
    "object": _object,
    "array": _array,
    "string": _string,
    "number": _number,
    "integer": _number,
    "boolean": lambda *_: True,
    "null": lambda *_: None,
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_certain_conforms_and_what_conforms_is_certain_where_no_value_is_unusual(name: str) -> None:
    text = orjson.dumps(SCHEMAS[name])
    check = certainty(text)
    assert check is not None
    chance, conforming = random.Random(name), 0
    for _ in range(GENERATED):
        document = generated(SCHEMAS[name], chance)
        conforms = validator.breach(text, document) is None
        certain = check(document)
        assert certain <= conforms, document
        assert certain == conforms or _is_unusual(document), document
        conforming += certain
    assert 0 < conforming < GENERATED


def _is_unusual(document: Any) -> bool:
    """Fractions that are integers, and texts that patterns are not looked for in."""
    match document:
        case dict():
            return any(map(_is_unusual, [*document, *document.values()]))
        case list():
            return any(map(_is_unusual, document))
        case str():
            return not document.isprintable() or not document.isascii()
        case _:
            return isinstance(document, float)


KEYWORDS: list[tuple[dict[str, Any], list[Any]]] = [
    ({"type": "integer"}, [1, 1.0, 1.5, True, 2**53, 2**70, "1"]),
    ({"type": "number"}, [1, 1.5, True, float("nan"), float("inf"), "1"]),
    ({"type": ["string", "null"]}, ["", None, 0, False]),
    ({"enum": ["a", "b"]}, ["a", "c", None, 1, ["a"]]),
    ({"const": "a"}, ["a", "b", {}]),
    ({"minimum": 1, "exclusiveMaximum": 2.5}, [0, 1, 2.4, 2.5, True, "x"]),
    ({"exclusiveMinimum": 0, "maximum": 3}, [0, 0.1, 3, 4]),
    ({"minLength": 2, "maxLength": 3}, ["é", "éé", "👍👍👍", "abcd", "\ud800a", 1]),
    ({"minItems": 1, "maxItems": 2, "items": {"type": "string"}}, [[], ["a"], ["a", 1], ["a", "b", "c"], "x"]),
    ({"minProperties": 1, "maxProperties": 1}, [{}, {"a": 1}, {"a": 1, "b": 2}, []]),
    ({"properties": {"a": {"type": "null"}}}, [{}, {"a": None}, {"a": 1}, {"b": 1}, 7]),
    ({"required": ["a"]}, [{}, {"a": 1}, []]),
    ({"properties": {"a": True}, "additionalProperties": {"type": "string"}}, [{"a": 1}, {"b": "x"}, {"b": 1}]),
    ({"properties": {"a": {}}, "additionalProperties": False}, [{"a": 1}, {"b": 1}]),
    ({"propertyNames": {"pattern": "^[a-c]*$"}}, [{"abc": 1}, {"abd": 1}, {"": 1}]),
    ({"pattern": "^/"}, ["/", "/a\n", "a/", "", 3]),
    ({"pattern": "^[a-z]{0,3}$"}, ["", "abc", "abcd", "abc\n", "ab\n", "é"]),
    ({"pattern": r"^/[^?#\\]*$"}, ["/a", "/a?", "/\\", "/é", "/" + "a" * 5000]),
    ({"pattern": "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$"}, ["200", "200-299", "200-", "600"]),
    ({"oneOf": [closed({"a": {}}, "a"), closed({"b": {}}, "b")]}, [{"a": 1}, {"b": 1}, {"a": 1, "b": 1}, {}, 1]),
    ({"oneOf": [{"type": "string"}, {"minLength": 2}]}, ["a", "ab", 3]),
    ({"title": "t", "description": "d", "format": "email", "default": 3}, ["x", None]),
    ({"items": {"$ref": "#"}}, [[], [[]], 1]),
]


@pytest.mark.parametrize(("schema", "values"), KEYWORDS, ids=lambda one: ",".join(one) if isinstance(one, dict) else "")
def test_each_keyword_says_no_more_than_the_validator(schema: dict[str, Any], values: list[Any]) -> None:
    text = orjson.dumps(schema)
    check = certainty(text)
    for value in values:
        conforms = validator.breach(text, value) is None
        assert (check is not None and check(value)) <= conforms, value
        assert (first_breach(schema, value) is None) == conforms, value


@pytest.mark.parametrize(
    "value",
    [
        [0] * 1001,
        {"a": [{"b": 2}] * 400},
        2**53,
        "\udc00",
        {1: 2},
        (1,),
        float("nan"),
        {"\ud800": 1},
        {"a": {"\udfff"}},
    ],
    ids=lambda value: str(value)[:20].encode("ascii", "replace").decode(),
)
def test_large_and_unusual_documents_are_for_the_validator(value: Any) -> None:
    check = certainty(b"{}")
    assert check is not None
    assert not check(value)


def test_a_deep_document_is_for_the_validator() -> None:
    document: Any = 1
    for _ in range(60):
        document = [document]
    check = certainty(b"{}")
    assert check is not None
    assert check([[1]])
    assert not check(document)


FORMS: dict[str, tuple[Any, ...]] = {
    "type": ("whole", 1, [], ["string", "string"], ["string", 1], {}),
    "enum": ("a", {}, 3),
    "required": ("a", [1], ["a", "a"], {}),
    "properties": ([], {"a": 1}, {"a": {"type": "whole"}}),
    **dict.fromkeys(("minLength", "maxItems", "minProperties"), (-1, "1", 1.5, None)),
    **dict.fromkeys(("minimum", "exclusiveMaximum"), ("1", None, True)),
    **dict.fromkeys(("items", "additionalProperties", "propertyNames", "oneOf", "title", "format", "pattern"), (3,)),
}
FAULTY: list[dict[str, Any]] = [
    *({name: form} for name, forms in FORMS.items() for form in forms),
    {"oneOf": []},
    {"oneOf": [{"required": 3}]},
    {"items": [{"type": "string"}]},
    {"pattern": "("},
    {"pattern": "^[z-a]"},
    {"pattern": "^a{3,1}$"},
]


@pytest.mark.parametrize("schema", FAULTY, ids=str)
def test_a_faulty_schema_is_never_certain(schema: dict[str, Any]) -> None:
    assert certainty(orjson.dumps(schema)) is None
    assert fault(schema) is not None


@pytest.mark.parametrize(
    "pattern",
    ["^[^a]{0,500}$", "^[^a]{9}[^b]{9}[^c]{9}[^d]{9}[^e]{0,400}", "^(a)?$", "^/", "^[?.#]*$", "^a-b_c/[0-9-]{2}"],
)
def test_a_pattern_that_is_certain_to_be_one_is_one_to_the_validator(pattern: str) -> None:
    assert certainty(orjson.dumps({"pattern": pattern})) is not None
    assert validator.flaw(orjson.dumps({"pattern": pattern})) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "a*",
        "^a*b*$",
        "^(a*)*$",
        r"^\d",
        "^[[:alpha:]]",
        "^[a&&b]",
        "^[a--b]",
        "^a++",
        "^(?i)a",
        "^.",
        "^[é]",
        "^[^a]{999}",
    ],
)
def test_a_pattern_that_may_mean_something_else_or_take_long_is_for_the_validator(pattern: str) -> None:
    assert certainty(orjson.dumps({"pattern": pattern})) is None


def test_mistakes_are_told_by_the_validator_without_the_value() -> None:
    schema = closed({"password": {"type": "integer"}}, "password")
    assert violation(schema, {"password": "hunter2"}) == '/password: this value is not of type "integer"'
    assert violation(schema, {}) == 'the top: "password" is a required property'
