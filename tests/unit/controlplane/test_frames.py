"""Frames of the week on the line of time, against a walk through local time, and the schedule inside of them."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane import frames
from controlplane.frames import Frames, is_time_zone, written
from controlplane.schedule import (
    PATIENCE,
    Missed,
    Run,
    Timetable,
    at_once,
    following,
    in_phase,
    settle,
    start_before,
)
from worker.apitest.scheduling import DAY, Scheduling, TimeFrame

MINUTE = 60_000
HOUR = 60 * MINUTE
STEP = 15

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"]
moments = st.integers(28_927_440, 30_504_960).map(lambda minutes: minutes * MINUTE)
"""Minutes of the years 2025 to 2027."""


@st.composite
def frame(draw: st.DrawFn) -> TimeFrame:
    start = draw(st.integers(0, DAY // STEP - 1)) * STEP
    return TimeFrame(draw(st.integers(1, 7)), start, start + draw(st.integers(1, DAY // STEP)) * STEP)


some_frames = st.builds(
    Frames, st.lists(frame(), min_size=1, max_size=6).map(sorted).map(tuple), st.sampled_from(ZONES)
).filter(lambda found: written(Scheduling(frames=found.frames, timezone=found.timezone)) is not None)


def is_inside(found: Frames, moment: int) -> bool:
    """By the definition: what a clock on the wall says, today's frames and what goes on from yesterday."""
    local = datetime.fromtimestamp(moment / 1000, ZoneInfo(found.timezone))
    minutes = local.hour * 60 + local.minute
    yesterday = (local.date() - timedelta(days=1)).isoweekday()
    return any(
        (one.day == local.isoweekday() and one.start <= minutes < one.end)
        or (one.day == yesterday and minutes < one.end - DAY)
        for one in found.frames
    )


def changes_soon(found: Frames, moment: int) -> bool:
    """Tell if clocks there change within a day: what is inside of a frame then is a matter of reading."""
    zone = ZoneInfo(found.timezone)
    offsets = {datetime.fromtimestamp(moment / 1000 + hours * 3600, zone).utcoffset() for hours in range(-26, 27)}
    return len(offsets) > 1


@settings(max_examples=60)
@given(some_frames, moments)
def test_the_spans_are_what_a_clock_on_the_wall_says(found: Frames, after: int) -> None:
    end = after + 8 * 24 * HOUR
    spans = list(takewhile(lambda span: span[0] < end, found.spans(after)))
    assert all(first[1] < second[0] for first, second in pairwise(spans))
    for moment in range(after, end, 37 * MINUTE):
        if not changes_soon(found, moment):
            assert any(start <= moment < stop for start, stop in spans) == is_inside(found, moment)


def local(zone: str, text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 7), ("2026-10-25", 9), ("2026-06-07", 8)], ids=["spring", "autumn", "summer"]
)
def test_a_night_in_which_clocks_change_is_an_hour_shorter_or_longer(day: str, hours: int) -> None:
    """Sundays in Berlin, from midnight to eight; at two or three o'clock the clocks go."""
    found = Frames((TimeFrame(7, 0, 8 * 60),), "Europe/Berlin")
    midnight = local("Europe/Berlin", f"{day}T00:00")
    assert next(found.spans(midnight)) == (midnight, midnight + hours * HOUR)


def test_a_frame_in_the_hour_that_is_left_out_is_an_empty_or_a_later_one() -> None:
    found = Frames((TimeFrame(7, 2 * 60, 3 * 60),), "Europe/Berlin")
    midnight = local("Europe/Berlin", "2026-03-29T00:00")
    assert next(found.spans(midnight))[0] == local("Europe/Berlin", "2026-04-05T02:00")


@pytest.mark.parametrize(
    ("days", "whole"),
    [
        (tuple(TimeFrame(day, 0, DAY) for day in range(1, 8)), True),
        (tuple(TimeFrame(day, 8 * 60, 32 * 60) for day in range(1, 8)), True),
        (tuple(TimeFrame(day, 0, DAY) for day in range(1, 7)), False),
        ((*(TimeFrame(day, 0, DAY) for day in range(1, 7)), TimeFrame(7, 0, DAY - 1)), False),
    ],
)
def test_frames_that_cover_the_week_restrict_nothing(days: tuple[TimeFrame, ...], whole: bool) -> None:
    assert (written(Scheduling(frames=days, timezone="UTC")) is None) is whole


@given(some_frames)
def test_what_is_stored_is_read_again(found: Frames) -> None:
    text = written(Scheduling(frames=found.frames, timezone=found.timezone))
    assert text is not None
    assert frames.read(text) == found


def test_time_zones_are_those_that_there_are_rules_for() -> None:
    assert [is_time_zone(name) for name in ("Europe/Berlin", "UTC", "Europe/Nowhere", "Europe", "")] == [
        True, True, False, False, False
    ]  # fmt: skip


