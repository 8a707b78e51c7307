"""Durations as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controlplane.commands.durations import ago, moment, period


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(-5, "0 s ago"), (0, "0 s ago"), (59_999, "59 s ago"), (60_000, "1 min ago"), (3_599_999, "59 min ago"),
     (3_600_000, "1 h ago"), (86_400_000 * 3, "3 d ago")],
)  # fmt: skip
def test_an_age_is_told_in_its_largest_unit(milliseconds: int, text: str) -> None:
    assert ago(milliseconds) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (30_000, "30 s"),
        (90_000, "90 s"),
        (120_000, "2 min"),
        (5_400_000, "90 min"),
        (3_600_000, "1 h"),
        (172_800_000, "2 d"),
    ],
)
def test_a_period_is_told_exactly(milliseconds: int, text: str) -> None:
    assert period(milliseconds) == text


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("90s", timedelta(seconds=90)),
        ("30min", timedelta(minutes=30)),
        (" 2 h ", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("0s", timedelta()),
    ],
)
def test_a_duration_names_a_moment_before_now(text: str, before: timedelta) -> None:
    assert moment(text, NOW) == NOW - before


def test_a_date_names_itself_in_its_zone_or_the_local_one() -> None:
    assert moment("2026-01-01T12:00+02:00", NOW) == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert moment("2026-01-01T12:00Z", NOW) == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert moment("2026-01-01", NOW) == datetime(2026, 1, 1).astimezone()


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2", "2w", "-2h", "1e3s", "2h30min", "٣h", "999999999d", "2026-13-01"]
)
def test_what_names_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the command has the words
        moment(text, NOW)
