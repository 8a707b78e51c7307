"""The monitor of a test: properties of every sequence of runs. `DocumentedRule` says the rule again, without its shortcuts."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.alerts.monitor import NOT_MUTED, AlertDecision
from controlplane.alerts.rule import AlertRule
from controlplane.alerts.transitions import TransitionKind
from tests.support.stories import SIGHTS, START, Story, rule

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


def _seconds(story: Story, events: list[tuple[int, str, str]]) -> Iterator[dict[str, str]]:
    """Play *events*, each so many seconds after the one before; the locations at each second, with what is known of each.

    That is `!` where the newest run that says anything has failed, and `?` where a newer one says nothing.
    """
    known = {place.location: "" for place in story.places}
    for wait, name, sight in events:
        for _ in range(wait - 1):
            yield dict(known)
            story.let_pass(1)
        yield dict(known)
        story.now += 1000  # to the second of the run, which comes before whatever is due in it
        story.run(name, SIGHTS[sight])
        known[name] = known[name].strip("?") + "?" if sight == "?" else sight.strip(".")
    for _ in range(100):
        yield dict(known)
        story.let_pass(1)


class DocumentedRule:
    """The documented rule, judged each second on the whole of its window.

    A blind location goes on failing, and is none of those that are counted until there is an alert.
    """

    def __init__(self, lasting: int, locations: int) -> None:
        self._lasting, self._wanted = lasting, min(locations, len(NAMES))
        self._history: list[tuple[bool, bool]] = []
        """Of each second: if some location failed, and if enough of those that counted did."""
        self.is_alert = False

    def judge(self, known: dict[str, str]) -> bool:
        """Tell if there is an alert in the next second, in which *known* is the state of locations."""
        failing = [state for state in known.values() if "!" in state]
        counted = failing if self.is_alert else [state for state in failing if "?" not in state]
        self._history.append((bool(failing), len(counted) >= self._wanted))
        window = self._history[-self._lasting - 1 :]
        throughout = len(self._history) > self._lasting and all(failed for failed, _ in window)
        self.is_alert = bool(counted) and throughout and any(enough for _, enough in window)
        if self.is_alert:  # since this second, in which the blind ones count too
            self._history[-1] = (bool(failing), len(failing) >= self._wanted)
        return self.is_alert


@settings(max_examples=200)
@given(RULES, EVENTS)
def test_an_alert_goes_on_exactly_while_the_documented_rule_is_true(
    with_rule: AlertRule, events: list[tuple[int, str, str]]
) -> None:
    story = Story(with_rule, NAMES)
    documented = DocumentedRule(with_rule.failure_ms // 1000, with_rule.locations)
    for number, known in enumerate(_seconds(story, events)):
        assert story.is_alert is documented.judge(known), (number, story.told)


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
