"""Files of definitions: what is read, and that every mistake is told with its file, its place in it and its path."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from controlplane.commands.definitions import read_all
from controlplane.service.definitions import is_public_id, public_id
from tests.support.definitions import http_test


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "tests.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([http_test(name="a"), http_test(name="b")]),
        "\n".join(json.dumps(http_test(name=name)) for name in "ab"),
        "\ufeff" + json.dumps(http_test(name="a")) + "\r\n\r\n" + json.dumps(http_test(name="b")) + "\n",
    ],
    ids=["array", "lines", "lines with a mark, blank lines and CRLF"],
)
def test_arrays_and_lines_are_read(tmp_path: Path, text: str) -> None:
    found, mistakes = read_all([written(tmp_path, text)])
    assert [one.parsed.name for one in found] == ["a", "b"]
    assert mistakes == []


def test_an_object_over_several_lines_is_one_definition(tmp_path: Path) -> None:
    found, mistakes = read_all([written(tmp_path, json.dumps(http_test(), indent=2))])
    assert [one.parsed.tick_every for one in found] == [60]
    assert mistakes == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not valid JSON"),
        ("[]", "holds no definition"),
        ('[{"name": "lone \\ud800"}]', "is not valid JSON"),
        ('{"extra": 1e999}', "is not valid JSON"),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, text: str | bytes, said: str) -> None:
    path = written(tmp_path, text)
    found, mistakes = read_all([path])
    assert found == []
    assert len(mistakes) == 1
    assert mistakes[0].startswith(str(path))
    assert said in mistakes[0]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert read_all([tmp_path / "none.json"])[1] == [f"{tmp_path / 'none.json'}: No such file or directory"]


def test_a_malformed_line_is_named_by_its_number(tmp_path: Path) -> None:
    path = written(tmp_path, json.dumps(http_test()) + "\n{]}\n")
    assert read_all([path])[1][0].startswith(f"{path}:2: is not valid JSON")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "  "}, "name: is missing"),
        ({"options": {}}, "options.tick_every: is missing"),
        ({"options": {"tick_every": 5}}, "options.tick_every"),
        ({"public_id": "ABC-DEF-GHI"}, "public_id: 'ABC-DEF-GHI' has not the form"),
        ({"public_id": "abc-def-gh1"}, "public_id"),
        ({"message": "x" * (9 * 1024 * 1024)}, "$: is larger than"),
    ],
)
def test_each_mistake_has_its_path(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = written(tmp_path, json.dumps([http_test(), http_test(**changes)]))
    found, mistakes = read_all([path])
    assert len(found) == 1
    assert [mistake for mistake in mistakes if mistake.startswith(f"{path}[1]: {said}")] == mistakes != []


def test_all_mistakes_of_all_files_are_told(tmp_path: Path) -> None:
    bad = http_test(name="", options={})
    path = written(tmp_path, json.dumps([bad, bad]))
    assert len(read_all([path, tmp_path / "none.json"])[1]) == 5


def test_public_ids_have_the_form_of_the_reference_system() -> None:
    made = {public_id() for _ in range(500)}
    assert len(made) == 500
    assert all(re.fullmatch(r"[a-z2-9]{3}-[a-z2-9]{3}-[a-z2-9]{3}", one) and is_public_id(one) for one in made)


@pytest.mark.parametrize("text", ["", "abc", "abc-def", "abc-def-gh", "abc-def-ghij", "abc-def-gh0", "abc_def_ghi"])
def test_other_ids_are_not_public_ids(text: str) -> None:
    assert not is_public_id(text)
