"""API tests that the reference system's own clients recorded; none where the shared folder is not there."""

from __future__ import annotations

import json
from typing import Any

from tests.support.shared import SHARED


def recordings() -> list[dict[str, Any]]:
    if SHARED is None:
        return []
    lines = (SHARED / "cases" / "api-tests.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


RECORDED = recordings()
