"""Writes the vectors of the protocols anew: `python -m tests.vectors.generate`. Each run writes the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.vectors import app_cases, envelope_cases, runner_cases, signing_cases

HERE = Path(__file__).parent


def documents() -> dict[str, str]:
    """File name → text."""
    made = {
        "signing.json": signing_cases.document(),
        "envelope.json": envelope_cases.document(),
        "runner.json": runner_cases.document(),
        "app.json": app_cases.document(),
    }
    return {name: _pairs_in_line(json.dumps(document, indent=1, ensure_ascii=False)) for name, document in made.items()}


def _pairs_in_line(text: str) -> str:
    """Headers are easier to read one a line."""
    string = r'("(?:[^"\\]|\\.)*")'
    return re.sub(rf"\[\s+{string},\s+{string}\s+\]", r"[\1, \2]", text) + "\n"


if __name__ == "__main__":
    for name, text in documents().items():
        (HERE / name).write_text(text)
