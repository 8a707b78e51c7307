"""Writes signing.json and envelope.json anew: `python -m tests.vectors.generate`. The result is the same every time."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.vectors import envelope_cases, signing_cases

HERE = Path(__file__).parent


def documents() -> dict[str, str]:
    """File name → text."""
    made = {"signing.json": signing_cases.document(), "envelope.json": envelope_cases.document()}
    return {name: _pairs_in_line(json.dumps(document, indent=1, ensure_ascii=False)) for name, document in made.items()}


def _pairs_in_line(text: str) -> str:
    """Headers are easier to read one a line."""
    string = r'("(?:[^"\\]|\\.)*")'
    return re.sub(rf"\[\s+{string},\s+{string}\s+\]", r"[\1, \2]", text) + "\n"


if __name__ == "__main__":
    for name, text in documents().items():
        (HERE / name).write_text(text)
