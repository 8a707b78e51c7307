"""Which files are opened, and that one that cannot be read does not stop the others."""

from __future__ import annotations

import io
from pathlib import Path

from worker.apitest.files import Definition, Unusable
from worker.commands.definitions import read_definitions


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


def test_a_device_without_end_is_cut() -> None:
    (found,) = read_definitions(["/dev/zero"], io.BytesIO())
    assert isinstance(found, Unusable)
    assert "is larger than" in found.reason
