"""Hostile evaluators beside a container's limit of memory: a real control group, and a worker in it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.control_group import ControlGroup, limited_memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")

MIB = 1024 * 1024
TESTS = 6
TOO_MUCH = "needs more memory than an assertion may use"
ENDED = "its evaluator was killed from outside, perhaps for its memory"


@dataclass
class Report:
    memory: int
    reasons: list[list[str | None]]


def served(group: ControlGroup, share: str) -> Report:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.evaluators.crowded_worker", str(group.procs), share, str(TESTS)],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0  # -9: the kernel has ended the worker
    report: dict[str, Any] = json.loads(done.stdout)
    return Report(**report)


def test_evaluators_that_follow_the_limit_fail_to_allocate_and_nobody_is_killed() -> None:
    with limited_memory(512 * MIB) as group:
        report = served(group, "followed")
        assert group.oom_kills == 0
    assert report.memory < 512 * MIB / 3
    assert len(report.reasons) == TESTS
    for bomb, honest in report.reasons:
        assert bomb is not None
        assert TOO_MUCH in bomb
        assert honest is None


def test_where_memory_runs_out_an_evaluator_goes_first_and_its_assertion_says_so() -> None:
    """Evaluators that may take more than there is, as where a neighbour in the group takes the rest."""
    with limited_memory(400 * MIB) as group:
        report = served(group, "ignored")
        assert group.oom_kills > 0
    assert len(report.reasons) == TESTS
    for bomb, honest in report.reasons:
        assert bomb == ENDED
        assert honest is None
