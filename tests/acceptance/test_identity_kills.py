"""One identity, whoever dies: a runner, as a process, is killed amid its enrolment and amid changes of its keys (kill -9)."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from controlplane.cli import main
from tests.support.programs import ControlPlane, Program
from tests.support.runnerprograms import RUNNER, RunnerProgram
from tests.support.waiting import PATIENCE, eventually
from worker.actionrunner.identity import IdentityFile, KeptIdentity

pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(600)]

ROUNDS = 10
ADDITION = ("action", "run", "data.jq", "--runner", "berlin", "--input", '{"program":".+1","value":1}', "--no-wait")
ENDED = {"succeeded", "failed", "cancelled", "unknown", "lost", "expired"}


@pytest.fixture
def runner(control_plane: ControlPlane, tmp_path: Path) -> Iterator[RunnerProgram]:
    program = RunnerProgram(control_plane, tmp_path / "runner")
    program.allow([{"name": "all", "allow": "**"}])
    try:
        yield program
    finally:
        program.kill()


def said(plane: ControlPlane, *words: str) -> str:
    """A command, in this process: its start would take longer than a round."""
    done = CliRunner().invoke(main, [*words, *plane.database_flag], catch_exceptions=False)
    assert done.exit_code in (0, 1, 3), done.output  # of a run: how it ended, and that it has not
    return done.stdout.strip()


def listed(plane: ControlPlane) -> dict[str, Any]:
    """The one runner that there is."""
    found: dict[str, Any] = json.loads(said(plane, "runner", "list", "--json"))
    return found


def kept(runner: RunnerProgram) -> KeptIdentity | None:
    return IdentityFile(runner.folder / "identity.json").load()


def kid(runner: RunnerProgram) -> str:
    found = kept(runner)
    assert found is not None
    return found.keys.signing.kid


def test_a_runner_that_is_killed_amid_its_enrolment_is_one_runner_with_one_key(
    control_plane: ControlPlane, runner: RunnerProgram
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance, kids = random.Random(seed), set[str]()
    environment = {"RUNNER_ENROLLMENT_TOKEN": runner.token, "DD_PRIVATE_RUNNER_CONFIG_DIR": str(runner.folder)}
    for _ in range(ROUNDS):
        if (found := kept(runner)) is not None and found.enrolment is not None:
            break
        program = Program(runner.log, RUNNER, env=environment)
        eventually(lambda: kept(runner) is not None, "keys on disk", runner.log.read_text)
        time.sleep(chance.uniform(0.0, 0.02))  # the moment of the death is what is tried
        program.kill()
        kids.add(kid(runner))
    runner.start()
    kids.add(kid(runner))
    assert len(kids) == 1, seed
    shown = listed(control_plane)
    assert (shown["name"], shown["kid"]) == ("berlin", kids.pop()), seed


def test_no_order_is_lost_while_keys_change_and_the_runner_is_killed_amid_it(
    control_plane: ControlPlane, runner: RunnerProgram, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance, runs, kids = random.Random(seed), list[str](), set[str]()
    runner.start()
    shutil.copytree(runner.folder, tmp_path / "stolen")
    for _ in range(ROUNDS):
        runs.append(said(control_plane, *ADDITION))
        said(control_plane, "runner", "rotate", "berlin")
        runs.append(said(control_plane, *ADDITION))
        time.sleep(chance.uniform(0.0, 0.2))  # the moment of the death is what is tried
        runner.kill()
        kids.add(kid(runner))
        runner.start()

    def settled() -> bool:
        shown, found = listed(control_plane), kept(runner)
        assert found is not None
        return found.next_keys is None and not shown["rotating"] and shown["kid"] == found.keys.signing.kid

    eventually(settled, f"end of the last change of keys, seed {seed}")
    assert len(kids | {kid(runner)}) > 1, "some change came through"
    for run in runs:
        # What was given out and not heard is given out again when its lease has ended.
        shown = eventually(partial(ended, control_plane, run), f"end of run {run}", seconds=4 * PATIENCE)
        assert (shown["state"], shown["outputs"]) == ("succeeded", {"value": 2}), (seed, shown)

    thief = Program(tmp_path / "thief.log", RUNNER, env={"DD_PRIVATE_RUNNER_CONFIG_DIR": str(tmp_path / "stolen")})
    try:
        thief.wait_for("cannot pull")
        assert "this instance is the runner" not in thief.output, seed
    finally:
        thief.kill()


def ended(plane: ControlPlane, run: str) -> dict[str, Any] | None:
    shown: dict[str, Any] = json.loads(said(plane, "run", "show", run, "--json"))
    return shown if shown["state"] in ENDED else None
