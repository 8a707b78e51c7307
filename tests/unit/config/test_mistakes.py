"""One file per mistake, with the exact lines that the operator reads. A section of a file is what a source holds.

`{folder}`, `{public_key}` and `{private_key}` stand for what differs from run to run. `--- run` asks for a whole worker's
config; the others are read as `check` reads them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from worker.config.load import load, load_local
from worker.errors import ConfigErrors
from worker.wire.keys import generate

MISTAKES = sorted((Path(__file__).parent / "mistakes").glob("*.txt"))
KEY = generate("x25519")
SECRET = "hunter2"


def sections(path: Path, folder: Path) -> dict[str, str]:
    """The sections by their names, with everything filled in but the message."""
    parts = re.split(r"^--- (\w+)\n", path.read_text(), flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    values = {"folder": str(folder), "public_key": KEY.public.pem, "private_key": KEY.pem.reveal()}
    for name, value in values.items():
        text = json.dumps(value)[1:-1]
        found = {section: body.replace(f"{{{name}}}", text) for section, body in found.items()}
    return found


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
