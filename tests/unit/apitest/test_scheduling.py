"""`options.scheduling`: its frames as values, and what is not one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.definitions import http_test
from worker.apitest.parse import parse
from worker.apitest.scheduling import MOST_FRAMES, Scheduling, TimeFrame
from worker.errors import TestError

MONDAY = {"day": 1, "from": "07:00", "to": "16:00"}


def scheduled(scheduling: Any) -> Any:
    return http_test() | {"options": {"tick_every": 60, "scheduling": scheduling}}


def mistakes(scheduling: Any) -> list[str]:
    with pytest.raises(TestError) as caught:
        parse(scheduled(scheduling))
    return list(caught.value.errors)


def test_frames_are_read_in_the_order_of_the_week() -> None:
    sunday = {"day": 7, "from": "9:30", "to": "24:00"}
    read = parse(scheduled({"timeframes": [sunday, MONDAY], "timezone": "America/New_York"}))
    assert read.scheduling == Scheduling(
        frames=(TimeFrame(1, 7 * 60, 16 * 60), TimeFrame(7, 9 * 60 + 30, 24 * 60)), timezone="America/New_York"
    )
    assert read.ignored == ()


@pytest.mark.parametrize(
    ("start", "end", "frame"),
    [
        ("22:00", "06:00", TimeFrame(5, 22 * 60, 30 * 60)),
        ("22:00", "00:00", TimeFrame(5, 22 * 60, 24 * 60)),
        ("00:00", "24:00", TimeFrame(5, 0, 24 * 60)),
        ("08:00", "08:00", TimeFrame(5, 8 * 60, 32 * 60)),
    ],
)
def test_a_frame_that_ends_no_later_than_it_begins_ends_on_the_day_after(
    start: str, end: str, frame: TimeFrame
) -> None:
    read = parse(scheduled({"timeframes": [{"day": 5, "from": start, "to": end}], "timezone": "UTC"}))
    assert read.scheduling is not None
    assert read.scheduling.frames == (frame,)


@pytest.mark.parametrize(
    "nothing", [None, {}, {"timeframes": []}, {"timeframes": [], "timezone": "UTC"}, {"timezone": "UTC"}]
)
def test_what_names_no_frame_restricts_nothing(nothing: Any) -> None:
    assert parse(scheduled(nothing)).scheduling is None


@pytest.mark.parametrize(
    ("scheduling", "said"),
    [
        ([MONDAY], "options.scheduling: must be an object"),
        ({"timeframes": MONDAY, "timezone": "UTC"}, "options.scheduling.timeframes: must be a list"),
        ({"timeframes": [MONDAY]}, "options.scheduling.timezone: is missing"),
        ({"timeframes": [MONDAY], "timezone": 1}, "options.scheduling.timezone: must be text"),
        (
            {"timeframes": [MONDAY], "timezone": "../etc"},
            "options.scheduling.timezone: '../etc' is not a valid time zone",
        ),
        ({"timeframes": [MONDAY], "timezone": "A" * 65}, "options.scheduling.timezone: "),
        ({"timeframes": [1], "timezone": "UTC"}, "options.scheduling.timeframes[0]: must be an object"),
        ({"timeframes": [None], "timezone": "UTC"}, "options.scheduling.timeframes[0]: is missing"),
        (
            {"timeframes": [MONDAY | {"day": 0}], "timezone": "UTC"},
            "options.scheduling.timeframes[0].day: must be a whole",
        ),
        (
            {"timeframes": [MONDAY | {"day": 8}], "timezone": "UTC"},
            "options.scheduling.timeframes[0].day: must be a whole",
        ),
        (
            {"timeframes": [{"from": "1:00", "to": "2:00"}], "timezone": "UTC"},
            "options.scheduling.timeframes[0].day: is missing",
        ),
        (
            {"timeframes": [{"day": 1, "to": "2:00"}], "timezone": "UTC"},
            "options.scheduling.timeframes[0].from: is missing",
        ),
        (
            {"timeframes": [MONDAY | {"to": "24:01"}], "timezone": "UTC"},
            "options.scheduling.timeframes[0].to: '24:01' ",
        ),
        (
            {"timeframes": [MONDAY | {"to": "1:60"}], "timezone": "UTC"},
            "options.scheduling.timeframes[0].to: '1:60' ",
        ),
        ({"timeframes": [MONDAY | {"to": "１:00"}], "timezone": "UTC"}, "options.scheduling.timeframes[0].to: "),
        ({"timeframes": [MONDAY | {"to": 16}], "timezone": "UTC"}, "options.scheduling.timeframes[0].to: must be text"),
        (
            {"timeframes": [MONDAY | {"from": "24:00"}], "timezone": "UTC"},
            "options.scheduling.timeframes[0].from: must be",
        ),
    ],
)
def test_every_mistake_is_named_with_its_place(scheduling: Any, said: str) -> None:
    (mistake,) = mistakes(scheduling)
    assert mistake.startswith(said)


def test_there_are_only_so_many_frames() -> None:
    (mistake,) = mistakes({"timeframes": [MONDAY] * (MOST_FRAMES + 1), "timezone": "UTC"})
    assert mistake.startswith("options.scheduling.timeframes: must hold at most 100")
