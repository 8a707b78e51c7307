"""The monitor of a test: a table of cases from the reference system's documentation, and cases of our own.

The rule (docs: synthetics/guide/how-synthetics-monitors-trigger-alerts): an alert begins when some location has been failing
throughout the last `min_failure_duration`, and at one moment of it `min_location_failed` of them were; it ends when that is no
longer true.
"""

from __future__ import annotations

import msgspec
import pytest

from controlplane.alerts import monitor as machine
from controlplane.alerts.monitor import Monitor, SeenRun, Sight, WatchedPlace
from controlplane.alerts.rule import AlertRule
from controlplane.alerts.transitions import TransitionKind
from tests.support.stories import START, Story, rule

PLAIN = rule()
CASES = {
    "a failed run is an alert, a passed one its end": (PLAIN, "A", "A. 60 A! 60 A.", "alert@60 recovery@120"),
    "a second failure is no second alert": (PLAIN, "A", "A! 60 A! 60 A! 60 A.", "alert@0 recovery@180"),
    "it flaps: each failure is told once, and its end": (
        PLAIN,
        "A",
        "A! 60 A. 60 A! 60 A.",
        "alert@0 recovery@60 alert@120 recovery@180",
    ),
    "what passes is never told": (PLAIN, "AB", "A. B. 60 A. B. 6000 A.", ""),
    "a failure must last": (rule(lasting=300), "A", "A! 60 A! 240", "alert@300"),
    "it may last between two results": (rule(lasting=90), "A", "A! 60 A! 60", "alert@90"),
    "the guide's table “Alerts triggered immediately”": (rule(lasting=780), "A", "A. 900 A! 900 A!", "alert@1680"),
    "the guide's table “Fast retries causing a delay”": (
        rule(lasting=300),
        "A",
        "A. 1920 A! 1680 A.",  # the last retry of what was scheduled at 1800 fails at 1920
        "alert@2220 recovery@3600",
    ),
    "a failure that ends before is none": (rule(lasting=300), "A", "A! 60 A! 60 A! 60 A. 600", ""),
    "the time begins anew with each failure": (
        rule(lasting=120),
        "A",
        "A! 60 A. 30 A! 60 A! 60 A!",
        "alert@210",
    ),
    "one of two locations is enough by default": (PLAIN, "AB", "B. A! 60 B. 60 A.", "alert@0 recovery@120"),
    "one of two is too few where two are asked for": (rule(locations=2), "AB", "A! B. 600 A. 60 B! 600", ""),
    "two of three": (rule(locations=2), "ABC", "A! C. 30 B! 30 C. 30 A.", "alert@30 recovery@90"),
    "the end of two of three leaves one failing": (
        rule(locations=2),
        "ABC",
        "A! B! 60 A. 600 B.",
        "alert@0 recovery@60",
    ),
    "more than there are means all of them": (rule(locations=3), "AB", "A! 60 B!", "alert@60"),
    "two at one moment of the time, one throughout": (
        rule(lasting=300, locations=2),
        "AB",
        "A! 60 B! 30 B. 400",
        "alert@300 recovery@390",
    ),
    "two at one moment, but too long ago": (
        rule(lasting=60, locations=2),
        "AB",
        "A! B! 30 B. 600",
        "alert@60 recovery@90",
    ),
    "failing may pass on from one location to another": (
        rule(lasting=120),
        "AB",
        "A! 60 B! 30 A. 60 B!",
        "alert@120",
    ),
    "it may do so while too few fail, too": (
        rule(lasting=60, locations=3),
        "ABC",
        "A! B! C! 70 B. C. 30 B! 10 A. 25 A! C!",
        "alert@60 recovery@130 alert@135",
    ),
    "not where there is a moment without failure": (rule(lasting=120), "AB", "A! 60 A. 1 B! 100", ""),
    "it is told again": (rule(every=600), "A", "A! 1500 A.", "alert@0 renotify@600 renotify@1200 recovery@1500"),
    "so often and no more": (rule(every=600, most=1), "A", "A! 6000 A.", "alert@0 renotify@600 recovery@6000"),
    "never where it may be repeated 0 times": (rule(every=600, most=0), "A", "A! 6000", "alert@0"),
    "a new alert is repeated anew": (
        rule(every=60, most=1),
        "A",
        "A! 90 A. A! 90",
        "alert@0 renotify@60 recovery@90 alert@90 renotify@150",
    ),
    "missed runs are no failures": (PLAIN, "A", "A? 60 A? 6000 A?", ""),
    "missed runs are no end": (PLAIN, "A", "A! 60 A? 60 A? 60 A.", "alert@0 recovery@180"),
    "no alert of a failure that nobody has seen last": (rule(lasting=120), "A", "A! 60 A? 60 A? 600", ""),
    "it is told once somebody sees it": (rule(lasting=120), "A", "A! 60 A? 60 A? 60 A!", "alert@180"),
    "nor where it was over when somebody saw again": (rule(lasting=120), "A", "A! 60 A? 60 A? 60 A. 600", ""),
    "a blind location is none of those that must fail": (rule(locations=2), "AB", "A! 60 A? 60 B! 600", ""),
    "it is once it sees": (rule(locations=2), "AB", "A! 60 A? 60 B! 60 A!", "alert@180"),
    "blindness ends no alert of two": (
        rule(locations=2),
        "AB",
        "A! B! 60 A? 60 B! 60 A? 60 A.",
        "alert@0 recovery@240",
    ),
    "no data": (rule(no_data=300), "A", "A. 60 A? 60 A? 240", "no_data@360"),
    "no data is told once": (rule(no_data=300), "A", "A? 300 A? 300 A? 3000", "no_data@300"),
    "data again": (rule(no_data=300), "A", "A? 400 A.", "no_data@300 no_data_recovery@400"),
    "data again that is an alert": (rule(no_data=300), "A", "A? 400 A!", "no_data@300 alert@400 no_data_recovery@400"),
    "a gap that is short is not told": (rule(no_data=300), "A", "A? 60 A? 60 A. 600", ""),
    "no data of each location by itself": (
        rule(no_data=300),
        "AB",
        "A? 60 B? 600 B. A.",
        "no_data@300 no_data@360 no_data_recovery@660 no_data_recovery@660",
    ),
    "no data is not told where nobody asked for it": (PLAIN, "A", "A? 6000 A? 6000", ""),
    "no data while there is an alert": (
        rule(no_data=300),
        "A",
        "A! 60 A? 300 A. ",
        "alert@0 no_data@360 recovery@360 no_data_recovery@360",
    ),
}


