"""The decision of a test trigger: tables for people, and a property against a slow, plain model."""

from __future__ import annotations

import itertools
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.actions.remediation import Streak, TransitionRule, decide, looks_back_ms

MINUTE = 60


def starts_of(rule: TransitionRule, runs: str) -> str:
    """Runs a minute apart at one location, `-` failed and `+` passed → `!` where each starts the workflow, else `.`."""
    streak, starts, told = Streak(), list[int](), ""
    for minute, run in enumerate(runs):
        streak, due = decide(rule, streak, passed=run == "+", now=minute * MINUTE, starts=starts)
        starts += [minute * MINUTE] if due else []
        told += "!" if due else "."
    return told


@pytest.mark.parametrize(
    ("rule", "runs", "starts"),
    [
        (TransitionRule(on="failed"), "++---+-", "..!...!"),
        (TransitionRule(on="failed", after=2), "-+--+---", "...!..!."),
        (TransitionRule(on="failed", cooldown_ms=5 * MINUTE), "-+-+----", "!....!.."),
        (TransitionRule(on="failed", most=2, per_ms=10 * MINUTE), "-+-+-+-+-+-", "!.!.......!"),
        (TransitionRule(on="recovered"), "+++-+-+", "....!.!"),
        (TransitionRule(on="recovered", after=2), "-+--+---++", "....!...!."),
        (TransitionRule(on="recovered", cooldown_ms=4 * MINUTE), "-+-+++++", ".!...!.."),
        (TransitionRule(on="recovered", after=2, cooldown_ms=7 * MINUTE), "--+----+-+", "..!......."),
        (TransitionRule(on="recovered", after=2, cooldown_ms=4 * MINUTE), "--+--+--+", "..!.....!"),
    ],
)
def test_a_transition_starts_one_run(rule: TransitionRule, runs: str, starts: str) -> None:
    assert starts_of(rule, runs) == starts


rules = st.builds(
    TransitionRule,
    on=st.sampled_from(["failed", "recovered"]),
    after=st.integers(1, 4),
    cooldown_ms=st.sampled_from([0, 1, 3 * MINUTE, 7 * MINUTE]),
    most=st.integers(1, 3),
    per_ms=st.sampled_from([0, 5 * MINUTE, 9 * MINUTE]),
)


@given(rules, st.text("+-", max_size=60))
def test_once_for_each_transition_and_never_too_often(rule: TransitionRule, runs: str) -> None:
    told = starts_of(rule, runs)
    at = [minute * MINUTE for minute, mark in enumerate(told) if mark == "!"]
    assert all(later - earlier >= rule.cooldown_ms for earlier, later in itertools.pairwise(at))
    if rule.per_ms:
        assert all(sum(1 for other in at if moment - rule.per_ms < other <= moment) <= rule.most for moment in at)
    wanted: Literal["-", "+"] = "-" if rule.on == "failed" else "+"
    for minute in (moment // MINUTE for moment in at):
        assert runs[minute] == wanted
        before = runs[: minute + 1] if wanted == "-" else runs[:minute].rstrip("+")
        failures = len(before) - len(before.rstrip("-"))
        assert failures >= rule.after
    if not rule.cooldown_ms and not rule.per_ms:
        assert len(at) == transitions(runs, rule)


def transitions(runs: str, rule: TransitionRule) -> int:
    """Stretches of enough failures; for `recovered`, those that ended."""
    stretches = [len(stretch) for stretch in runs.split("+") if stretch]
    enough = sum(1 for length in stretches if length >= rule.after)
    open_end = runs.endswith("-") and stretches[-1] >= rule.after
    return enough - open_end if rule.on == "recovered" else enough


@given(rules, st.text("+-", max_size=60))
def test_starts_of_longer_ago_than_it_looks_back_change_nothing(rule: TransitionRule, runs: str) -> None:
    streak, starts = Streak(), list[int]()
    for minute, run in enumerate(runs):
        now = minute * MINUTE
        recent = [at for at in starts if at > now - looks_back_ms(rule)]
        found = decide(rule, streak, passed=run == "+", now=now, starts=recent)
        assert found == decide(rule, streak, passed=run == "+", now=now, starts=starts)
        streak, due = found
        starts += [now] if due else []
