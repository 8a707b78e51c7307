"""Definition files of every shape, and what is said of those that hold none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.apitest.files import MAX_BYTES, Definition, Unusable, read


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("t.json", b'{"a": 1}', [""]),
        ("t.json", b'\xef\xbb\xbf{"a": 1}\n', [""]),
        ("t.json", b'[{"a": 1}, 2, {"b": []}]', ["[0]", "[1]", "[2]"]),
        ("t.json", b'{\n  "a": 1\n}\n', [""]),
        ("t.json", b'{"a": 1}\n{"b": 2}\n', [":1", ":2"]),
        ("t.json", b'\xef\xbb\xbf{"a": 1}\n{"b": 2}', [":1", ":2"]),
        ("t.json", b'\n{"a": 1}\r\n\r\n{"b": 2}', [":2", ":4"]),
        ("t.jsonl", b'{"a": 1}\n', [":1"]),
        ("t.ndjson", b'{"a": 1}', [":1"]),
        ("t.jsonl", b'{"a": 1}\n[1]\n', [":1", ":2"]),
    ],
)
def test_definitions_are_found_where_they_stand(name: str, content: bytes, places: list[str]) -> None:
    found = list(read(name, content))
    assert [one.place for one in found if isinstance(one, Definition)] == [f"{name}{place}" for place in places]
    assert len(found) == len(places)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.json", b"", "is not valid JSON"),
        ("t.json", b"[]", "holds no definition"),
        ("t.jsonl", b"\n\n", "holds no definition"),
        ("t.json", b"7", "holds neither a JSON object nor an array of them"),
        ("t.json", b'{\n  "a": 1,\n}', "at line 2, column 9"),
        ("t.json", b'{"a": NaN}', "at line 1, column 7"),
        ("t.json", b"\xff\xfe", "is not valid JSON"),
        ("t.json", b"[" * 5000, "is not valid JSON"),
    ],
)
def test_a_file_without_definitions_is_unusable_and_says_why(name: str, content: bytes, words: str) -> None:
    (found,) = read(name, content)
    assert isinstance(found, Unusable)
    assert words in found.reason


def test_a_broken_line_costs_only_itself() -> None:
    good, bad, last = read("t.jsonl", b'{"a": 1}\n{"b": \n{"c": 3}\n')
    assert isinstance(good, Definition)
    assert isinstance(last, Definition)
    assert (good.line, last.line) == (1, 3)
    assert str(bad).startswith("t.jsonl:2: is not valid JSON: ")


def test_a_file_beyond_all_measure_is_not_looked_into() -> None:
    (found,) = read("t.json", b" " * (MAX_BYTES + 1))
    assert str(found) == f"t.json: is larger than {MAX_BYTES} bytes"


@given(content=st.binary(max_size=200))
def test_any_bytes_are_definitions_or_unusable(content: bytes) -> None:
    found = list(read("t.json", content))
    assert found
    assert all(isinstance(one, Definition | Unusable) for one in found)
