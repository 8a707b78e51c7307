"""Charts: sizes that are to scale, marks beside colours, nothing in the markup that a name could open."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest

from controlplane.pages.charts import (
    BAD,
    GOOD,
    UNKNOWN,
    ChartedRun,
    UptimePiece,
    durations,
    milliseconds,
    response_times,
    segments,
    uptime_bar,
    waterfall,
)


def run(*phases: tuple[str, float], status: str = "passed", unhealthy: bool = False) -> ChartedRun:
    return ChartedRun("noon", status, phases, unhealthy)


def drawn(*runs: ChartedRun) -> ET.Element:
    return ET.fromstring(str(response_times(runs, title="times")))


def rects(svg: ET.Element) -> list[dict[str, str]]:
    return [dict(rect.attrib) for rect in svg.iter("rect")]


def marks(svg: ET.Element) -> list[str]:
    return [f"{text.text}" for text in svg.iter("text") if "mark" in text.attrib["class"]]


def test_phases_are_stacked_to_scale() -> None:
    low, high = rects(drawn(run(("dns", 10), ("firstByte", 30))))
    assert (low["class"], high["class"]) == ("phase-dns", "phase-firstbyte")
    assert float(high["height"]) == pytest.approx(3 * float(low["height"]), abs=0.2)
    assert float(high["y"]) + float(high["height"]) == pytest.approx(float(low["y"]), abs=0.2)
    assert float(low["y"]) + float(low["height"]) == 190


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (run(("dns", 1)), []),
        (run(("dns", 1), status="failed"), ["✗"]),
        (run(status="missed"), ["○"]),
        (run(("dns", 1), unhealthy=True), ["!"]),
        (run(("dns", 1), status="failed", unhealthy=True), ["✗", "!"]),
    ],
)
def test_nothing_is_said_by_colour_alone(shown: ChartedRun, expected: list[str]) -> None:
    svg = drawn(shown)
    assert marks(svg) == expected
    told = svg.findtext("g/title") or ""
    assert told.startswith(f"noon: {shown.status}")
    assert ("in trouble" in told) is shown.unhealthy


def test_one_slow_run_does_not_flatten_the_others() -> None:
    svg = drawn(*[run(("dns", 10))] * 19, run(("dns", 60_000)))
    heights = [float(rect["height"]) for rect in rects(svg)]
    assert min(heights) > 80
    assert marks(svg) == ["▲"]
    assert "60.00 s" in [title.text or "" for title in svg.iter("title")][-1]


def test_runs_beyond_the_most_are_the_oldest_ones() -> None:
    svg = drawn(*[run(("tcp", 1))] * 10, *[run(("dns", 1))] * 120)
    assert {rect["class"] for rect in rects(svg)} == {"phase-dns"}


@pytest.mark.parametrize("runs", [[], [run()], [run(("dns", 0.0))], [run(("dns", 1e-9))], [run(("dns", 9.9e8))]])
def test_any_durations_make_a_chart(runs: list[ChartedRun]) -> None:
    drawn(*runs)


def test_a_name_opens_no_markup() -> None:
    for made in (
        response_times([run(('"><script>', 1.0))], title='"><b>'),
        uptime_bar([UptimePiece("<b>", 0.5)], title="</svg>"),
        *(row.bar for row in waterfall([("</svg>\u202e", 1.0)])),
    ):
        assert "<script>" not in made
        assert "<b>" not in made
        ET.fromstring(str(made))


@pytest.mark.parametrize(
    ("timings", "expected"),
    [
        ({"dns": 1, "tcp": 2.5, "total": 3.5}, (("dns", 1.0), ("tcp", 2.5))),
        ({"dns": True, "tcp": "2", "ssl": None, "x": -1, "y": float("nan"), "z": float("inf")}, ()),
        (None, ()),
        ([1, 2], ()),
    ],
)
def test_durations_are_those_of_any_json(timings: object, expected: tuple[tuple[str, float], ...]) -> None:
    assert durations(timings) == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], [None, None]),
        ([(0, 0)], [0.0, 0.0]),
        ([(0, 1)], [1.0, 1.0]),
        ([(50, 0)], [None, 0.0]),
        ([(0, 0), (25, 1), (50, 0)], [0.5, 0.0]),
        ([(0, 2), (75, 1)], [None, 1.0]),
        ([(0, 1), (10, 2), (50, 0)], [1.0, 0.0]),
    ],
)
def test_a_piece_is_bad_by_the_share_of_its_known_time(
    history: Sequence[tuple[int, int]], expected: list[float | None]
) -> None:
    assert segments(history, since=0, until=100, now=100, parts=2) == expected


def test_the_time_to_come_is_unknown() -> None:
    assert segments([(0, 0)], since=0, until=100, now=40, parts=2) == [0.0, None]
    assert segments([(0, 0), (30, 1)], since=0, until=100, now=40, parts=2) == [0.25, None]


def test_a_bad_piece_is_higher_than_a_good_one_and_an_unknown_one_is_a_line() -> None:
    bar = ET.fromstring(
        str(uptime_bar([UptimePiece("a", 0.0), UptimePiece("b", 0.01), UptimePiece("c", None)], title="t"))
    )
    shown = [(rect["class"], rect["y"], rect["height"]) for rect in rects(bar)]
    assert shown == [(GOOD, "20.0", "20.0"), (BAD, "0.0", "8.0"), (GOOD, "8.0", "32.0"), (UNKNOWN, "36.0", "4.0")]
    assert [title.text for title in bar.iter("title")] == ["a: 100.0 % up", "b: 99.0 % up", "c: nothing known"]


def test_a_waterfall_begins_each_phase_where_the_one_before_ended() -> None:
    rows = waterfall([("dns", 25.0), ("tcp", 75.0), ("download", 0.0)])
    assert [(row.name, row.length) for row in rows] == [("dns", "25.0 ms"), ("tcp", "75.0 ms"), ("download", "0.0 ms")]
    places = [tuple(map(float, re.findall(r'(?:x|width)="([\d.]+)"', str(row.bar)))) for row in rows]
    assert places == [(0.0, 249.8), (249.8, 749.2), (999.0, 1.0)]
    assert waterfall([]) == []


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0.0 ms"), (999.94, "999.9 ms"), (1000, "1.00 s"), (61_234, "61.23 s")]
)
def test_milliseconds_for_people(value: float, text: str) -> None:
    assert milliseconds(value) == text
