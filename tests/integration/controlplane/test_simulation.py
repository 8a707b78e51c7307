"""The simulation of `benchmarks.simulation`, small: with slots to spare nobody is late, and without them nobody is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.simulation import Simulation, Size, fairness
from tests.integration.controlplane.plane import opened

SMALL = Size(locations=1, tests=24, period=30, workers=3, slots=1, run_seconds=2.0, seconds=240)


def test_fairness_is_one_where_all_have_the_same() -> None:
    assert fairness([3, 3, 3]) == 1
    assert fairness([9, 0, 0]) == pytest.approx(1 / 3)


async def test_a_location_that_loses_a_third_of_its_workers_is_late_and_leaves_nobody_out(tmp_path: Path) -> None:
    """Three slots run 45 runs of two seconds in half a minute, two slots 30, and 24 are wanted."""
    async with opened(tmp_path) as plane:
        first, second = await Simulation(plane, SMALL).run()
    for half in (first, second):
        assert len(half.runs) == SMALL.tests
        assert fairness(list(half.runs.values())) > 0.95
        assert sum(half.missed.values()) <= 0.1 * len(half.late)
    assert len(first.late) >= SMALL.tests * 3
    assert max(first.late) < SMALL.period
    assert sum(second.late) > sum(first.late)
