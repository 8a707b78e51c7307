"""Silences: which tests one covers, and when it holds. Occurrences are compared with a calendar that is written out here."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.alerts.monitor import NOT_MUTED, WITHOUT_END
from controlplane.alerts.windows import Silence, check_rule, covers, ends_at


def silence(starts: str = "2026-01-05T22:00:00", rule: str = "", **members: Any) -> Silence:
    return Silence(id="s", name="work", starts=starts, rule=rule, **{"minutes": 120, **members})


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("members", "covered"),
    [
        ({}, True),
        ({"test": "abc-def-ghi"}, True),
        ({"test": "xxx-xxx-xxx"}, False),
        ({"tags": ("env:prod",)}, True),
        ({"tags": ("env:prod", "team:shop")}, True),
        ({"tags": ("env:prod", "team:other")}, False),
        ({"test": "abc-def-ghi", "tags": ("env:dev",)}, False),
    ],
)
def test_a_silence_covers_a_test_or_tags_or_all(members: dict[str, Any], covered: bool) -> None:
    assert covers(silence(**members), "abc-def-ghi", ("env:prod", "team:shop")) is covered


def test_one_that_holds_once_begins_with_its_start_and_is_over_at_its_end() -> None:
    once = silence()
    assert ends_at(once, at("2026-01-05T21:59:59")) == NOT_MUTED
    assert ends_at(once, at("2026-01-05T22:00")) == at("2026-01-06")
    assert ends_at(once, at("2026-01-05T23:59:59")) == at("2026-01-06")
    assert ends_at(once, at("2026-01-06")) == NOT_MUTED
    assert ends_at(silence(minutes=None), at("2030-01-01")) == WITHOUT_END


CASES = {
    "each night": ("FREQ=DAILY", ["2026-01-05", "2026-01-06", "2031-07-01"], ["2026-01-04"]),
    "the first day of twice a month": (
        "FREQ=MONTHLY;BYMONTHDAY=1,15",
        ["2026-01-15", "2026-02-01"],
        ["2026-01-05", "2026-01-16"],
    ),
    "each other week": (
        "FREQ=WEEKLY;INTERVAL=2",
        ["2026-01-05", "2026-01-19", "2030-01-14"],
        ["2026-01-12", "2030-01-07"],
    ),
    "weekends": ("FREQ=WEEKLY;BYDAY=SA,SU", ["2026-01-10", "2026-01-11"], ["2026-01-12"]),
    "the second Tuesday": ("FREQ=MONTHLY;BYDAY=2TU", ["2026-01-13", "2026-02-10"], ["2026-01-06"]),
    "the last working day": (
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        ["2026-01-30", "2026-02-27"],
        ["2026-01-31"],
    ),
    "three times": ("FREQ=DAILY;COUNT=3", ["2026-01-07"], ["2026-01-08"]),
    "until a day": ("FREQ=DAILY;UNTIL=20260107", ["2026-01-07"], ["2026-01-08"]),
    "until a moment": ("FREQ=DAILY;UNTIL=20260107T120000", ["2026-01-06"], ["2026-01-07"]),
    "once a year": ("FREQ=YEARLY", ["2026-01-05", "2029-01-05"], ["2026-02-05"]),
    "in a month of each year": ("FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=1", ["2026-03-01"], ["2026-01-05"]),
}


@pytest.mark.parametrize(("rule", "inside", "outside"), CASES.values(), ids=CASES)
def test_one_that_comes_again_holds_on_its_days(rule: str, inside: list[str], outside: list[str]) -> None:
    check_rule(rule)
    again = silence(rule=rule)
    for day in inside:
        assert ends_at(again, at(f"{day}T23:00")) == at(f"{day}T22:00") + 7_200_000, day
        assert ends_at(again, at(f"{day}T21:59:59")) == NOT_MUTED, day
    for day in outside:
        assert ends_at(again, at(f"{day}T23:00")) == NOT_MUTED, day


def test_the_hours_are_those_of_its_zone_through_changes_of_the_clock() -> None:
    berlin = silence("2026-01-01T22:00:00", "FREQ=DAILY", zone="Europe/Berlin")
    assert ends_at(berlin, at("2026-03-28T21:30")) == at("2026-03-28T23:00")
    assert ends_at(berlin, at("2026-03-30T20:30")) == at("2026-03-30T22:00")
    missing = silence("2026-01-01T02:30:00", "FREQ=DAILY", zone="Europe/Berlin", minutes=30)
    assert ends_at(missing, at("2026-03-29T01:45")) == at("2026-03-29T02:00"), "it begins when 02:30 would have been"
    assert ends_at(missing, at("2026-10-25T00:45")) == at("2026-10-25T01:00"), "the first 02:30 of two"
    assert ends_at(missing, at("2026-10-25T01:45")) == NOT_MUTED, "it comes once a day"
    through = silence("2026-01-01T22:00:00", "FREQ=DAILY", zone="Europe/Berlin", minutes=8 * 60)
    assert ends_at(through, at("2026-10-25T03:59")) == at("2026-10-25T04:00"), "eight hours, at 5 o'clock on the wall"
    assert ends_at(through, at("2026-03-29T04:59")) == at("2026-03-29T05:00"), "eight hours, at 7 o'clock on the wall"


def test_windows_that_overlap_end_with_the_last_of_them() -> None:
    long = silence("2026-01-05T00:00:00", "FREQ=DAILY;COUNT=3", minutes=36 * 60)
    assert ends_at(long, at("2026-01-06T06:00")) == at("2026-01-07T12:00")


REFUSED = [
    ("", "NAME=VALUE"),
    ("FREQ=SECONDLY", "FREQ must be"),
    ("FREQ=HOURLY;INTERVAL=1", "FREQ must be"),
    ("FREQ=DAILY;FREQ=DAILY", "stands twice"),
    ("FREQ=DAILY;BYHOUR=3", "BYHOUR is not taken"),
    ("FREQ=DAILY;BYYEARDAY=366", "BYYEARDAY is not taken"),
    ("FREQ=DAILY;BYEASTER=1", "BYEASTER is not taken"),
    ("FREQ=DAILY;INTERVAL=0", "INTERVAL must be"),
    ("FREQ=DAILY;INTERVAL=99999999999999999999", "INTERVAL must be"),
    ("FREQ=DAILY;COUNT=1000000000", "COUNT must be"),
    ("FREQ=DAILY;COUNT=3;UNTIL=20260101", "not taken together"),
    ("FREQ=DAILY;UNTIL=20260101T000000Z", "UNTIL must be"),
    ("FREQ=DAILY;INTERVAL=7;BYDAY=TU", "BYDAY is taken with INTERVAL=1"),
    ("FREQ=WEEKLY;BYDAY=1MO", "BYDAY=1MO is not taken"),
    ("FREQ=MONTHLY;BYDAY=5MO", "BYDAY=5MO is not taken"),
    ("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30", "BYMONTHDAY must be"),
    ("FREQ=MONTHLY;INTERVAL=12;BYMONTH=2", "BYMONTH is taken with INTERVAL=1"),
    ("FREQ=MONTHLY;BYDAY=1MO;BYSETPOS=2", "BYSETPOS is taken with"),
    ("FREQ=MONTHLY;BYDAY=MO;BYMONTHDAY=13", "not taken together"),
    ("FREQ=YEARLY;BYMONTHDAY=13", "BYMONTH is needed"),
    ("FREQ=MONTHLY;BYMONTH=2", "BYMONTH is taken with days"),
    ("FREQ=MONTHLY;BYDAY=MO,2WE", "days with numbers or days without"),
    ("FREQ=DAILY\nDTSTART:20200101", "NAME=VALUE"),
]


@pytest.mark.parametrize(("rule", "reason"), REFUSED)
def test_a_rule_outside_of_the_part_that_is_taken_is_refused_by_name(rule: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_rule(rule)


DAYS = st.lists(st.sampled_from(["MO", "TU", "SU", "2WE", "-1FR"]), min_size=1, max_size=3, unique=True).map(",".join)
PARTS = {
    "INTERVAL": st.integers(1, 366).map(str),
    "COUNT": st.integers(1, 1000).map(str),
    "BYMONTH": st.integers(1, 12).map(str),
    "BYDAY": DAYS,
    "BYMONTHDAY": st.sampled_from(["1", "28", "-1", "-28,3", "31"]),
    "BYSETPOS": st.sampled_from(["1", "4", "-4", "2,-1"]),
}
RULES = st.builds(
    lambda frequency, parts: ";".join([f"FREQ={frequency}", *itertools.starmap("{}={}".format, parts.items())]),
    st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]),
    st.fixed_dictionaries({}, optional=PARTS),
)
STARTS = st.sampled_from(["2024-02-29T10:00:00", "2026-01-31T10:00:00", "2026-02-01T23:59:59", "1996-12-31T00:00:00"])


@settings(max_examples=60)
@given(RULES, STARTS)
def test_every_rule_that_is_taken_is_looked_through_in_no_time(rule: str, starts: str) -> None:
    """CPU time of this thread: what a rule costs the one writer. The worst ones take a fiftieth of a second."""
    try:
        check_rule(rule)
    except ValueError:
        return
    before = time.thread_time()
    ends_at(silence(starts, rule), at("2026-11-27"))
    assert time.thread_time() - before < 0.1, rule
