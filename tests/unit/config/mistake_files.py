"""The files of mistakes/. A section of a file is what a source holds.

`{folder}`, `{public_key}` and `{private_key}` stand for what differs from run to run. `--- run` asks for a whole worker's
config; the others are read as `check` reads them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from worker.wire.keys import generate

MISTAKES = sorted((Path(__file__).parent / "mistakes").glob("*.txt"))
KEY = generate("x25519")


def sections(path: Path, folder: Path) -> dict[str, str]:
    """The sections by their names, with everything filled in but the message."""
    parts = re.split(r"^--- (\w+)\n", path.read_text(), flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    values = {"folder": str(folder), "public_key": KEY.public.pem, "private_key": KEY.pem.reveal()}
    for name, value in values.items():
        text = json.dumps(value)[1:-1]
        found = {section: body.replace(f"{{{name}}}", text) for section, body in found.items()}
    return found
