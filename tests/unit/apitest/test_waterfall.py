"""Bars that are as long as the phases took."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.checkout import ROOT
from worker.apitest.waterfall import waterfall


def drawn(timings: Any, width: int = 40) -> list[str]:
    return [label + bar for label, bar in waterfall(timings, width)]


def test_phases_stand_one_below_the_other_where_the_last_one_ended() -> None:
    timings = {"dns": 10.0, "tcp": 5.0, "ssl": 2.5, "firstByte": 2.5, "download": 0.0, "total": 20.0}
    assert drawn(timings, width=38) == [
        "dns        10.0 ms  █████████",
        "tcp         5.0 ms           ████",
        "ssl         2.5 ms               ██",
        "firstByte   2.5 ms                 ███",
        "download    0.0 ms                   ▏",
    ]


def test_a_phase_shorter_than_a_column_is_a_thin_mark() -> None:
    assert drawn({"dns": 0.1, "tcp": 999.9}, width=30) == [
        "dns    0.1 ms  ▏",
        "tcp  999.9 ms  ███████████████",
    ]


@pytest.mark.parametrize("timings", [None, {}, {"total": 3.0}, {"dns": -1}, {"dns": float("nan")}, {"dns": True}, "x"])
def test_nothing_is_drawn_of_no_phases(timings: Any) -> None:
    assert drawn(timings) == []


def test_a_name_cannot_command_the_terminal() -> None:
    assert drawn({"d\x1b[2J\n": 1.0}, width=40)[0].startswith("d\\x1b[2J\\n  1.0 ms  █")


PHASE = re.compile(r"    (\w+) +([0-9]+\.[0-9]) ms  +[█▏]")


@pytest.mark.parametrize("page", ["README.md", "docs/guide.md"])
def test_the_docs_show_what_is_drawn_in_80_columns(page: str) -> None:
    lines = [line for line in (ROOT / page).read_text().splitlines() if PHASE.match(line)]
    phases = [match.groups() for match in map(PHASE.match, lines) if match]
    assert {name for name, _ in phases} >= {"dns", "tcp", "firstByte", "download"}
    assert [line[4:] for line in lines] == drawn({name: float(value) for name, value in phases}, width=76)


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=12), st.integers(0, 200))
def test_the_bars_fill_the_width_and_neither_gap_nor_overlap(tenths: list[int], width: int) -> None:
    bars = waterfall({f"p{n}": value / 10 for n, value in enumerate(tenths)}, width)
    room = max(10, width - len(bars[0].label))
    ends = 0
    for (label, bar), took in zip(bars, tenths, strict=True):
        assert len(label + bar) <= max(width, len(label) + 10)
        length = bar.count("█")
        share = room * took / sum(tenths) if sum(tenths) else 0
        assert abs(length - share) < 1
        assert length > 0 or "▏" in bar
        if length:
            assert bar.index("█") == ends
            ends += length
    assert ends == (room if sum(tenths) else 0)
