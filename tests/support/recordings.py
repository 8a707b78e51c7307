"""API tests and results that the reference system's own clients recorded; none where the shared folder is not there."""

from __future__ import annotations

import json
from typing import Any

from tests.support.shared import SHARED


def recordings(name: str) -> list[dict[str, Any]]:
    if SHARED is None:
        return []
    return [json.loads(line) for line in (SHARED / "cases" / name).read_text().splitlines()]


RECORDED = recordings("api-tests.jsonl")
RECORDED_RESULTS = recordings("api-results.jsonl")
"""In the public v1 shape; `kind` is `full` or `summary`."""
