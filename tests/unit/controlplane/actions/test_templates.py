"""Templates of workflows: what they become, with which type, and which are refused where."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.actions.templates import MAX_RENDERED, Rendering, references
from controlplane.errors import TemplatePathError, UnusableError

SCOPE: dict[str, Any] = {
    "params": {
        "n": 7,
        "yes": True,
        "name": "a/b c",
        "nothing": None,
        "list": [{"id": "x"}],
        "dots": "..",
        "braces": "{{ params.n }}",
    },
    "trigger": {"text": "checkout"},
    "steps": {"find": {"outputs": {"rows": [{"id": 3}]}}},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("{{ params.n }}", 7),
        (" {{params.n}} ", 7),
        ("{{ params.yes }}", True),
        ("{{ params.nothing }}", None),
        ("{{ params.list }}", [{"id": "x"}]),
        ("{{ params.list.0.id }}", "x"),
        ("{{ steps.find.outputs.rows.0.id }}", 3),
        ("n={{ params.n }}, {{ params.yes }}, {{ trigger.text }}", "n=7, true, checkout"),
        ("{{ '{{ NAME }}' }}", "{{ NAME }}"),
        ("x {{ '{{ NAME }}' }} {{ params.n }}", "x {{ NAME }} 7"),
        ("{{ params.braces }}", "{{ params.n }}"),
        ("<{{ params.braces }}>", "<{{ params.n }}>"),
        ({"{{ params.n }}": ["{{ params.n }}", 1]}, {"{{ params.n }}": [7, 1]}),
    ],
)
def test_a_template_becomes_its_value(text: Any, value: Any) -> None:
    assert Rendering(SCOPE).render(text, "x") == value


@pytest.mark.parametrize(
    ("value", "place", "path"),
    [
        ("{{ params.gone }}", "input", "params.gone"),
        ({"a": ["", "{{ steps.find.outputs.rows.1.id }}"]}, "input.a[1]", "steps.find.outputs.rows.1.id"),
        ("{{ params.n.x }}", "input", "params.n.x"),
        ("{{ params.list.-1 }}", "input", "params.list.-1"),
        ("text {{ params.list }}", "input", "params.list"),
        ("text {{ params.nothing }}", "input", "params.nothing"),
    ],
)
def test_what_is_not_there_or_has_no_form_is_named_with_its_place(value: Any, place: str, path: str) -> None:
    with pytest.raises(TemplatePathError) as caught:
        Rendering(SCOPE).render(value, "input")
    assert (caught.value.place, caught.value.path) == (place, path)


@pytest.mark.parametrize(
    "text", ["{{ x }}", "{{ params }}", "{{ params. }}", "{{ secrets.x }}", "{{ params.x | upper }}", "{{}}"]
)
def test_other_text_in_braces_is_refused_when_a_workflow_is_read(text: str) -> None:
    with pytest.raises(UnusableError, match="is not a valid template"):
        list(references([text], "input"))


def test_references_know_their_places() -> None:
    value = {"a": "{{ params.n }}", "b": ["x{{ trigger.text }}", "{{ '{{ X }}' }}"]}
    found = [(one.place, one.parts, one.whole) for one in references(value, "in")]
    assert found == [("in.a", ("params", "n"), True), ("in.b[0]", ("trigger", "text"), False)]


def test_a_value_in_a_url_is_one_part_of_it() -> None:
    url = frozenset({"url"})
    assert Rendering(SCOPE).render({"url": "/v1/{{ params.name }}"}, "i", encoded=url) == {"url": "/v1/a%2Fb%20c"}
    for bad in ("/v1/{{ params.dots }}", "/{{ params.list }}"):
        with pytest.raises(TemplatePathError):
            Rendering(SCOPE).render({"url": bad}, "i", encoded=url)


@given(st.text(max_size=30))
def test_no_text_gets_out_of_its_part_of_a_url(text: str) -> None:
    try:
        made = Rendering({"params": {"x": text}}).render(
            {"url": "/a/{{ params.x }}/b"}, "i", encoded=frozenset({"url"})
        )
    except (TemplatePathError, UnicodeEncodeError):
        return
    before, part, after = made["url"].rsplit("/", 2)
    assert (before, unquote(part), after) == ("/a", text, "b")
    assert part not in ("", ".", "..")
    assert not set(part) & set("?#/\\")


def test_what_templates_make_has_a_bound() -> None:
    scope = {"params": {"x": "x" * (MAX_RENDERED // 2)}}
    with pytest.raises(TemplatePathError, match="more than"):
        Rendering(scope).render(["{{ params.x }}"] * 3, "i")