@pytest.mark.parametrize(("with_rule", "places", "script", "told"), CASES.values(), ids=CASES)
def test_what_is_told(with_rule: AlertRule, places: str, script: str, told: str) -> None:
    assert Story(with_rule, places).play(script) == told.split()


def test_a_result_that_comes_late_changes_nothing_that_is_newer() -> None:
    """A worker that was cut off pushes old failures: the target has been seen to be well since."""
    story = Story(PLAIN)
    story.play("A! 60 A.")
    story.run("A", Sight.FAILED, ago=45)
    story.run("A", Sight.BLIND, ago=50)
    assert story.told == ["alert@0", "recovery@60"]
    story.run("A", Sight.FAILED, ago=0)
    assert story.told[2:] == ["alert@60"]


def test_a_late_result_ends_blindness_only_where_it_is_of_the_newest_run() -> None:
    story = Story(rule(no_data=300))
    story.play("A? 60 A? 60 A? 30")
    story.run("A", Sight.PASSED, ago=90)  # of the second run
    story.play("150")
    assert story.told == ["no_data@300"]
    story.run("A", Sight.PASSED, ago=180)  # of the third one
    assert story.told == ["no_data@300", "no_data_recovery@300"]


def test_a_run_that_was_scheduled_before_the_clock_was_set_back_does_not_shut_out_the_next_ones() -> None:
    story = Story(PLAIN)
    story.run("A", Sight.FAILED, ago=-3600)
    story.play("60 A.")
    assert story.told == ["alert@0", "recovery@60"]


def test_a_run_that_ended_before_the_clock_was_set_back_has_failed_since_now() -> None:
    story = Story(rule(lasting=60))
    ahead = SeenRun(location="A", sight=Sight.FAILED, at=story.now + 3_600_000, scheduled_at=story.now)
    (place,) = story.places
    assert machine.see(place, ahead, now=story.now).failing_since == story.now


