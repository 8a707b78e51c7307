"""The schedule: due and missed runs, against a schedule that is walked one period at a time."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from controlplane.schedule import Missed, Run, Timetable, at_once, following, in_phase, settle, start_before
from controlplane.store import runs

MINUTE = 60_000
NOW = 1_767_323_045_000

periods = st.integers(30_000, 604_800_000)
moments = st.integers(1_600_000_000_000, 2_000_000_000_000)


@st.composite
def timetables(draw: st.DrawFn) -> Timetable:
    period = draw(periods)
    return Timetable(period, draw(st.integers(0, period - 1)))


def test_a_new_test_is_due_at_once_and_then_at_its_phase() -> None:
    timetable = Timetable(MINUTE, 10_000)
    start = NOW - NOW % MINUTE

    assert at_once(start, timetable) == Run(start, start + 70_000)
    assert at_once(start + 11_000, timetable) == Run(start + 11_000, start + 70_000)
    assert at_once(start + 40_000, timetable) == Run(start + 40_000, start + 70_000)
    assert at_once(start + 41_000, timetable) == Run(start + 41_000, start + 130_000)


@given(moments, timetables())
def test_the_second_run_is_in_phase_and_half_to_one_and_a_half_periods_away(now: int, timetable: Timetable) -> None:
    run = at_once(now, timetable)

    assert run.due_at == now
    assert (run.until - timetable.offset) % timetable.period == 0
    assert timetable.period <= 2 * (run.until - now) <= 3 * timetable.period + 1


@given(moments, timetables())
def test_what_is_switched_on_again_waits_for_its_phase(now: int, timetable: Timetable) -> None:
    run = in_phase(now, timetable)

    assert now < run.due_at <= now + timetable.period
    assert (run.due_at - timetable.offset) % timetable.period == 0
    assert run.until - run.due_at == timetable.period


def test_many_tests_are_spread_evenly_over_their_period() -> None:
    tenths = [0] * 10
    for number in range(2_000):
        tenths[Timetable.of(f"abc-def-{number}", "pl:x", MINUTE).offset * 10 // MINUTE] += 1

    assert all(150 < tenth < 250 for tenth in tenths)


def test_the_phase_is_stable_and_differs_by_test_and_location() -> None:
    assert Timetable.of("abc-def-ghi", "pl:x-1", MINUTE) == Timetable.of("abc-def-ghi", "pl:x-1", MINUTE)
    # sha256("abc-def-ghi\npl:x-1"), its first 8 bytes as a big-endian number, modulo 60,000: from sha256sum
    assert Timetable.of("abc-def-ghi", "pl:x-1", MINUTE).offset == 14141
    assert Timetable.of("abc-def-ghi", "pl:x-2", MINUTE).offset != 14141


def walked(run: Run, timetable: Timetable, now: int) -> tuple[Run, list[int]]:
    """The same by the definition: one period after the other, each missed run by its due time."""
    missed = []
    while now >= run.until:
        missed.append(run.due_at)
        run = following(run, timetable)
    return run, missed


@given(moments, timetables(), st.integers(0, 50_000_000))
def test_what_was_missed_is_counted_exactly(now: int, timetable: Timetable, away: int) -> None:
    away = away % (200 * timetable.period)
    run = at_once(now, timetable)

    after, missed = settle(run, timetable, now + away)

    expected, due = walked(run, timetable, now + away)
    assert after == expected
    assert missed == (Missed(len(due), due[0], due[-1]) if due else None)
    assert after.due_at <= now + away < after.until


@given(moments, timetables(), st.lists(st.tuples(st.integers(0, 3_000_000), st.booleans()), max_size=30))
def test_every_period_is_started_or_missed_and_none_twice(
    now: int, timetable: Timetable, steps: list[tuple[int, bool]]
) -> None:
    """Whatever passes between looks, and whether or not a run can start: the runs follow each other without a gap."""
    run = at_once(now, timetable)
    accounted: list[int] = []
    for passed, can_start in steps:
        now += passed
        run, missed = settle(run, timetable, now)
        if missed is not None:
            accounted.append(missed.first)
            accounted += range(missed.last - (missed.runs - 2) * timetable.period, missed.last + 1, timetable.period)
        if can_start and run.due_at <= now:
            accounted.append(run.due_at)
            run = following(run, timetable)
    in_phase_from_the_second = [*accounted[1:], run.due_at] if accounted else []
    assert all(later - earlier == timetable.period for earlier, later in pairwise(in_phase_from_the_second))


@given(moments, timetables())
def test_a_clock_that_was_set_back_does_not_stop_a_test(now: int, timetable: Timetable) -> None:
    run = following(at_once(now, timetable), timetable)

    after, missed = settle(run, timetable, now - 10 * timetable.period)

    assert missed is None
    assert after.due_at <= now - 9 * timetable.period


@given(moments, timetables())
def test_a_run_may_start_for_a_whole_period_and_always_until_the_next(now: int, timetable: Timetable) -> None:
    first = at_once(now, timetable)
    second = following(first, timetable)

    assert start_before(first, timetable) == max(now + timetable.period, first.until)
    assert start_before(second, timetable) == second.until


@given(moments, timetables(), st.data())
def test_without_frames_what_follows_a_start_needs_no_offset(
    now: int, timetable: Timetable, data: st.DataObject
) -> None:
    """`runs.pace` leaves it out."""
    other = Timetable(timetable.period, data.draw(st.integers(0, timetable.period - 1)))
    run = at_once(now, timetable)
    assert following(run, timetable) == following(run, other)
    assert start_before(run, timetable) == start_before(run, other)


@given(periods, st.data())
def test_rows_of_one_period_lie_in_the_order_of_their_phases(period: int, data: st.DataObject) -> None:
    """SQLite's numbers of rows have 63 bits; two of one phase have room beside each other."""
    offsets = st.integers(0, period - 1)
    earlier, later = sorted((data.draw(offsets), data.draw(offsets)))
    first, second = (runs.place(Timetable(period, offset)) for offset in (earlier, later))
    assert 0 <= first < 2**63
    assert 0 <= second < 2**63
    assert first < second or earlier == later


def test_rows_of_one_phase_have_places_of_their_own() -> None:
    weekly = Timetable(604_800_000, 604_799_999)
    assert len({runs.place(weekly) for _ in range(1_000)}) == 1_000