def test_a_time_zone_whose_rules_have_gone_is_utc_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    found = Frames((TimeFrame(1, 0, 60),), "Gone/Zone")
    monday = local("UTC", "2026-01-05T00:00")
    assert [next(found.spans(monday)) for _ in range(2)] == [(monday, monday + HOUR)] * 2
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


periods = st.sampled_from([30_000, 5 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR, 7 * 24 * HOUR])


@st.composite
def timetables(draw: st.DrawFn) -> Timetable:
    period = draw(periods)
    return Timetable(period, draw(st.integers(0, period - 1)), draw(some_frames))


def span_of(timetable: Timetable, moment: int) -> tuple[int, int]:
    assert timetable.frames is not None
    return next(timetable.frames.spans(moment))


@given(timetables(), moments)
def test_every_run_is_due_and_ends_inside_of_a_frame_and_no_more_often_than_its_period(
    timetable: Timetable, now: int
) -> None:
    run = at_once(now, timetable)
    per_period = set()
    for _ in range(20):
        start, end = span_of(timetable, run.due_at)
        assert start <= run.due_at < end
        assert run.due_at + PATIENCE <= run.until <= start_before(run, timetable) <= max(end, run.due_at + PATIENCE)
        after = following(run, timetable)
        assert after.due_at >= run.until
        run = after
        per_period.add((run.due_at - timetable.offset) // timetable.period)
    assert len(per_period) >= 10, "two in one period at most: one that was put off, and one in its own place"


@given(timetables(), moments)
def test_what_is_put_off_comes_in_the_very_next_frame(timetable: Timetable, now: int) -> None:
    run = in_phase(now, timetable)
    start, _ = span_of(timetable, timetable.start_at_or_after(now + 1))
    assert run.due_at >= start
    assert span_of(timetable, run.due_at)[0] <= max(start, now + timetable.period)


def test_a_frame_shorter_than_the_period_has_its_run_each_day() -> None:
    daily = Frames(tuple(TimeFrame(day, 9 * 60, 10 * 60) for day in range(1, 8)), "UTC")
    timetable = Timetable(6 * HOUR, 30 * MINUTE, daily)
    run = in_phase(local("UTC", "2026-01-05T12:00"), timetable)
    days = []
    for _ in range(5):
        days.append(run.due_at)
        run = following(run, timetable)
    assert days == [local("UTC", f"2026-01-{day:02}T09:30") for day in (6, 7, 8, 9, 10)]


def test_a_weekly_run_whose_time_is_outside_is_put_off_to_the_next_frame() -> None:
    office = Frames(tuple(TimeFrame(day, 9 * 60, 17 * 60) for day in range(1, 6)), "UTC")
    sunday = local("UTC", "2026-01-04T03:00")
    timetable = Timetable(7 * 24 * HOUR, sunday % (7 * 24 * HOUR), office)
    run = in_phase(sunday - 1, timetable)
    monday = local("UTC", "2026-01-05T09:00")
    assert monday <= run.due_at < monday + 8 * HOUR
    assert following(run, timetable).due_at == run.due_at + 7 * 24 * HOUR


def test_what_is_new_outside_of_its_frames_waits() -> None:
    office = Frames((TimeFrame(1, 9 * 60, 17 * 60),), "UTC")
    timetable = Timetable(HOUR, 0, office)
    sunday, monday = local("UTC", "2026-01-04T12:00"), local("UTC", "2026-01-05T09:00")
    assert at_once(sunday, timetable) == Run(monday, monday + HOUR)
    late = monday + 7 * HOUR + 40 * MINUTE
    assert at_once(late, timetable) == Run(late, monday + 8 * HOUR)


def walked(run: Run, timetable: Timetable, now: int) -> tuple[Run, list[int]]:
    missed = []
    while now >= run.until:
        missed.append(run.due_at)
        run = following(run, timetable)
    return run, missed


@given(timetables(), moments, st.integers(0, 200), st.integers(0, 30 * MINUTE))
def test_what_was_missed_is_counted_exactly_and_frames_leave_nothing_to_miss(
    timetable: Timetable, now: int, periods: int, more: int
) -> None:
    run = at_once(now, timetable)
    later = now + min(periods * timetable.period, 60 * 24 * HOUR) + more
    after, missed = settle(run, timetable, later)
    expected, due = walked(run, timetable, later)
    assert after == expected
    assert missed == (Missed(len(due), due[0], due[-1]) if due else None)


@given(timetables(), moments)
def test_a_clock_that_was_set_back_does_not_stop_a_test(timetable: Timetable, now: int) -> None:
    run = following(at_once(now, timetable), timetable)
    before = now - 60 * 24 * HOUR - 3 * timetable.period
    after, missed = settle(run, timetable, before)
    assert missed is None
    assert after.due_at <= before + timetable.period + 8 * 24 * HOUR
    assert settle(run, timetable, now)[0] == run, "what lies ahead by its frames alone is left alone"
