"""JSONPath against the compliance suite of RFC 9535: every valid selector finds what the suite says.

The suite is not part of this project. `JSONPATH_SUITE` names its `cts.json`, of jsonpath-standard/jsonpath-compliance-test-suite
at commit 7be7c1f; without it these tests are skipped.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from worker.checks.jsonpath import find
from worker.checks.judgement import JudgementError

needs_suite = pytest.mark.skipif("JSONPATH_SUITE" not in os.environ, reason="JSONPATH_SUITE does not name the suite")


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    suite = Path(os.environ["JSONPATH_SUITE"]).read_bytes()
    assert hashlib.sha256(suite).hexdigest() == "a85db53fba1f675be48b534baec5a754dc685ad08c550d8927f609c7708f365a"
    found: list[dict[str, Any]] = orjson.loads(suite)["tests"]
    return found


@needs_suite
def test_every_valid_selector_finds_what_the_suite_says(cases: list[dict[str, Any]]) -> None:
    valid = [case for case in cases if not case.get("invalid_selector")]
    wrong = [
        case["name"]
        for case in valid
        if find(case["selector"], case["document"]) not in case.get("results", [case.get("result")])
    ]
    assert (len(valid), wrong) == (456, [])


@needs_suite
def test_a_selector_that_is_not_valid_never_raises_anything_else(cases: list[dict[str, Any]]) -> None:
    for case in cases:
        with suppress(JudgementError):
            find(case["selector"], {"a": [1, "b", {}], "b": "text"})
