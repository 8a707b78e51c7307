"""Each way to break the promise, seeded into a small record, is found; a record that keeps it is clean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.auditor import Kind, audit, longest_dark, unaccounted
from tests.faults.gate import PULL, RESULTS
from tests.faults.record import CONTROL_PLANE, Demand, End, Exchange, OpenJob, Outage, Pause, Record, Row

LEASE, PERIOD = 15_000, 30_000
WORKERS = ("worker-0", "worker-1")


def result(number: int, scheduled_at: int, **changes: object) -> Row:
    row = Row(
        id=f"result-{number}",
        job=f"job-{number}",
        origin="worker",
        test="shop",
        worker="w0",
        status="passed",
        runs=1,
        scheduled_at=scheduled_at,
        last_scheduled_at=scheduled_at,
        given_at=scheduled_at,
        stored_at=scheduled_at + 1_000,
        run=f"run-{number}",
        unhealthy=None,
        failure=None,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def note(number: int, origin: str, scheduled_at: int, **changes: object) -> Row:
    return result(number, scheduled_at, origin=origin, status="missed", run=None, given_at=None, **changes)


KEPT = Record(
    lease=LEASE,
    period=PERIOD,
    calm_at=70_000,
    ended_at=80_000,
    workers=WORKERS,
    rows=(result(1, 10_000), result(2, 40_000), result(3, 70_000)),
    open_jobs=(),
    demands=(Demand("shop", 9_900, 10_100),),
    exchanges=tuple(Exchange(at, "w0", PULL, 204) for at in range(0, 80_000, 1_000)),
    served={f"run-{number}": "shop" for number in range(1, 4)},
)


def kinds(record: Record) -> list[Kind]:
    return [violation.kind for violation in audit(record)]


def with_row(row: Row, number: int = 1) -> Record:
    return replace(KEPT, rows=tuple(row if one.id == f"result-{number}" else one for one in KEPT.rows))


def test_a_record_that_keeps_the_promise_is_clean() -> None:
    assert audit(KEPT) == []


def test_an_acknowledged_result_that_is_gone_is_found() -> None:
    pushed = Exchange(11_000, "w0", RESULTS, 200, ("result-1", "result-9"))
    assert [str(one) for one in audit(replace(KEPT, exchanges=(*KEPT.exchanges, pushed)))] == [
        "an acknowledged result is gone: result-9"
    ]


@pytest.mark.parametrize(
    "row",
    [
        result(1, 10_000, run=None),
        result(1, 10_000, run="never served"),
        result(1, 10_000, run="run-of-another"),
    ],
    ids=["no reply", "unknown reply", "another test's reply"],
)
def test_a_result_that_the_target_knows_nothing_of_is_found(row: Row) -> None:
    record = with_row(row)
    assert kinds(replace(record, served={**record.served, "run-of-another": "checkout"})) == [Kind.PHANTOM]


def test_a_note_of_runs_that_are_not_due_yet_is_found() -> None:
    ahead = note(4, "missed", 75_000, runs=120, last_scheduled_at=75_000 + 3_600_000)
    assert kinds(replace(KEPT, rows=(*KEPT.rows, ahead))) == [Kind.PHANTOM]


def test_a_demand_that_nobody_speaks_of_is_found() -> None:
    record = replace(KEPT, demands=(*KEPT.demands, Demand("shop", 50_000, 50_100)))
    assert Kind.GAP in kinds(record)
    assert unaccounted(record) == [Demand("shop", 50_000, 50_100)]


def test_a_demand_that_a_pause_withdrew_is_not_owed() -> None:
    demands, pauses = (*KEPT.demands, Demand("shop", 50_000, 50_100)), (Pause("shop", 50_200, 50_300),)
    assert kinds(replace(KEPT, demands=demands, pauses=pauses)) == []
    assert Kind.GAP in kinds(replace(KEPT, demands=demands, pauses=(Pause("checkout", 50_200, 50_300),)))
    assert Kind.GAP in kinds(replace(KEPT, demands=demands, pauses=(Pause("shop", 48_000, 50_000),)))


def test_a_run_that_is_due_and_has_not_begun_is_the_run_that_is_asked_for_again() -> None:
    again = replace(KEPT, demands=(*KEPT.demands, Demand("shop", 10_200, 10_300)))
    assert kinds(again) == [Kind.GAP]
    assert kinds(replace(again, rows=(result(1, 10_000, given_at=10_400), *KEPT.rows[1:]))) == []


def test_a_period_that_nobody_speaks_of_is_found() -> None:
    assert kinds(replace(KEPT, rows=(KEPT.rows[0], KEPT.rows[2]))) == [Kind.GAP]


def test_an_edit_of_a_run_that_has_not_begun_starts_its_period_anew() -> None:
    late, next_one = result(1, 10_000, given_at=25_000, stored_at=26_000), result(2, 60_000)
    record = replace(KEPT, rows=(late, next_one, KEPT.rows[2]))
    assert kinds(record) == [Kind.GAP]
    assert kinds(replace(record, demands=(*KEPT.demands, Demand("shop", 19_900, 20_000)))) == []


def test_a_note_of_several_runs_covers_them() -> None:
    missed = note(2, "missed", 40_000, runs=2, last_scheduled_at=70_000)
    late = result(3, 100_000)
    assert kinds(replace(KEPT, rows=(KEPT.rows[0], missed, late))) == []


def test_a_job_that_does_not_end_is_found_after_lease_and_period() -> None:
    opened = (OpenJob("job-8", "shop", 60_000),)
    assert kinds(replace(KEPT, open_jobs=opened)) == []
    assert kinds(replace(KEPT, open_jobs=opened, ended_at=70_000 + LEASE + PERIOD + 1)) == [Kind.STUCK]


def test_a_run_stored_twice_is_found_by_its_time_and_by_its_reply() -> None:
    by_time = replace(KEPT, rows=(*KEPT.rows, note(4, "missed", 70_000)))
    assert kinds(by_time) == [Kind.TWICE]
    by_reply = replace(KEPT, rows=(*KEPT.rows, result(4, 75_000, run="run-3")))
    assert kinds(by_reply) == [Kind.TWICE]


def test_a_failure_beside_an_honest_target_must_be_marked() -> None:
    failed = result(1, 10_000, status="failed", run=None, failure="INTERNAL_ERROR")
    assert kinds(with_row(failed)) == [Kind.UNMARKED]
    assert kinds(with_row(replace(failed, unhealthy="out of memory"))) == []


def lost(record: Record) -> Record:
    """The last run was lost by w0, and noted 15 seconds after it was due."""
    row = note(3, "lost", 70_000, stored_at=86_000)
    return replace(record, rows=(*record.rows[:2], row), ended_at=90_000)


def test_a_run_is_lost_only_where_its_worker_died_or_was_silent() -> None:
    heard = tuple(Exchange(at, "w0", PULL, 204) for at in range(0, 90_000, 1_000))
    lively = lost(replace(KEPT, exchanges=heard))
    assert kinds(lively) == [Kind.LOST]
    assert kinds(replace(lively, ends=(End(72_000, "w0", killed=True),))) == []
    assert kinds(replace(lively, ends=(End(72_000, "w1", killed=True),))) == [Kind.LOST]
    assert kinds(replace(lively, exchanges=tuple(one for one in heard if one.at < 70_500))) == []


def test_refused_pulls_are_no_heartbeats() -> None:
    refused = tuple(Exchange(at, "w0", PULL, 503) for at in range(0, 90_000, 1_000))
    assert kinds(lost(replace(KEPT, exchanges=refused))) == []


DARK = LEASE + PERIOD + 2_000
LATE = replace(
    KEPT,
    demands=(Demand("shop", 0, 100),),
    rows=(note(1, "missed", 50), note(2, "missed", 30_000), result(3, DARK - 1_000)),
    calm_at=DARK,
    ended_at=DARK,
)
"""A test that is due at once, and has no result for longer than lease and period."""


def test_a_test_without_a_result_beside_a_healthy_worker_is_dark() -> None:
    assert kinds(LATE) == [Kind.DARK]
    assert longest_dark(LATE) == (DARK - 100, "shop")


@pytest.mark.parametrize(
    ("victims", "dark"),
    [((CONTROL_PLANE,), False), (WORKERS, False), (WORKERS[:1], True)],
    ids=["control plane", "all workers", "one worker"],
)
def test_times_without_a_control_plane_or_any_worker_are_not_dark(victims: tuple[str, ...], dark: bool) -> None:
    outages = tuple(Outage(victim, 5_000, 9_000) for victim in victims)
    assert kinds(replace(LATE, outages=outages)) == ([Kind.DARK] if dark else [])


def test_outages_of_all_workers_count_only_while_they_overlap() -> None:
    outages = (Outage("worker-0", 5_000, 9_000), Outage("worker-1", 8_500, 20_000))
    assert longest_dark(replace(LATE, outages=outages)) == (DARK - 100 - 500, "shop")


def test_a_worker_that_ended_by_itself_is_found() -> None:
    assert kinds(replace(KEPT, ends=(End(5_000, "w0", killed=False),))) == [Kind.ENDED]
    assert kinds(replace(KEPT, ends=(End(5_000, "w0", killed=True),))) == []
