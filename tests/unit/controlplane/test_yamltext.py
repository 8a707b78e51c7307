"""YAML as JSON in another coat: what a careful writer puts comes back, and what JSON cannot say is refused with its line."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from controlplane.commands import yamltext
from controlplane.errors import NotYAMLError

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85\u2028\u2029"), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.sampled_from(
        ["yes", "on", "null", "~", "1e3", "0x10", "1_0", "12:30:00", "2026-01-01", "=", "<<", "- a", "a: b", "#"]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_exported_is_read_as_it_was(value: Any) -> None:
    text = yaml.safe_dump({"value": value}, sort_keys=False, allow_unicode=True)
    (found,) = yamltext.read(text.encode())
    assert found.value == {"value": value}
    assert repr(found.value) == repr({"value": value}), "no 1 for 1.0, and none for true"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on: off", {"on": "off"}),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("0o17", "0o17"),
        ("017", 17.0),
        ("12:30:00", "12:30:00"),
        ("1e3", "1e3"),
        ("1.0e+3", 1000.0),
        (".5", 0.5),
        (".inf", ".inf"),
        ("'60'", "60"),
        ("60", 60),
        ("[true, ~, null]", [True, None, None]),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("1: a", {"1": "a"}),
    ],
)
def test_a_word_is_a_text_unless_json_knows_it(text: str, value: Any) -> None:
    (found,) = yamltext.read(text.encode())
    assert (found.value, type(found.value)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: 1\nb: [", 3, "did not find expected node content"),
        ("a: 1\na: 2", 2, "the member 'a' is there twice"),
        ("a: &a {b: 1}\nc:\n  <<: *a", 3, "the name of a member is not a text"),
        ("? [a]\n: b", 1, "the name of a member is not a text"),
        ("a:\n  - !secret x", 2, "the tag '!secret' means nothing here"),
        ("&a [*a]", 1, "more than 100 levels"),
        ("[" * 102 + "]" * 102, 1, "more than 100 levels"),
        ("[" * 100_000, 1, "nesting depth"),
    ],
)
def test_what_json_cannot_say_is_refused_with_its_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(NotYAMLError, match="is not valid YAML: ") as refused:
        list(yamltext.read(text.encode()))
    assert (refused.value.line, reason in str(refused.value)) == (line, True), refused.value


def test_each_document_has_the_line_at_which_it_begins() -> None:
    assert [one.line for one in yamltext.read(b"# a\n---\na: 1\n---\n\n- b\n---\n")][:2] == [3, 6]


@pytest.mark.parametrize("data", [b"\xff\xfe\xff", b"a: \x00", b"\xc3\x28"])
def test_bytes_that_are_no_text_are_refused(data: bytes) -> None:
    with pytest.raises(NotYAMLError):
        list(yamltext.read(data))
