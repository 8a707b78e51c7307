"""Files of definitions: what is read, and that every mistake is told with its file, its place in it and its path."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controlplane.commands.definitions import read_all
from controlplane.operations.operation import decode, encode
from controlplane.operations.tests import PushTests, as_sent
from controlplane.service.definitions import check, is_public_id, public_id
from tests.support.definitions import http_test
from worker.errors import TestError


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
    found = read_all([written(tmp_path, text)])
    assert [one.parsed.name for one in found.valid] == ["a", "b"]
    assert found.mistakes == []


def test_an_object_over_several_lines_is_one_definition(tmp_path: Path) -> None:
    found = read_all([written(tmp_path, json.dumps(http_test(), indent=2))])
    assert [one.parsed.tick_every for one in found.valid] == [60]
    assert found.mistakes == []


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
    found = read_all([path])
    assert found.valid == []
    (mistake,) = found.mistakes
    assert mistake.startswith(str(path))
    assert said in mistake


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert read_all([tmp_path / "none.json"]).mistakes == [f"{tmp_path / 'none.json'}: No such file or directory"]


def test_a_malformed_line_is_named_by_its_number(tmp_path: Path) -> None:
    path = written(tmp_path, json.dumps(http_test()) + "\n{]}\n")
    assert read_all([path]).mistakes[0].startswith(f"{path}:2: is not valid JSON")


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
    found = read_all([path])
    assert len(found.valid) == 1
    assert [mistake for mistake in found.mistakes if mistake.startswith(f"{path}[1]: {said}")] == found.mistakes != []


def test_all_mistakes_of_all_files_are_told(tmp_path: Path) -> None:
    bad = http_test(name="", options={})
    path = written(tmp_path, json.dumps([bad, bad]))
    assert len(read_all([path, tmp_path / "none.json"]).mistakes) == 5


def test_each_member_that_looks_misspelt_has_its_place(tmp_path: Path) -> None:
    odd = http_test(name="odd") | {"optionz": {}, "mesage": "m"}
    del odd["message"]
    path = written(tmp_path, json.dumps([http_test(), odd]))
    found = read_all([path])
    assert [one.content for one in found.valid] == [http_test(), odd]
    assert found.misspelt == [f"{path}[1]: $: the member 'mesage' is not known: did you mean 'message'?"]


def test_a_definition_is_read_once_in_a_process_and_again_behind_the_api() -> None:
    checked = check("file", http_test(name="a"))
    push = PushTests(definitions=[as_sent(checked)], locations=[])
    assert push.definitions[0].checked is checked
    (there,) = decode(encode(push), PushTests).definitions
    assert there == push.definitions[0]
    assert there.checked == checked
    assert there.checked is not checked


def test_a_control_plane_takes_no_client_s_word_for_a_definition() -> None:
    forged = replace(check("file", http_test()), content=http_test(name=""))
    (there,) = decode(encode(PushTests(definitions=[as_sent(forged)], locations=[])), PushTests).definitions
    with pytest.raises(TestError, match="name: is missing"):
        _ = there.checked


def test_public_ids_have_the_form_of_the_reference_system() -> None:
    made = {public_id() for _ in range(500)}
    assert len(made) == 500
    assert all(re.fullmatch(r"[a-z2-9]{3}-[a-z2-9]{3}-[a-z2-9]{3}", one) and is_public_id(one) for one in made)


@pytest.mark.parametrize("text", ["", "abc", "abc-def", "abc-def-gh", "abc-def-ghij", "abc-def-gh0", "abc_def_ghi"])
def test_other_ids_are_not_public_ids(text: str) -> None:
    assert not is_public_id(text)
