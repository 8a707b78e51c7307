"""Templates: what is one, what stands in its place, and what is said where nothing can."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.apitest.template import ExpressionError, Namespace, first_template, is_name, render
from worker.errors import TemplateError, TestError

NAMES = Namespace(
    values={"HOST": "shop.test", "A": "a", "EMPTY": "", "wexp-bearer": "b", "OPEN": "{{ A }}", "MY VAR": "blank"},
    absent={"PASSWORD": "the variable 'PASSWORD' has no pattern"},
    built_in={"uuid": "1-2", "numeric(3)": "123", "A": "never"}.get,
)


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("https://{{ HOST }}/", "https://shop.test/"),
        ("{{HOST}}{{A}}", "shop.testa"),
        ("{{\tHOST\n}}", "shop.test"),
        ("{{ wexp-bearer }}", "b"),
        ("{{ MY VAR }}", "blank"),
        ("{{ EMPTY }}", ""),
        ("{{ uuid }}/{{numeric(3)}}", "1-2/123"),
        ("{{ A }}", "a"),
        ("{{{ A }}}", "{a}"),
        ('{"a": {"b": {{ A }}}}', '{"a": {"b": a}}'),
    ],
)
def test_a_template_becomes_its_value(text: str, rendered: str) -> None:
    assert render(text, NAMES) == rendered


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{ A }",
        "{{",
        "}}",
        "{{}}",
        "{{ }}",
        "{ { A } }",
        "{{#each A}}",
        "{{/each}}",
        "{{ 'A' }}",
        "{{ A",
        "{{" + "A" * 201 + "}}",
    ],
)
def test_text_that_is_no_template_stays_as_it_is(text: str) -> None:
    assert first_template(text) is None
    assert render(text, NAMES) == text


def test_a_value_is_not_looked_into_again() -> None:
    assert render("{{ OPEN }}", NAMES) == "{{ A }}"
    assert render("{{ O }}{{ A }}", Namespace(values={"O": "{{ A", "A": " }}"})) == "{{ A }}"


def test_every_text_of_a_value_is_rendered_and_nothing_else() -> None:
    value = {"a": ["{{ A }}", 1, None, True, {"{{ A }}b": "{{ HOST }}"}], "c": 2.5}
    assert render(value, NAMES) == {"a": ["a", 1, None, True, {"ab": "shop.test"}], "c": 2.5}
    assert value["a"][0] == "{{ A }}"  # type: ignore[index]


def mistakes(value: Any, namespace: Namespace = NAMES, **bounds: int) -> tuple[str, ...]:
    with pytest.raises(TemplateError) as caught:
        render(value, namespace, path="config", **bounds)
    return caught.value.errors


def test_all_names_without_a_value_are_told_with_their_places() -> None:
    value = {"request": {"url": "{{ HOSTS }}", "headers": {"{{ X }}": "{{ PASSWORD }}"}}, "list": ["{{ numric(3) }}"]}
    assert mistakes(value) == (
        "config.request.url: no variable is called 'HOSTS': did you mean 'HOST'?",
        "config.request.headers.{{ X }}: no variable is called 'X'",
        "config.request.headers.{{ X }}: the variable 'PASSWORD' has no pattern",
        "config.list[0]: no built-in is called 'numric(3)'",
    )
    assert issubclass(TemplateError, TestError)


def test_the_arguments_of_a_call_can_be_mistaken() -> None:
    def built_in(_: str) -> str:
        raise ExpressionError("needs a number")

    assert mistakes("{{ numeric(x) }}", Namespace(built_in=built_in)) == (
        "config: the template 'numeric(x)' needs a number",
    )


def test_many_mistakes_are_counted() -> None:
    told = mistakes(["{{ X }} {{ Y }}"] * 100)
    assert len(told) == 21
    assert told[-1].startswith("and ")


def test_two_members_that_get_one_name_are_a_mistake() -> None:
    assert mistakes({"a": 1, "{{ A }}": 2}) == (
        "config.{{ A }}: has the name of another member once its templates are replaced",
    )


def test_values_cannot_add_more_than_the_bound() -> None:
    namespace = Namespace(values={"A": "x" * 10})
    assert render(["{{ A }}"] * 3, namespace, at_most=30) == ["x" * 10] * 3
    assert mistakes(["{{ A }}"] * 4, namespace, at_most=30) == (
        "config[3]: the values of templates add more than 30 characters",
    )


def test_a_bomb_ends_at_the_bound() -> None:
    namespace = Namespace(values={"A": "x" * 60_000})
    assert mistakes("{{ A }}" * 10_000, namespace) == (
        "config: the values of templates add more than 1048576 characters",
    )


def test_a_definition_nested_without_end_ends() -> None:
    value: Any = "{{ A }}"
    for _ in range(5000):
        value = [value]
    (told,) = mistakes(value)
    assert told.endswith("is nested too deeply for a definition with templates")


def test_no_value_is_shown_by_a_scope_or_an_error() -> None:
    namespace = Namespace(values={"TOKEN": "hunter2"})
    assert "hunter2" not in repr(namespace)
    assert "hunter2" not in str(mistakes("{{ TOKEN }}{{ TOKENS }}", namespace))


@given(st.text(alphabet="{} A#(", max_size=40))
def test_text_of_braces_is_rendered_or_refused(text: str) -> None:
    namespace = Namespace(values={"A": "a"})
    try:
        rendered = render(text, namespace)
    except TemplateError:
        assert first_template(text) is not None
    else:
        assert (rendered == text) == (first_template(text) is None)


@pytest.mark.parametrize("text", ["{{" * 200_000, "{{ " + "a " * 100_000, "{{ a(" * 100_000 + "}}" * 100_000])
def test_hostile_text_costs_no_more_than_its_length(text: str) -> None:
    assert first_template(text) is None


@pytest.mark.parametrize(
    ("name", "valid"), [("HOST", True), ("a-b c.d", True), ("", False), (" A", False), ("a(1)", False), ("a}", False)]
)
def test_a_name_is_what_a_template_can_name(name: str, valid: bool) -> None:
    assert is_name(name) == valid
    if valid:
        assert render(f"{{{{ {name} }}}}", Namespace(values={name: "x"})) == "x"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("{{ '{{ HOST }}' }}", "shop.test"),
        ("<{{'{{HOST}}'}}> {{ '{{ HOST }}' }}", "<shop.test> shop.test"),
        ("{{ '{{ HOST }}' and more }}", "{{ 'shop.test' and more }}"),
        ("{{ '{{#each}}' }}", "{{ '{{#each}}' }}"),
        ('{{ "HOST" }}', '{{ "HOST" }}'),
    ],
)
def test_a_template_that_is_quoted_for_another_engine_is_that_template(text: str, meant: str) -> None:
    assert render(text, Namespace(values={"HOST": "shop.test"})) == meant
