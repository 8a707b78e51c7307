"""The form of a workflow's parameters: a field for each property, and what is typed as the values that a schema judges."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import MultiDict

from controlplane.errors import UnusableError
from controlplane.pages.workflowforms import OTHERS, AskedParam, asked_params, read_params, start_key

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "default": "as it is", "title": "A text", "description": "Any"},
        "count": {"type": "integer", "default": 0},
        "ratio": {"type": "number"},
        "sure": {"type": "boolean", "default": False},
        "one": {"enum": ["a", 1, None], "default": 1},
        "word": {"type": "string", "enum": ["true", "x"]},
        "list": {"type": "array", "default": [1]},
        "any": True,
    },
    "required": ["text"],
    "additionalProperties": False,
}


def test_each_property_is_a_field_with_its_default() -> None:
    asked = {one.field: one for one in asked_params(SCHEMA, MultiDict())}
    assert list(asked) == [f"param.{name}" for name in SCHEMA["properties"]]
    text = AskedParam(field="param.text", label="A text", value="as it is", hint="Any", required=True)
    assert asked["param.text"] == text
    assert [(asked[f"param.{name}"].value, asked[f"param.{name}"].is_json) for name in ("count", "list", "any")] == [
        ("0", False),
        ("[1]", True),
        ("", True),
    ]
    assert asked["param.sure"].choices == (("true", "true"), ("false", "false"))
    assert asked["param.sure"].value == "false"
    assert asked["param.one"].choices == (('"a"', "a"), ("1", "1"), ("null", "null"))
    assert asked["param.one"].value == "1"


@pytest.mark.parametrize(
    ("field", "typed", "value"),
    [
        ("text", "7", "7"),
        ("text", ' "x" ', ' "x" '),
        ("count", "7", 7),
        ("count", " -7 ", -7),
        ("count", "1.5", 1.5),  # the schema says that it is none
        ("ratio", "1e3", 1000.0),
        ("sure", "true", True),
        ("one", '"a"', "a"),
        ("one", "null", None),
        ("word", '"true"', "true"),
        ("list", "[1, {}]", [1, {}]),
        ("any", '{"a": "\\u202e"}', {"a": "\u202e"}),
    ],
)
def test_a_field_is_read_as_its_kind(field: str, typed: str, value: object) -> None:
    assert read_params(SCHEMA, MultiDict({f"param.{field}": typed})) == {field: value}


@pytest.mark.parametrize("typed", ["NaN", "Infinity", "1e400", "seven", "[", "[" * 30_000, "\u0661", "1 2"])
def test_what_is_no_value_is_told_with_its_name(typed: str) -> None:
    with pytest.raises(UnusableError, match=r"^params\.count: .* is not a valid JSON value$"):
        read_params(SCHEMA, MultiDict({"param.count": typed}))


def test_an_empty_field_and_one_that_was_not_asked_for_say_nothing() -> None:
    assert read_params(SCHEMA, MultiDict({"param.text": "", "param.count": " ", "param.new": "1", OTHERS: ""})) == {}


def test_parameters_without_a_field_of_their_own_are_one_object() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    (_, others) = asked_params(schema, MultiDict({OTHERS: '{"b"'}))
    assert (others.field, others.value) == (OTHERS, '{"b"')
    assert read_params(schema, MultiDict({OTHERS: '{"a": 1, "b": 2}', "param.a": "x"})) == {"a": "x", "b": 2}
    with pytest.raises(UnusableError, match="is not a valid JSON object"):
        read_params(schema, MultiDict({OTHERS: "[]"}))


def test_a_form_has_one_key_for_the_same_values_in_any_order() -> None:
    keys = [start_key("x", params) for params in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2, "b": 2})]
    assert keys[0] == keys[1] != keys[2]
    assert start_key("y", {"a": 1, "b": 2}) != keys[0]
    assert start_key("", {}) is None
