"""Differences of two documents: all of them, with their paths, and no secret in any."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.service.differences import MOST_CHARACTERS, MOST_DIFFERENCES, Difference, differences

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def different(path: str, before: str | None, after: str | None) -> Difference:
    return Difference(path=path, before=before, after=after)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": True}, [different("a", "1", "true")]),
        ({"a": [1, 2]}, {"a": [1]}, [different("a[1]", "2", None)]),
        ({"a": {"b": 1}}, {"a": {"c": 1}}, [different("a.c", None, "1"), different("a.b", "1", None)]),
        ({"a": None}, {}, [different("a", "null", None)]),
        ({"a": "ü"}, {"a": ["ü"]}, [different("a", '"ü"', '["ü"]')]),
    ],
)
def test_members_are_told_with_their_paths(before: Any, after: Any, found: list[Difference]) -> None:
    assert list(differences(before, after)) == found


@given(VALUES, VALUES)
def test_there_is_a_difference_where_json_says_so_and_only_there(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert bool(differences(one, other)) is not same
    assert differences(one, one) == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"password": "hunter1"}, {"password": "hunter2"}),
        ({"headers": {"Authorization": "hunter1"}}, {"headers": {"Authorization": "hunter2"}}),
        ({"v": [{"secure": True, "pattern": "hunter1"}]}, {"v": [{"secure": True, "pattern": "hunter2"}]}),
        ({"certificate": {"key": {"content": "hunter1"}}}, {"certificate": {"key": {"content": "hunter2"}}}),
        ({}, {"basicAuth": {"password": "hunter1", "username": "u"}}),
        ({"value": {"secure": True, "value": "hunter1"}}, {"value": {"secure": False, "value": "open"}}),
    ],
)
def test_a_secret_is_told_apart_and_not_told(before: Any, after: Any) -> None:
    found = differences(before, after)
    assert found
    assert "hunter" not in repr(found)


def test_much_is_cut() -> None:
    (one,) = differences({"a": ""}, {"a": "x" * 10_000})
    assert len(one.after or "") <= MOST_CHARACTERS
    assert len(differences({}, {str(n): n for n in range(1000)})) == MOST_DIFFERENCES
