"""Plans follow from their seeds alone, and one round of real processes keeps the promise."""

from __future__ import annotations

import secrets
from collections import Counter
from pathlib import Path

import pytest

from tests.faults import shim
from tests.faults.faults import PROCESSES, WIRE
from tests.faults.rounds import FAULTS, LONGEST, WINDOW, plan, run_round
from tests.support.peers import peer


def test_a_seed_chooses_the_same_faults_each_time() -> None:
    assert plan(7) == plan(7)
    assert len({plan(seed) for seed in range(20)}) == 20


def test_a_plan_is_bounded() -> None:
    for seed in range(200):
        planned = plan(seed)
        assert len({one.fault.name for one in planned}) == FAULTS
        assert all(0 <= one.at <= WINDOW and 1 <= one.seconds <= LONGEST for one in planned)


def test_sixty_rounds_inflict_nearly_every_fault() -> None:
    chosen = Counter(one.fault.name for seed in range(1, 61) for one in plan(seed))
    assert len(chosen) > 0.9 * len(PROCESSES + WIRE)


def test_faults_have_names_of_their_own() -> None:
    assert len({fault.name for fault in PROCESSES + WIRE}) == len(PROCESSES) + len(WIRE) > 50


@pytest.mark.long
@pytest.mark.timeout(150)
def test_one_round_of_faults_keeps_the_promise(tmp_path: Path) -> None:
    seed = secrets.randbelow(1_000_000)
    report = run_round(seed, shim.build(tmp_path, peer("cc")))
    assert report.counts["results"] > 0
    assert not report.violations, f"{report}\nagain: python -m tests.faults --seed {seed}"
