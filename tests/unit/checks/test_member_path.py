"""Member paths walked directly find exactly what jsonpath-ng finds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonpath_ng.ext.parser import parse

from worker.checks.member_path import member_path, walk
from worker.checks.values import JSON

NAMES = st.sampled_from(
    [
        "a",
        "b",
        "id",
        "this",
        "len",
        "keys",
        "sorted",
        "sub",
        "str",
        "path",
        "and",
        "or",
        "in",
        "not",
        "null",
        "parent",
        "where",
    ]
) | st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)
QUOTED = st.sampled_from(["a", "a b", "é", "a.b", "a-b", "0", "$", "@", "a[0]", "parent", "true", " a "])
KEYS = NAMES | QUOTED
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
STEPS = st.one_of(
    NAMES.map(lambda name: f".{name}"),
    st.integers(0, 3).map(lambda index: f"[{index}]"),
    QUOTED.map(lambda name: f"['{name}']"),
    QUOTED.map(lambda name: f'["{name}"]'),
    QUOTED.map(lambda name: f".['{name}']"),
)
PATHS = st.builds(
    lambda start, steps: (start + "".join(steps)).removeprefix("." if start == "" else "\0"),
    st.sampled_from(["$", "", " $"]),
    st.lists(STEPS, max_size=5),
)


@given(path=PATHS, document=DOCUMENTS)
@settings(max_examples=400, deadline=None)
def test_a_walk_finds_what_jsonpath_ng_finds(path: str, document: JSON) -> None:
    steps = member_path(path)
    if steps is None:
        return
    assert walk(steps, document) == [match.value for match in parse(path).find(document)]


@given(path=st.text("$.ab[]'\"0-*?@ \\`", max_size=10), document=DOCUMENTS)
@settings(max_examples=400, deadline=None)
def test_anything_that_is_taken_for_a_member_path_is_one_to_jsonpath_ng_too(path: str, document: JSON) -> None:
    steps = member_path(path)
    if steps is not None:
        assert walk(steps, document) == [match.value for match in parse(path).find(document)]


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$", ()),
        ("$.a", ("a",)),
        ("a", ("a",)),
        ("a.b[0].c", ("a", "b", 0, "c")),
        ("$['a']['b c'][\"d\"]", ("a", "b c", "d")),
        ("[0]", (0,)),
        ("$.topKey", ("topKey",)),
    ],
)
def test_member_paths(path: str, steps: tuple[str | int, ...]) -> None:
    assert member_path(path) == steps


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".a",
        "$a",
        "$.",
        "$..a",
        "$.*",
        "$[*]",
        "$['*']",
        "$[-1]",
        "$[0:1]",
        "$['a','b']",
        "$[?(@.a)]",
        "$.a.",
        "$.a b",
        "$.a-b",
        "$.parent",
        "$.a.where.b",
        "$.true",
        "$.items.length",
        "$[01]",
        "$[1234567890]",
        r"$['\u0061']",
        "$.`len`",
        "$.a[0]b",
        "$." + "a." * 300 + "a",
    ],
)
def test_everything_else_is_left_to_the_libraries(path: str) -> None:
    assert member_path(path) is None