def test_an_older_gap_that_is_noted_late_does_not_make_a_newer_one_older() -> None:
    story = Story(rule(no_data=300))
    story.play("A? 60 A?")
    story.run("A", Sight.BLIND, ago=30)
    story.run("A", Sight.PASSED, ago=20)  # of a run between the two
    assert story.play("240") == ["no_data@300"]


def test_a_location_fails_since_its_first_failure_and_is_forgotten_with_its_end() -> None:
    story = Story(rule(every=60))
    story.play("A! 60 A! 30 A!")
    (place,) = story.places
    assert (place.failing_since, place.code, place.result) == (START, "X", "r")
    story.play("A.")
    assert story.places == (WatchedPlace(location="A", seen_at=story.now),)
    assert [one.since for one in story.decisions] == [START] * 3, "an alert, its repetition and its end"


def test_the_last_execution_of_a_run_counts_that_comes_after_it_was_given_up() -> None:
    story = Story(PLAIN)
    story.run("A", Sight.FAILED, ago=10)
    story.run("A", Sight.PASSED, ago=10)
    assert story.told == ["alert@0", "recovery@0"]


def test_what_a_silence_covers_is_told_when_it_ends() -> None:
    story = Story(PLAIN)
    story.muted_until = START + 100_000
    assert story.play("A! 50 A! 49") == []
    assert [one.told for one in story.decisions] == [False]
    assert story.play("60") == ["alert@100"]
    assert len({one.alert for one in story.decisions}) == 1
    assert story.play("A.") == ["alert@100", "recovery@159"]


def test_what_begins_and_ends_within_a_silence_is_told_to_nobody() -> None:
    story = Story(rule(every=10))
    story.muted_until = START + 100_000
    assert story.play("A! 50 A. 600") == []
    assert [one.kind for one in story.decisions] == [TransitionKind.ALERT, TransitionKind.RECOVERY]


def test_the_end_of_what_was_told_is_told_within_a_silence() -> None:
    story = Story(rule(every=60))
    story.play("A! 30")
    story.muted_until = START + 300_000
    assert story.play("200 A.") == ["alert@0", "recovery@230"], "but it is not repeated"


def test_a_repetition_waits_for_the_end_of_a_silence() -> None:
    story = Story(rule(every=60))
    story.play("A! 30")
    story.muted_until = START + 200_000
    story.judge("time")
    assert story.play("230") == ["alert@0", "renotify@200", "renotify@260"]


def test_no_data_waits_for_the_end_of_a_silence() -> None:
    story = Story(rule(no_data=60))
    story.muted_until = START + 200_000
    assert story.play("A? 100 A? 200") == ["no_data@200"]


def test_an_acknowledged_alert_is_not_repeated_and_its_end_is_told() -> None:
    story = Story(rule(every=60))
    story.play("A! 70")
    story.monitor = msgspec.structs.replace(story.monitor, acknowledged=True)
    assert story.play("600 A. 10 A! 60") == [
        "alert@0",
        "renotify@60",
        "recovery@670",
        "alert@680",
        "renotify@740",
    ]


def test_an_alert_that_nobody_watches_any_more_is_closed_and_not_recovered() -> None:
    story = Story(rule(no_data=60), "AB")
    story.play("A! B? 60")
    gone, story.places = story.places, ()
    story.judge("time", gone)
    assert story.told == ["alert@0", "no_data@60", "closed@60", "closed@60"]
    assert {one.alert for one in story.decisions[:2]} == {one.alert for one in story.decisions[2:]}
    assert (story.monitor, story.due_at) == (Monitor(), None)


def test_one_location_fewer_to_fail_is_told_by_the_rule_that_is_left() -> None:
    """Two of three failed; one that did is taken away, and two of two do not."""
    story = Story(rule(locations=2), "ABC")
    story.play("A! B! C.")
    gone, story.places = story.places[:1], story.places[1:]
    story.judge("time", gone)
    assert story.told == ["alert@0", "recovery@0"]


def test_a_rule_that_was_changed_holds_from_then_on() -> None:
    story = Story(rule(lasting=600))
    story.play("A! 60")
    story.rule = rule(lasting=30)
    story.judge("time")
    assert story.told == ["alert@60"]
    story.rule = rule(lasting=600)
    story.judge("time")
    assert story.told == ["alert@60", "recovery@60"], "the rule holds no longer"
