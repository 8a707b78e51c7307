"""The form of a test: what it is filled with comes back as it was, and fields that are filled in stand over the JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from multidict import MultiDict

from controlplane.pages import testforms
from controlplane.pages.editpages import read_definitions
from controlplane.pages.testforms import EXAMPLES, TestFields, document_of, of_document, read_fields, written
from controlplane.service import definitions
from tests.support.definitions import http_test
from worker.clock import SystemClock
from worker.errors import TestError


def test_an_unchanged_form_is_the_document() -> None:
    document = http_test("shop", tags=["a", "b"], status="paused", locations=["pl:x"], message="m")
    assert document_of(of_document(document, 3)) == document
    assert of_document(document, 3).version == "3"


@pytest.mark.parametrize(
    "members",
    [{"name": "a\u202eb"}, {"name": " a"}, {"tags": ["a,b"]}, {"tags": [" a"]}, {"tags": ["a", "a"]}, {"tags": ["\n"]}],
)
def test_what_a_field_would_change_stays_in_the_json(members: dict[str, Any]) -> None:
    document = http_test("shop", tags=["x"], status="live") | members
    fields = of_document(document, 1)
    assert document_of(fields) == document
    assert not any(getattr(fields, member) for member in members)


def test_a_form_comes_back_as_its_fields() -> None:
    sent = MultiDict([("name", "n"), ("period", " 60 "), ("location", "a"), ("location", "b"), ("status", "paused")])
    assert read_fields(sent) == TestFields(name="n", period="60", paused=True, places=["a", "b"])


def test_a_field_stands_over_the_json_and_an_empty_one_leaves_it() -> None:
    pasted = json.dumps(http_test("pasted", tags=["x"], locations=["pl:here"], tick_every=300))
    left = document_of(TestFields(document=pasted, period=""))
    assert (left["name"], left["tags"], left["locations"], left["options"]) == (
        "pasted",
        ["x"],
        ["pl:here"],
        {"tick_every": 300},
    )
    over = document_of(TestFields(name="mine", tags="a, b,a", places=["pl:there"], period="30", document=pasted))
    assert (over["name"], over["tags"], over["locations"], over["options"]) == (
        "mine",
        ["a", "b"],
        ["pl:there"],
        {"tick_every": 30},
    )


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        (
            {"document": "{"},
            "$: is not valid JSON: Expecting property name enclosed in double quotes at line 1, column 2",
        ),
        ({"document": "[]"}, "$: is not a valid object: one test is expected here"),
        ({"document": "[" * 100_000}, "$: is not valid JSON: a number or a nesting that nothing can hold"),
        ({"document": f'{{"a": {"9" * 5000}}}'}, "$: is not valid JSON: a number or a nesting that nothing can hold"),
        ({"document": '{"options": 7}'}, "options: is not a valid object"),
        ({"period": "-1"}, "options.tick_every: '-1' is not a valid number of seconds"),
        ({"period": "٣"}, "options.tick_every: '٣' is not a valid number of seconds"),
    ],
)
def test_a_mistake_has_its_place(fields: dict[str, Any], mistake: str) -> None:
    with pytest.raises(TestError) as raised:
        document_of(TestFields(**fields))
    assert list(raised.value.errors) == [mistake]


@pytest.mark.parametrize("subtype", EXAMPLES)
def test_an_example_is_valid_as_soon_as_it_has_a_name(subtype: str) -> None:
    fields = testforms.example(subtype, ["pl:x"])
    with pytest.raises(TestError) as raised:
        definitions.check("test", document_of(fields))
    assert list(raised.value.errors) == ["name: is missing"]
    checked = definitions.check("test", document_of(fields) | {"name": "n"})
    assert (checked.parsed.subtype, checked.parsed.requires_update) == (subtype, ())


def test_text_that_hides_is_written_as_json_escapes_it() -> None:
    value = {"name": "a\u202eb", "other": "grüße"}
    assert json.loads(written(value)) == value
    assert "\u202e" not in written(value)
    assert "grüße" in written({"other": "grüße"})


@pytest.mark.parametrize(
    ("text", "found", "mistakes"),
    [
        (json.dumps(http_test("a")), 1, 0),
        (json.dumps([http_test("a"), http_test("b")]), 2, 0),
        (json.dumps({"tests": [http_test("a")]}), 1, 0),
        ("\n".join(json.dumps(http_test(name)) for name in "abc"), 3, 0),
        ("", 0, 1),
        ("nonsense", 0, 1),
        (json.dumps([http_test("a"), {"name": "b", "type": "api"}]), 1, 1),
        (json.dumps([http_test("a"), http_test("a")]), 2, 1),
    ],
)
async def test_every_form_of_an_export_is_read(text: str, found: int, mistakes: int) -> None:
    definitions_found, lines = await read_definitions(SystemClock(), text)
    assert len(definitions_found) == found
    assert (len(lines) > 0) is (mistakes > 0)
