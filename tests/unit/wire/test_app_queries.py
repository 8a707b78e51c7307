"""The shape of an app's query: which schemas and templates may be used, and what a template makes of values."""

from __future__ import annotations

from typing import Any

import pytest

from worker.actions.catalogue import CATALOGUE
from worker.wire import appparams, apptemplate
from worker.wire.apptemplate import FIXED, AppTemplateError, ParamValue


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    "good",
    [
        {},
        schema(id={"type": "integer", "title": "Number", "minimum": 1, "maximum": 9, "default": 3}),
        schema(name={"type": "string", "minLength": 1, "maxLength": 60, "pattern": "^[a-z]+$", "description": "x"}),
        schema(size={"type": "string", "enum": ["small", "large"]}, really={"type": "boolean"}, x={"type": "number"}),
        {**schema(a={"type": "string"}), "required": ["a"], "additionalProperties": False, "title": "t"},
    ],
)
def test_a_flat_schema_may_be_used(good: dict[str, Any]) -> None:
    assert appparams.fault(good) is None
    assert appparams.closed(good)["additionalProperties"] is False


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        ({"type": "array"}, "type"),
        ({"$ref": "#"}, "$ref"),
        ({"allOf": [{}]}, "allOf"),
        ({"properties": []}, "properties"),
        ({"properties": {f"p{n}": {"type": "string"} for n in range(51)}}, "properties"),
        ({"additionalProperties": True}, "additionalProperties"),
        ({"required": ["a"]}, "required"),
        ({"required": "a"}, "required"),
        ({"title": 7}, "title"),
        (schema(**{"1a": {"type": "string"}}), "properties.1a"),
        (schema(a=True), "properties.a"),
        (schema(a={}), "properties.a.type"),
        (schema(a={"type": "object"}), "properties.a.type"),
        (schema(a={"type": ["string", "null"]}), "properties.a.type"),
        (schema(a={"type": "string", "anyOf": []}), "properties.a.anyOf"),
        (schema(a={"type": "string", "minimum": 1}), "properties.a.minimum"),
        (schema(a={"type": "integer", "pattern": "x"}), "properties.a.pattern"),
        (schema(a={"type": "string", "pattern": "x" * 201}), "properties.a.pattern"),
        (schema(a={"type": "string", "maxLength": -1}), "properties.a.maxLength"),
        (schema(a={"type": "number", "minimum": "1"}), "properties.a.minimum"),
        (schema(a={"type": "string", "enum": []}), "properties.a.enum"),
        (schema(a={"type": "string", "enum": [1]}), "properties.a.enum"),
        (schema(a={"type": "integer", "enum": [True]}), "properties.a.enum"),
        (schema(a={"type": "integer", "default": "1"}), "properties.a.default"),
        (schema(a={"type": "string", "description": "x" * 4001}), "properties.a.description"),
    ],
)
def test_any_other_schema_may_not(bad: dict[str, Any], place: str) -> None:
    fault = appparams.fault(bad)
    assert fault is not None
    assert fault.startswith(place)


PARAMS: dict[str, ParamValue] = {
    "id": 7,
    "name": "a b/ü?#%",
    "yes": True,
    "dots": "..",
    "empty": "",
    "braces": "{{ params.id }}",
}


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ({"a": 1, "b": [None, {"c": "x"}]}, {"a": 1, "b": [None, {"c": "x"}]}),
        ({"params": {"id": {"$param": "id"}}}, {"params": {"id": 7}}),
        ({"parameters": [{"$param": "yes"}, {"$param": "name"}]}, {"parameters": [True, "a b/ü?#%"]}),
        ({"body": {"$param": "braces"}}, {"body": "{{ params.id }}"}),
        ({"params": {"id": {"$param": "missing"}, "b": 1}}, {"params": {"b": 1}}),
        ({"urlParams": {"$param": "missing"}}, {}),
        ({"url": "/v1/{{ params.id }}"}, {"url": "/v1/7"}),
        ({"url": "/v1/{{params.name}}?x={{ params.yes }}"}, {"url": "/v1/a%20b%2F%C3%BC%3F%23%25?x=true"}),
        ({"url": "https://crm:8443/{{ params.id }}"}, {"url": "https://crm:8443/7"}),
        ({"url": "/{{ params.braces }}"}, {"url": "/%7B%7B%20params.id%20%7D%7D"}),
    ],
)
def test_values_stand_in_their_places(template: dict[str, Any], made: dict[str, Any]) -> None:
    assert apptemplate.rendered(template, PARAMS) == made


@pytest.mark.parametrize(
    "template",
    [
        *({name: {"$param": "id"}} for name in sorted(FIXED | {"url"})),
        {"test": {"deep": [{"$param": "id"}]}},
        {"sql": "select {{ params.id }}"},
        {"body": "{{ params.id }}"},
        {"requestHeaders": {"X": "{{ params.id }}"}},
        {"urlParams": {"url": "/{{ params.id }}"}},
        {"url": "{{ params.id }}"},
        {"url": "{{ params.id }}/x"},
        {"url": "//{{ params.id }}/x"},
        {"url": "/\\{{ params.id }}"},
        {"url": "https://{{ params.id }}/x"},
        {"url": "https://a{{ params.id }}/x"},
        {"url": "https://user:{{ params.id }}@a/x"},
        {"url": "ftp://a/{{ params.id }}"},
        {"url": "/{{ params.id"},
        {"url": "/{{ steps.a }}"},
        {"url": "/{{ params.id | x }}"},
        {"url": "/{{{{ params.id }}}}"},
        {"params": {"$param": "id", "other": 1}},
        {"params": {"$param": 7}},
        {"params": {"$param": {"$param": "id"}}},
    ],
)
def test_no_parameter_says_which_thing_is_done(template: dict[str, Any]) -> None:
    with pytest.raises(AppTemplateError, match="input"):
        apptemplate.check(template, PARAMS)
    with pytest.raises(AppTemplateError, match="input"):
        apptemplate.rendered(template, PARAMS)


@pytest.mark.parametrize(
    "template",
    [
        {"url": "/{{ params.dots }}"},
        {"url": "/{{ params.empty }}"},
        {"url": "/{{ params.missing }}"},
        {"list": [{"$param": "missing"}]},
    ],
)
def test_values_that_do_not_fit_are_refused(template: dict[str, Any]) -> None:
    with pytest.raises(AppTemplateError, match="input"):
        apptemplate.rendered(template, PARAMS)


def test_a_template_names_known_parameters_alone() -> None:
    with pytest.raises(AppTemplateError, match="'id'"):
        apptemplate.check({"params": {"a": {"$param": "id"}}}, ["name"])
    assert apptemplate.params_of({"url": "/{{ params.a }}", "b": [{"$param": "c"}]}) == {"a", "c"}


def test_a_template_is_not_endless() -> None:
    deep: Any = {"$param": "id"}
    for _ in range(40):
        deep = [deep]
    with pytest.raises(AppTemplateError, match="deeper"):
        apptemplate.check({"params": deep}, ["id"])


def test_each_fixed_member_is_one_of_an_action() -> None:
    known = {name for action in CATALOGUE.values() for name in action.input_schema["properties"]}
    assert known >= FIXED
