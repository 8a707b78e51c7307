"""Stories of a monitor: runs and time as a script has them, and what is told, without a store."""

from __future__ import annotations

from itertools import count

from controlplane.alerts import monitor as machine
from controlplane.alerts.monitor import (
    NOT_MUTED,
    AlertDecision,
    JudgementCause,
    Monitor,
    MonitorVerdict,
    SeenRun,
    Sight,
    WatchedPlace,
)
from controlplane.alerts.rule import AlertRule

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

    def judge(self, cause: JudgementCause, gone: tuple[WatchedPlace, ...] = ()) -> None:
        judged = self._judged(cause, gone)
        self.monitor, self.places, self.due_at = judged.monitor, judged.places, judged.due_at
        at = (self.now - START) // 1000
        self.told += [f"{one.kind.value}@{at}" for one in judged.decisions if one.told]
        self.decisions += judged.decisions
        assert self._judged(cause, ()).decisions == (), "a second look at the same moment decides nothing"
        assert judged.due_at is None or judged.due_at > self.now

    def _judged(self, cause: JudgementCause, gone: tuple[WatchedPlace, ...]) -> MonitorVerdict:
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
