"""The monitor of a test: cases from the reference system's documentation, and properties of every sequence of runs.

The rule (docs: synthetics/guide/how-synthetics-monitors-trigger-alerts): an alert begins when some location has been failing
throughout the last `min_failure_duration`, and at one moment of it `min_location_failed` of them were; it ends when that is no
longer true. `_rule` says the same again, second by second, without the machine's shortcuts.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.alerts import monitor as machine
from controlplane.alerts.monitor import (
    NOT_MUTED,
    AlertDecision,
    Cause,
    Monitor,
    MonitorVerdict,
    SeenRun,
    Sight,
    WatchedPlace,
)
from controlplane.alerts.rule import AlertRule
from controlplane.alerts.transitions import TransitionKind

START = 1_000_000
"""Milliseconds at the beginning of a story; its times are seconds after it."""
SIGHTS = {"!": Sight.FAILED, ".": Sight.PASSED, "?": Sight.BLIND}


class Story:
    """A test at some locations, and what is told of it. The monitor is judged after each run, and when it is due."""

    def __init__(self, rule: AlertRule, places: str = "A") -> None:
        self.rule = rule
        self.monitor = Monitor()
        self.places = tuple(WatchedPlace(location=name) for name in places)
        self.due_at: int | None = None
        self.muted_until = NOT_MUTED
        self.now = START
        self.told: list[str] = []
        self.decisions: list[AlertDecision] = []
        self._ids = map(str, count())

    def run(self, location: str, sight: Sight, *, ago: int = 0) -> None:
        """A run of *location* ends now, that was scheduled *ago* seconds before."""
        scheduled_at = self.now - ago * 1000
        run = SeenRun(location=location, sight=sight, at=self.now, scheduled_at=scheduled_at, code="X", result="r")
        self.monitor, self.places = machine.take(self.monitor, self.places, run, self.rule, now=self.now)
        self.judge("run")

    def judge(self, cause: Cause, gone: tuple[WatchedPlace, ...] = ()) -> None:
        judged = self._judged(cause, gone)
        self.monitor, self.places, self.due_at = judged.monitor, judged.places, judged.due_at
        at = (self.now - START) // 1000
        self.told += [f"{one.kind.value}@{at}" for one in judged.decisions if one.told]
        self.decisions += judged.decisions
        assert self._judged(cause, ()).decisions == (), "a second look at the same moment decides nothing"
        assert judged.due_at is None or judged.due_at > self.now

    def _judged(self, cause: Cause, gone: tuple[WatchedPlace, ...]) -> MonitorVerdict:
        return machine.judge(
            self.monitor,
            self.places,
            self.rule,
            now=self.now,
            cause=cause,
            new_id=lambda: next(self._ids),
            gone=gone,
            muted_until=self.muted_until,
        )

    def let_pass(self, seconds: int) -> None:
        until = self.now + seconds * 1000
        while self.due_at is not None and self.due_at <= until:
            self.now = self.due_at
            self.judge("time")
        self.now = until

    def play(self, script: str) -> list[str]:
        """Play `A! 60 B. 30`: A fails, a minute passes, B passes, half of one passes. `?` is a run that says nothing."""
        for word in script.split():
            if word.isdigit():
                self.let_pass(int(word))
            else:
                self.run(word[0], SIGHTS[word[1]])
        return self.told

    @property
    def is_alert(self) -> bool:
        return self.monitor.alert is not None


def rule(
    *, lasting: int = 0, locations: int = 1, every: int = 0, most: int | None = None, no_data: int = 0
) -> AlertRule:
    """A rule in seconds."""
    return AlertRule(lasting * 1000, locations, every * 1000, most, no_data * 1000)


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
    assert story.play("A? 300") == ["no_data@200"]


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


NAMES = "ABC"
EVENTS = st.lists(st.tuples(st.integers(1, 40), st.sampled_from(NAMES), st.sampled_from("!.!.!.?")), max_size=40)
RULES = st.builds(
    rule,
    lasting=st.sampled_from([0, 0, 1, 30, 60]),
    locations=st.integers(1, 4),
    every=st.sampled_from([0, 0, 7, 50]),
    most=st.sampled_from([None, 0, 2]),
    no_data=st.sampled_from([0, 20]),
)


def _seconds(story: Story, events: list[tuple[int, str, str]]) -> Iterator[dict[str, bool]]:
    """Play *events*, each so many seconds after the one before; which locations fail at each second."""
    failing = dict.fromkeys((place.location for place in story.places), False)
    for wait, name, sight in events:
        for _ in range(wait - 1):
            yield dict(failing)
            story.let_pass(1)
        yield dict(failing)
        story.now += 1000  # to the second of the run, which comes before whatever is due in it
        story.run(name, SIGHTS[sight])
        if sight != "?":
            failing[name] = sight == "!"
    for _ in range(100):
        yield dict(failing)
        story.let_pass(1)


def _rule(history: list[dict[str, bool]], lasting: int, locations: int) -> bool:
    """The documented rule at the newest of the seconds in *history*."""
    if len(history) <= lasting:
        return False
    seen = history[-lasting - 1 :]
    wanted = min(locations, len(NAMES))
    return all(any(second.values()) for second in seen) and any(sum(second.values()) >= wanted for second in seen)


@settings(max_examples=150)
@given(RULES, EVENTS)
def test_an_alert_goes_on_exactly_while_the_documented_rule_is_true(
    with_rule: AlertRule, events: list[tuple[int, str, str]]
) -> None:
    story = Story(with_rule, NAMES)
    history: list[dict[str, bool]] = []
    for second in _seconds(story, [event for event in events if event[2] != "?"]):
        history.append(second)
        expected = _rule(history, with_rule.failure_ms // 1000, with_rule.locations)
        assert story.is_alert is expected, (len(history), story.told)


@settings(max_examples=150)
@given(RULES, EVENTS, st.lists(st.tuples(st.integers(0, 300), st.integers(1, 200)), max_size=2))
def test_no_sequence_tells_a_failure_twice_or_its_end_twice_or_one_without_the_other(
    with_rule: AlertRule, events: list[tuple[int, str, str]], silences: list[tuple[int, int]]
) -> None:
    story = Story(with_rule, NAMES)
    for number, _ in enumerate(_seconds(story, events)):
        ends = [start + length for start, length in silences if start <= number < start + length]
        story.muted_until = START + max(ends) * 1000 if ends else NOT_MUTED
        if any(number in (start, start + length) for start, length in silences):
            story.judge("time")  # as whoever makes or ends a silence has it done
    told = [one for one in story.decisions if one.told]
    _assert_pairs(told, TransitionKind.ALERT, TransitionKind.RECOVERY)
    _assert_pairs(told, TransitionKind.NO_DATA, TransitionKind.NO_DATA_RECOVERY)
    for one in told:
        if one.kind is TransitionKind.RENOTIFY:
            assert with_rule.renotify_most is None or one.renotified <= with_rule.renotify_most
    if all(place.failing_since is None for place in story.places):
        assert not story.is_alert, "whatever happened, nothing fails any more"
    elif story.is_alert:
        assert story.monitor.told or story.muted_until > story.now, "what goes on is told, unless it is silenced"


def _assert_pairs(told: list[AlertDecision], begins: TransitionKind, ends: TransitionKind) -> None:
    """Each end follows its one beginning; at most the last beginning of a location is without one."""
    begun: dict[str, str] = {}
    for one in told:
        if one.kind is begins:
            assert one.alert not in begun, "told twice"
            begun[one.alert] = "begun"
        elif one.kind is ends:
            assert begun.get(one.alert) == "begun", "an end of what was not told, or a second one"
            begun[one.alert] = "ended"
        elif one.kind is TransitionKind.RENOTIFY and begins is TransitionKind.ALERT:
            assert begun[one.alert] == "begun", "a repetition of what is over"
