"""The monitor of a test: a pure state machine over its runs and the time, which decides what is an alert and what ends one.

A test is in alert when some location has been failing throughout `failure_ms`, and at one moment of that time `locations` of them
were. Failing is what the newest run says that says anything of the target. A run that was missed or whose worker was in trouble
while it failed says nothing: it makes its location blind, and a blind location begins no alert and ends none. Times are epoch
milliseconds of a clock that does not step. What keeps alerts from being told (*muted*) changes no state but whether it was told:
what is still there when the silence ends is told then, and the end of what was told always is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, Literal

import msgspec

from controlplane.alerts.rule import AlertRule
from controlplane.alerts.transitions import TransitionKind

NOT_MUTED: Final = 0
"""The end of no silence."""
WITHOUT_END: Final = 1 << 62
"""The end of a silence that holds until somebody ends it."""

JudgementCause = Literal["run", "time"]
"""The two reasons to judge: a run has ended, or time has passed and settings may have changed."""


class Sight(Enum):
    """The meanings of a run: the target did as it should, it did not, or the run says nothing of the target."""

    PASSED = "passed"
    FAILED = "failed"
    BLIND = "blind"


class SeenRun(msgspec.Struct, frozen=True, kw_only=True):
    """A decided run of a test at *location*, noted *at*, for the moment *scheduled_at*."""

    location: str
    sight: Sight
    at: int
    scheduled_at: int
    code: str = ""
    message: str = ""
    result: str = ""
    reason: str = ""


class WatchedPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A location of a test. *seen_at* is the scheduled time of its newest run that says anything of the target.

    *failing_since*, *blind_since* and *no_data* (the id of the transition that told of the blindness) are None while it is not.
    """

    location: str
    seen_at: int | None = None
    failing_since: int | None = None
    code: str = ""
    message: str = ""
    result: str = ""
    blind_since: int | None = None
    blind_at: int | None = None
    reason: str = ""
    no_data: str | None = None

    @property
    def is_in_trouble(self) -> bool:
        """True: there is something to remember of it."""
        return self.failing_since is not None or self.blind_since is not None or self.no_data is not None


