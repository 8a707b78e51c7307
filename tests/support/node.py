"""The real JavaScript engine of this machine, if it has one, as an oracle for patterns."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence

import pytest

from tests.support.peers import REQUIRED

NODE = shutil.which("node")

needs_node = pytest.mark.skipif(NODE is None and not REQUIRED, reason="no node to compare patterns with")

_PROGRAM = """
const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(cases.map(([source, text]) => {
    try { return new RegExp(source).test(text); }
    catch (error) { if (error instanceof SyntaxError) return null; throw error; }
})));
"""


def found_by_node(cases: Sequence[tuple[str, str]]) -> list[bool | None]:
    """Whether each pattern is found in its text; None for a syntax error."""
    assert NODE is not None
    done = subprocess.run(
        [NODE, "-e", _PROGRAM], input=json.dumps(cases).encode(), capture_output=True, timeout=60, check=True
    )
    answers: list[bool | None] = json.loads(done.stdout)
    return answers
