"""The real JavaScript engine of this machine, if it has one, as an oracle for what the language takes from it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.peers import REQUIRED

NODE = shutil.which("node")

needs_node = pytest.mark.skipif(NODE is None and not REQUIRED, reason="no node to compare with")

_PATTERNS = """cases.map(([source, text]) => {
    try { return new RegExp(source).test(text); }
    catch (error) { if (error instanceof SyntaxError) return null; throw error; }
})"""


def found_by_node(cases: Sequence[tuple[str, str]]) -> list[bool | None]:
    """Whether each pattern is found in its text; None for a syntax error."""
    answers: list[bool | None] = answers_of_node(_PATTERNS, cases)
    return answers


def answers_of_node(expression: str, cases: object) -> Any:
    """The value of a JavaScript *expression*, or what its promise yields, in which `cases` is the JSON value *cases*."""
    assert NODE is not None
    program = f"""
    const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
    (async () => process.stdout.write(JSON.stringify(await ({expression}))))();
    """
    done = subprocess.run(
        [NODE, "-e", program], input=json.dumps(cases).encode(), capture_output=True, timeout=60, check=True
    )
    return json.loads(done.stdout)