class Monitor(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a test. Some location has been failing without a break since *failing_since*; *reached_at* is the last known
    moment of that at which there were enough of them. *alert* is the id of the alert that goes on since *alert_at*, *told* if it
    was notified, *notified_at* when last.
    """

    failing_since: int | None = None
    reached_at: int | None = None
    alert: str | None = None
    alert_at: int | None = None
    told: bool = False
    notified_at: int | None = None
    renotified: int = 0
    acknowledged: bool = False


class AlertDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A transition to be written: of the alert with the id *alert*. *told* is false where nobody is notified of it.

    *since* is when what it tells of began. *place* is the blind one, of the kinds that tell of one location.
    """

    kind: TransitionKind
    alert: str
    since: int
    told: bool
    renotified: int = 0
    place: WatchedPlace | None = None


class MonitorVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome: the states that follow, the decisions in their order, and when time alone may change more (None: never)."""

    monitor: Monitor
    places: tuple[WatchedPlace, ...]
    decisions: tuple[AlertDecision, ...] = ()
    due_at: int | None = None


def see(place: WatchedPlace, run: SeenRun, *, now: int) -> WatchedPlace:
    """The place after *run*. A run that is older than the newest one that it knows of changes nothing: results come late."""
    at = min(run.scheduled_at, now)  # what was scheduled before the clock was set back lies ahead
    if place.seen_at is not None and at < place.seen_at:
        return place
    if run.sight is Sight.BLIND:
        return _blinded(place, run, at)
    failed = run.sight is Sight.FAILED
    since = min(run.at, now) if place.failing_since is None else place.failing_since
    sighted = place.blind_at is None or at >= place.blind_at
    return msgspec.structs.replace(
        place,
        seen_at=at,
        failing_since=since if failed else None,
        code=run.code if failed else "",
        message=run.message if failed else "",
        result=run.result if failed else "",
        blind_since=None if sighted else place.blind_since,
        blind_at=None if sighted else place.blind_at,
        reason="" if sighted else place.reason,
    )


def _blinded(place: WatchedPlace, run: SeenRun, at: int) -> WatchedPlace:
    return msgspec.structs.replace(
        place,
        blind_since=run.at if place.blind_since is None else place.blind_since,
        blind_at=at if place.blind_at is None else max(at, place.blind_at),
        reason=run.reason,
    )


def take(
    monitor: Monitor, places: Sequence[WatchedPlace], run: SeenRun, rule: AlertRule, *, now: int
) -> tuple[Monitor, tuple[WatchedPlace, ...]]:
    """The states after *run*, to be judged next. What was reached until now is noted: after the run it may be no longer."""
    if len(_counted(monitor, places)) >= _wanted(rule, places):
        monitor = msgspec.structs.replace(monitor, reached_at=now)
    return monitor, tuple(see(place, run, now=now) if place.location == run.location else place for place in places)


def judge(
    monitor: Monitor,
    places: Sequence[WatchedPlace],
    rule: AlertRule,
    *,
    now: int,
    cause: JudgementCause,
    new_id: Callable[[], str],
    gone: Sequence[WatchedPlace] = (),
    muted_until: int = NOT_MUTED,
) -> MonitorVerdict:
    """Decide on a test that is watched at *places*, and at *gone* no longer.

    MonitorVerdict again with the states that follow, at the same time and without anything new, it decides nothing.
    """
    judging = _Judging(rule, now, cause, new_id, muted_until)
    counted = _counted_on(monitor, places, rule, now)
    following = judging.alerted(counted, holds=_holds(counted, places, rule, now))
    seen = tuple(map(judging.told_of_blindness, places))
    closed = [_of_blindness(place, TransitionKind.CLOSED) for place in gone if place.no_data is not None]
    return MonitorVerdict(
        monitor=following,
        places=seen,
        decisions=(*judging.decisions, *closed),
        due_at=_due(following, seen, rule, now, muted_until),
    )


class _Judging:
    """One judgement: what it goes by, and the *decisions* so far."""

    def __init__(
        self, rule: AlertRule, now: int, cause: JudgementCause, new_id: Callable[[], str], muted_until: int
    ) -> None:
        self.decisions: list[AlertDecision] = []
        self._rule = rule
        self._now = now
        self._cause = cause
        self._new_id = new_id
        self._muted = muted_until > now

    def alerted(self, monitor: Monitor, *, holds: bool) -> Monitor:
        """The monitor after what follows from its rule, which *holds* or not."""
        if monitor.alert is None:
            return self._begun(monitor) if holds else monitor
        if not holds:
            return self._ended(monitor)
        if self._muted:
            return monitor
        if not monitor.told:
            return self._told(monitor, TransitionKind.ALERT)
        if _is_to_be_repeated(monitor, self._rule) and self._now >= _next_repetition(monitor, self._rule):
            repeated = msgspec.structs.replace(monitor, renotified=monitor.renotified + 1)
            return self._told(repeated, TransitionKind.RENOTIFY)
        return monitor

    def told_of_blindness(self, place: WatchedPlace) -> WatchedPlace:
        """The place after the end of a blindness that was told, or after one is told that has lasted for long enough."""
        if place.no_data is not None and place.blind_since is None:
            self.decisions.append(_of_blindness(place, TransitionKind.NO_DATA_RECOVERY))
            return msgspec.structs.replace(place, no_data=None)
        due = _no_data_at(place, self._rule)
        if due is None or self._now < due or self._muted:
            return place
        told = msgspec.structs.replace(place, no_data=self._new_id())
        self.decisions.append(_of_blindness(told, TransitionKind.NO_DATA))
        return told

    def _begun(self, monitor: Monitor) -> Monitor:
        begun = msgspec.structs.replace(monitor, alert=self._new_id(), alert_at=self._now)
        if not self._muted:
            return self._told(begun, TransitionKind.ALERT)
        self._decide(begun, TransitionKind.ALERT, told=False)
        return begun

    def _told(self, monitor: Monitor, kind: TransitionKind) -> Monitor:
        self._decide(monitor, kind, told=True)
        return msgspec.structs.replace(monitor, told=True, notified_at=self._now)

    def _ended(self, monitor: Monitor) -> Monitor:
        """End the alert: as recovered where a run says so or time does, as closed where nobody watches what failed any more."""
        recovered = self._cause == "run" or monitor.failing_since is not None
        self._decide(monitor, TransitionKind.RECOVERY if recovered else TransitionKind.CLOSED, told=monitor.told)
        return Monitor(failing_since=monitor.failing_since, reached_at=monitor.reached_at)

    def _decide(self, monitor: Monitor, kind: TransitionKind, *, told: bool) -> None:
        assert monitor.alert is not None, "no decision on an alert without one"
        since = self._now if monitor.alert_at is None else monitor.alert_at
        decision = AlertDecision(kind=kind, alert=monitor.alert, since=since, told=told, renotified=monitor.renotified)
        self.decisions.append(decision)


def _counted(monitor: Monitor, places: Sequence[WatchedPlace]) -> list[WatchedPlace]:
    """The locations that count as failing: to begin an alert those that see, to go on with one the blind ones, too."""
    return [
        place
        for place in places
        if place.failing_since is not None and (place.blind_since is None or monitor.alert is not None)
    ]


def _wanted(rule: AlertRule, places: Sequence[WatchedPlace]) -> int:
    """The number of failing locations that the rule asks for: all of them where it asks for more than there are."""
    return min(rule.locations, max(1, len(places)))


def _counted_on(monitor: Monitor, places: Sequence[WatchedPlace], rule: AlertRule, now: int) -> Monitor:
    failing = [place.failing_since for place in places if place.failing_since is not None]
    if not failing:
        return msgspec.structs.replace(monitor, failing_since=None, reached_at=None)
    since = min(failing) if monitor.failing_since is None else monitor.failing_since
    reached = len(_counted(monitor, places)) >= _wanted(rule, places)
    return msgspec.structs.replace(monitor, failing_since=since, reached_at=now if reached else monitor.reached_at)


def _holds(monitor: Monitor, places: Sequence[WatchedPlace], rule: AlertRule, now: int) -> bool:
    """Tell if the rule is true *now*."""
    counted = _counted(monitor, places)
    if monitor.failing_since is None or not counted or now - monitor.failing_since < rule.failure_ms:
        return False
    reached = monitor.reached_at is not None and now - monitor.reached_at < rule.failure_ms
    return reached or len(counted) >= _wanted(rule, places)


def _is_to_be_repeated(monitor: Monitor, rule: AlertRule) -> bool:
    if monitor.acknowledged or not rule.renotify_ms:
        return False
    return rule.renotify_most is None or monitor.renotified < rule.renotify_most


def _next_repetition(monitor: Monitor, rule: AlertRule) -> int:
    return (monitor.notified_at or 0) + rule.renotify_ms


def _of_blindness(place: WatchedPlace, kind: TransitionKind) -> AlertDecision:
    """A decision on a blindness that has been told."""
    assert place.no_data is not None, "no decision on a blindness without its id"
    since = place.blind_since or place.seen_at or 0
    return AlertDecision(kind=kind, alert=place.no_data, since=since, told=True, place=place)


def _no_data_at(place: WatchedPlace, rule: AlertRule) -> int | None:
    """The moment at which the blindness of a place is told, None where it is not to be."""
    if place.blind_since is None or place.no_data is not None or not rule.no_data_ms:
        return None
    return place.blind_since + rule.no_data_ms


def _due(monitor: Monitor, places: Sequence[WatchedPlace], rule: AlertRule, now: int, muted_until: int) -> int | None:
    """The next moment at which time alone may change anything; `judge` has done what was due until *now*."""
    moments = [
        max(moment, muted_until) for place in places if (moment := _no_data_at(place, rule)) is not None
    ]  # told late where it was muted
    if monitor.alert is None:
        if monitor.failing_since is not None:
            moments.append(monitor.failing_since + rule.failure_ms)
    else:
        if monitor.reached_at is not None and len(_counted(monitor, places)) < _wanted(rule, places):
            moments.append(monitor.reached_at + rule.failure_ms)
        if not monitor.told:
            moments.append(muted_until)
        elif _is_to_be_repeated(monitor, rule):
            moments.append(max(_next_repetition(monitor, rule), muted_until))
    return min((moment for moment in moments if now < moment < WITHOUT_END), default=None)
