"""Definition files of every shape, and what is said of those that hold none."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.definitions import Definition, Unusable, read_definitions


def read(path: Path, content: bytes) -> list[Definition | Unusable]:
    path.write_bytes(content)
    return list(read_definitions([str(path)], io.BytesIO()))


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("t.json", b'{"a": 1}', ["[0]"]),
        ("t.json", b'\xef\xbb\xbf{"a": 1}\n', ["[0]"]),
        ("t.json", b'[{"a": 1}, 2, {"b": []}]', ["[0]", "[1]", "[2]"]),
        ("t.json", b'{\n  "a": 1\n}\n', ["[0]"]),
        ("t.json", b'{"a": 1}\n{"b": 2}\n', [":1", ":2"]),
        ("t.json", b'\n{"a": 1}\r\n\r\n{"b": 2}', [":2", ":4"]),
        ("t.jsonl", b'{"a": 1}\n', [":1"]),
        ("t.ndjson", b'{"a": 1}', [":1"]),
        ("t.jsonl", b'{"a": 1}\n[1]\n', [":1", ":2"]),
    ],
)
def test_definitions_are_found_where_they_stand(tmp_path: Path, name: str, content: bytes, places: list[str]) -> None:
    path = tmp_path / name
    found = read(path, content)
    assert [one.place for one in found if isinstance(one, Definition)] == [f"{path}{place}" for place in places]
    assert len(found) == len(places)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.json", b"", "is no valid JSON"),
        ("t.json", b"[]", "holds no definition"),
        ("t.jsonl", b"\n\n", "holds no definition"),
        ("t.json", b"7", "holds neither a JSON object nor an array of them"),
        ("t.json", b'{\n  "a": 1,\n}', "at line 2, column 9"),
        ("t.json", b'{"a": NaN}', "at line 1, column 7"),
        ("t.json", b"\xff\xfe", "is no valid JSON"),
        ("t.json", b"[" * 5000, "is no valid JSON"),
    ],
)
def test_a_file_without_definitions_is_unusable_and_says_why(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (found,) = read(tmp_path / name, content)
    assert isinstance(found, Unusable)
    assert words in found.reason


def test_a_broken_line_costs_only_itself(tmp_path: Path) -> None:
    good, bad, last = read(tmp_path / "t.jsonl", b'{"a": 1}\n{"b": \n{"c": 3}\n')
    assert isinstance(good, Definition)
    assert isinstance(last, Definition)
    assert (good.line, last.line) == (1, 3)
    assert str(bad).startswith(f"{tmp_path / 't.jsonl'}:2: is no valid JSON: ")


def test_a_file_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    good = tmp_path / "good.json"
    good.write_text("{}")
    absent, directory, found = read_definitions([str(tmp_path / "absent.json"), str(tmp_path), str(good)], io.BytesIO())
    assert str(absent) == f"{tmp_path / 'absent.json'}: the file does not exist"
    assert "is a directory" in str(directory)
    assert isinstance(found, Definition)


def test_a_dash_is_standard_input() -> None:
    (found,) = read_definitions(["-"], io.BytesIO(b'{"a": 1}'))
    assert isinstance(found, Definition)
    assert (found.file, found.value) == ("-", {"a": 1})


@given(content=st.binary(max_size=200))
def test_any_bytes_are_definitions_or_unusable(content: bytes) -> None:
    found = list(read_definitions(["-"], io.BytesIO(content)))
    assert found
    assert all(isinstance(one, Definition | Unusable) for one in found)


def test_a_device_without_end_is_cut() -> None:
    (found,) = read_definitions(["/dev/zero"], io.BytesIO())
    assert isinstance(found, Unusable)
    assert "is larger than" in found.reason
