"""One file per mistake, with the exact lines that the operator reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.config.mistake_files import MISTAKES, sections
from worker.config.load import load, load_local
from worker.errors import ConfigErrors

SECRET = "hunter2"


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_a_mistake_is_told_in_its_exact_words(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.pem").touch()
    found = sections(path, tmp_path)
    flags = found.get("flags", "").splitlines()
    if "file" in found or "bytes" in found:
        config = tmp_path / "worker.json"
        config.write_bytes(found["file"].encode() if "file" in found else bytes.fromhex(found["bytes"]))
        flags.append(f"--config={config}")
    environ = dict(line.split("=", 1) for line in found.get("environment", "").splitlines())
    with pytest.raises(ConfigErrors) as raised:
        (load if "run" in found else load_local)(flags, environ)
    assert str(raised.value) + "\n" == found["message"]
    assert SECRET not in found["message"]


def test_no_two_mistakes_are_one() -> None:
    assert len({path.read_text() for path in MISTAKES}) == len(MISTAKES) > 60
