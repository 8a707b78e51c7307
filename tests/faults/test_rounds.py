"""Plans follow from their seeds alone, and one round of real processes keeps the promise."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from tests.faults.faults import PROCESSES, WIRE
from tests.faults.rounds import FAULTS, LONGEST, WINDOW, plan
from tests.support.checkout import ROOT
from tests.support.peers import peer


def test_a_seed_chooses_the_same_faults_each_time() -> None:
    assert plan(7) == plan(7)
    assert len({plan(seed) for seed in range(20)}) == 20


def test_a_plan_is_bounded() -> None:
    for seed in range(200):
        planned = plan(seed)
        assert len({one.fault.name for one in planned}) == FAULTS
        assert all(0 <= one.at <= WINDOW and 1 <= one.seconds <= LONGEST for one in planned)


@pytest.mark.parametrize("seed", [1, 17, 999_983])
def test_sixty_rounds_inflict_every_fault_twice(seed: int) -> None:
    chosen = Counter(one.fault.name for number in range(60) for one in plan(seed + number))
    assert {fault.name for fault in PROCESSES + WIRE} == {name for name, count in chosen.items() if count >= 2}


def test_faults_have_names_of_their_own() -> None:
    assert len({fault.name for fault in PROCESSES + WIRE}) == len(PROCESSES) + len(WIRE) > 50


@pytest.mark.long
@pytest.mark.timeout(150)
def test_one_round_of_faults_keeps_the_promise() -> None:
    """Of a new seed, which it prints."""
    peer("cc")
    done = subprocess.run([sys.executable, "-m", "tests.faults", "--rounds", "1"], cwd=ROOT, timeout=140, check=False)
    assert done.returncode == 0
