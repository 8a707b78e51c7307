"""The machinery of steps, retries and substitutions is imported by the first test that needs it, and by no other."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support.definitions import http_test, multistep, wait

MACHINERY = {
    "worker.apitest.parse_steps",
    "worker.apitest.step_result",
    "worker.apitest.substitution",
    "worker.apitest.subtests",
    "worker.work.retries",
    "worker.work.steps",
    "worker.work.substitution",
}
PROGRAM = """
import json, sys
import worker.evaluators.evaluator, worker.work.tests
from worker.apitest.parse import parse
parse(json.loads(sys.argv[1]))
print(*sys.modules)
"""


def imported_for(definition: dict[str, Any]) -> set[str]:
    command = (sys.executable, "-c", PROGRAM, json.dumps(definition))
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return MACHINERY.intersection(done.stdout.split())


@pytest.mark.parametrize("definition", [http_test(), http_test(options={"tick_every": 60, "retry": {"count": 3}})])
def test_a_worker_that_sees_no_multistep_test_imports_nothing_for_it(definition: dict[str, Any]) -> None:
    assert imported_for(definition) == set()


def test_one_that_does_imports_what_reads_it() -> None:
    assert "worker.apitest.parse_steps" in imported_for(multistep(wait(0)))
