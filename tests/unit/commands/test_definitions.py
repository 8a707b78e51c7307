"""Which files are opened, and that one that cannot be read does not stop the others."""

from __future__ import annotations

import io
from pathlib import Path

from tests.support.definitions import multistep, step, subtest
from worker.apitest.files import Definition, Unusable
from worker.apitest.parse import parse
from worker.commands.definitions import read_definitions, with_subtests


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


def test_subtests_are_found_beside_the_tests_that_play_them() -> None:
    inner, other = (multistep(step(name), public_id="inn-inn-inn") for name in ("inner", "other"))
    outer = multistep(subtest("inn-inn-inn"), public_id="out-out-out")
    unusable = Unusable(file="c", reason="is odd")
    values = (outer, inner, other, {"public_id": ["odd"]}, 5)
    given = [Definition(file="a", index=index, value=value) for index, value in enumerate(values)]
    whole, *rest = with_subtests([*given, unusable])
    assert isinstance(whole, Definition)
    assert parse(whole.value).requires_update == ()
    assert whole.place == "a[0]"
    assert "'inner'" in str(whole.value)
    assert "'other'" not in str(whole.value)
    assert rest == [*given[1:], unusable]
