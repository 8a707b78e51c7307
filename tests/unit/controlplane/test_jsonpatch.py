"""JSON Patch against the examples of RFC 6902, appendix A, and against what would grow without end."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from controlplane.errors import UnusableError
from controlplane.service import jsonpatch

RFC_6902 = {
    "A.1 adding an object member": (
        {"foo": "bar"},
        [{"op": "add", "path": "/baz", "value": "qux"}],
        {"baz": "qux", "foo": "bar"},
    ),
    "A.2 adding an array element": (
        {"foo": ["bar", "baz"]},
        [{"op": "add", "path": "/foo/1", "value": "qux"}],
        {"foo": ["bar", "qux", "baz"]},
    ),
    "A.3 removing an object member": (
        {"baz": "qux", "foo": "bar"},
        [{"op": "remove", "path": "/baz"}],
        {"foo": "bar"},
    ),
    "A.4 removing an array element": (
        {"foo": ["bar", "qux", "baz"]},
        [{"op": "remove", "path": "/foo/1"}],
        {"foo": ["bar", "baz"]},
    ),
    "A.5 replacing a value": (
        {"baz": "qux", "foo": "bar"},
        [{"op": "replace", "path": "/baz", "value": "boo"}],
        {"baz": "boo", "foo": "bar"},
    ),
    "A.6 moving a value": (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    "A.7 moving an array element": (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    "A.8 testing a value": (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    "A.10 adding a nested member object": (
        {"foo": "bar"},
        [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
        {"foo": "bar", "child": {"grandchild": {}}},
    ),
    "A.11 ignoring unrecognized elements": (
        {"foo": "bar"},
        [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}],
        {"foo": "bar", "baz": "qux"},
    ),
    "A.14 escape ordering": ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    "A.16 adding an array value": (
        {"foo": ["bar"]},
        [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}],
        {"foo": ["bar", ["abc", "def"]]},
    ),
    "a copy is a value of its own": (
        {"a": {"b": 1}},
        [{"op": "copy", "from": "/a", "path": "/c"}, {"op": "replace", "path": "/c/b", "value": 2}],
        {"a": {"b": 1}, "c": {"b": 2}},
    ),
    "the whole document": ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
}
REFUSED: dict[str, tuple[Any, list[dict[str, Any]], str]] = {
    "A.9 testing a value, error": ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}], "another one"),
    "A.12 adding to a nonexistent target": ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": 1}], "nothing"),
    "A.15 comparing strings and numbers": ({"~1": 10}, [{"op": "test", "path": "/~01", "value": "10"}], "another one"),
    "true is no number": ({"a": 1}, [{"op": "test", "path": "/a", "value": True}], "another one"),
    "an index beyond the end": ({"a": [1]}, [{"op": "add", "path": "/a/2", "value": 1}], "not a valid index"),
    "an index with a leading zero": ({"a": [1, 2]}, [{"op": "remove", "path": "/a/01"}], "not a valid index"),
    "removing what is not there": ({"a": 1}, [{"op": "remove", "path": "/b"}], "nothing at"),
    "removing everything": ({"a": 1}, [{"op": "remove", "path": ""}], "cannot be removed"),
    "into itself": ({"a": {"b": 1}}, [{"op": "move", "from": "/a", "path": "/a/b"}], "into itself"),
    "no pointer": ({"a": 1}, [{"op": "remove", "path": "a"}], "not a valid JSON pointer"),
    "no value": ({"a": 1}, [{"op": "replace", "path": "/a"}], "needs a value"),
    "no operation": ({"a": 1}, [{"op": "frobnicate", "path": "/a"}], "not a valid operation"),
}


@pytest.mark.parametrize(("document", "operations", "expected"), RFC_6902.values(), ids=RFC_6902)
def test_an_operation_does_what_the_rfc_says(document: Any, operations: list[dict[str, Any]], expected: Any) -> None:
    before = copy.deepcopy(document)
    assert jsonpatch.apply(document, operations) == expected
    assert document == before


@pytest.mark.parametrize(("document", "operations", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_named_with_its_place(document: Any, operations: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(UnusableError, match=rf"^data\[0\]: .*{reason}"):
        jsonpatch.apply(document, operations)


def test_a_document_cannot_double_itself_for_ever() -> None:
    operations = [{"op": "copy", "from": "", "path": f"/{number}"} for number in range(100)]
    with pytest.raises(UnusableError, match="larger than"):
        jsonpatch.apply({"text": "x" * 1000}, operations)


def test_there_is_a_bound_on_operations() -> None:
    with pytest.raises(UnusableError, match="201 operations"):
        jsonpatch.apply({}, [{"op": "add", "path": "/a", "value": 1}] * 201)
