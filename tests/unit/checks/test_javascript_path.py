"""Forms of JSONPath that readers in JavaScript take: each finds what JavaScript makes of it; standard forms stay as they are."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.support.definitions import json_path
from tests.support.observed import http, judged
from worker.checks.javascript_path import rewritten
from worker.checks.jsonpath import find

DOCUMENT: dict[str, Any] = {
    "book": [
        {"id": 1, "$k": 1, "title": "abc", "price": 5, "tags": ["x"], "dims": {"length": 9}},
        {"id": 2, "title": "a\U0001f600bc", "price": 8.5, "tags": [], "dims": {}},
        {"id": -3, "title": "a === b % c.0", "price": 12},
    ],
    "byName": {"0": "zero", "length": 7},
    "order": {"$oid": "5f", "$ref": {"$oid": "6a"}},
}


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("$..book[(@.length-1)].id", [-3]),
        ("$.book[( @.length - 2 )].id", [2]),
        ("$.book[(@.length-9)].id", []),
        ("$.book.0.id", [1]),
        ("book.0.id", [1]),
        ("$..book.1.id", [2]),
        ("$['book'].1.id", [2]),
        ("$.book.0.tags.0", ["x"]),
        ("$.book.*.tags.0", ["x"]),
        ("$.book.9.id", []),
        ("$.byName.0", ["zero"]),
        ("$.order.$oid", ["5f"]),
        ("order.$ref.$oid", ["6a"]),
        ("$..$oid", ["5f", "6a"]),
        ("$.book[?(@.$k == 1)].id", [1]),
        ("$.book[?(@.tags.0 == 'x')].id", [1]),
        ("$.book[?(@.id === 2)].id", [2]),
        ("$.book[?(@.id!==2)].id", [1, -3]),
        ("$.book[?(@.title === 'a === b % c.0')].id", [-3]),
        ("$.book[?(@.title.length === 3)].id", [1]),
        ("$.book[?(@.title.length == 5)].id", [2]),
        ("$.book[?(@['title'].length > 3)].id", [2, -3]),
        ("$.book[?(@.title && @.title.length > 3)].id", [2, -3]),
        ("$.book[?(@.tags.length > 0)].id", [1]),
        ("$.book[?(@.price.length > 0)].id", []),
        ("$.book[?(@.dims.length == 9)].id", [1]),
        ("$.byName.length", [7]),
        ("$.book.length", [3]),
        ("$[?(@.length == 3)].0.id", [1]),
        ("$.book[?(@.id % 2 == 0)].id", [2]),
        ("$.book[?(@.id % 2 === 1)].id", [1]),
        ("$.book[?(@.id % 2 == -1)].id", [-3]),
        ("$.book[?(@.price % 2.5 == 1)].id", [2]),
        ("$.book[?(@.id % 0 == 0)].id", []),
        ("$.book[?(@.title % 2 == 0)].id", []),
        ("$.book[?(@.title.length % 2 == 1)].id", [1, 2, -3]),
        ("$.book[?(@.price*2 === 10)].id", [1]),
        ("$.book[?(@.price > 8.4 && @.price < 12.5)].id", [2, -3]),
    ],
)
def test_a_form_of_javascript_finds_what_javascript_finds(expression: str, found: list[object]) -> None:
    assert find(expression, DOCUMENT) == found


@pytest.mark.parametrize(
    "expression",
    [
        "$.book[0].title",
        "$['a.0.b']",
        '$["a === b"]',
        "$[?(@.a == 'x % y')]",
        "$[?(@.a == '@.b.length')]",
        "$[?(@.a =~ /b === c/)]",
        "$[?(@.price > 1.5)]",
        "$[?(@.a-length == 1)]",
        "$[?(@.length_m == 1)]",
        "$[?(@.length-mm == 1)]",
        "$.a.0b",
        "$.v1.length",
        "$[?length(@.a) > 1]",
        "\x000\x00",
    ],
)
def test_everything_else_is_left_as_it_is(expression: str) -> None:
    assert rewritten(expression) == expression


def test_an_element_that_is_there_is_not_undefined() -> None:
    page = http(orjson.dumps(DOCUMENT))
    assert not judged(page, json_path("$.book.0.id", "isUndefined")).valid
    assert not judged(page, json_path("$.book[?(@.title.length > 4)]", "isUndefined")).valid


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("$[?(@.flag)].id", [1, 2, 3]),
        ("$[?(!@.flag)].id", [4]),
        ("$[?(@.flag == null)].id", [3]),
        ("$[?(@.flag != null)].id", [1, 2, 4]),
        ("$[?(@.text == 9)].id", []),
        ("$[?(@.text < 10)].id", []),
        ("$[-1].id", [4]),
        ("$[?(@.id == 4)].missing", []),
    ],
)
def test_where_readers_in_javascript_and_the_rfc_differ_the_rfc_holds(expression: str, found: list[object]) -> None:
    """The table of docs/test-language.md: RFC 9535 §2.3.3.2 and §2.3.5.2."""
    document = [
        {"id": 1, "flag": True, "text": "9"},
        {"id": 2, "flag": False},
        {"id": 3, "flag": None},
        {"id": 4},
    ]
    assert find(expression, document) == found  # type: ignore[arg-type]
