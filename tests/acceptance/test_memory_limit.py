"""A worker inside a container's limit of memory, in either version of control groups, and tests that want more than there is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.control_group import ControlGroup, limited_memory
from tests.support.definitions import http_test, json_path
from tests.support.programs import ControlPlane, Program
from tests.support.servers.target import Target

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

MIB = 1024 * 1024
TESTS = 6
BOMB = json_path("$.status * 400000000", "is", "x")
"""800 MB made of two bytes."""
HONEST = json_path("$.status", "is", "ok")
TOO_MUCH = "needs more memory than an assertion may use"
ENDED = "its evaluator was killed from outside, perhaps for its memory"
AS_MUCH_AS_THERE_IS = 2 * 1024 + 2 * 96
"""MiB in which one evaluator and its spare may take a gibibyte each, which no evaluator is given more than."""


@pytest.fixture
def bombs(target: Target) -> list[dict[str, Any]]:
    """Tests in each of which an honest assertion follows one that wants too much."""
    return [
        http_test(f"bomb {n}", f"{target.url}/{n}", assertions=[BOMB, HONEST], tick_every=600) for n in range(TESTS)
    ]


def worker_in(group: ControlGroup, config: Path, folder: Path, *flags: str) -> Program:
    worker = Program(
        folder / "worker.log",
        "tests.support.within_group",
        str(group.procs),
        "worker",
        f"--config={config}",
        "--whitelistedRange.4=127.0.0.1/32",
        f"--livenessFile={folder / 'liveness.date'}",
        "--logFormat=json",
        "--maxBodySize=100000",
        "--maxBodySizeIfProcessed=100000",
        "--regexTimeout=5000",
        *flags,
    )
    worker.wait_for('"started"')
    return worker


def ended_in_order(worker: Program) -> bool:
    """Tell if it has served until now and ends when it is told to."""
    assert worker.process.poll() is None, worker.output
    worker.process.terminate()
    return worker.wait() == 0


def verdicts(results: Sequence[dict[str, Any]]) -> list[tuple[bool, str, bool]]:
    """Of each run: if the bomb held and what is said of it, and if the honest assertion held."""
    return [
        (bomb["valid"], bomb["error_message"], honest["valid"])
        for _, bomb, honest in (result["assertions"] for result in results)
    ]


def test_evaluators_of_a_worker_follow_its_limit_fail_to_allocate_and_nobody_is_killed(
    control_plane: ControlPlane, bombs: list[dict[str, Any]], tmp_path: Path
) -> None:
    config = control_plane.create_location()
    with limited_memory(512 * MIB) as group:
        worker = worker_in(group, config, tmp_path)
        try:
            control_plane.push(bombs)
            results = control_plane.wait_for_results(TESTS)
            assert all(not held and TOO_MUCH in said and honest for held, said, honest in verdicts(results))
            assert group.oom_kills == 0
            assert ended_in_order(worker)
        finally:
            worker.kill()


def test_where_the_limit_is_lowered_an_evaluator_goes_first_and_its_assertion_says_so(
    control_plane: ControlPlane, bombs: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Evaluators that may take more than there is, as where a pod is resized, or a neighbour in the group takes the rest."""
    if psutil.virtual_memory().total < AS_MUCH_AS_THERE_IS * MIB:
        pytest.skip(f"this machine has less memory than {AS_MUCH_AS_THERE_IS} MiB")
    config = control_plane.create_location()
    with limited_memory(AS_MUCH_AS_THERE_IS * MIB) as group:
        worker = worker_in(group, config, tmp_path, "--evaluators=1")
        try:
            control_plane.push(
                [http_test("before", bombs[0]["config"]["request"]["url"], assertions=[HONEST], tick_every=600)]
            )
            control_plane.wait_for_results(1)
            group.limit(300 * MIB)
            control_plane.push(bombs)
            before, *results = control_plane.wait_for_results(1 + TESTS)
            assert before["status"] == "passed"
            assert verdicts(results) == [(False, ENDED, True)] * TESTS
            assert group.oom_kills >= TESTS
            assert ended_in_order(worker)
        finally:
            worker.kill()
