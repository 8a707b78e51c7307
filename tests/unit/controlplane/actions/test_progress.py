"""A run's way through its steps, as a table; and that nothing which may have happened is ever repeated."""

from __future__ import annotations

import itertools

import pytest

from controlplane.actions.progress import RunDone, StepDue, StepEnd, corrected, following
from controlplane.actions.states import ENDED, TaskEffect, TaskState
from controlplane.actions.workflows import StepRetry, WorkflowStep

PLAIN = WorkflowStep(name="a", action="x.y")
RETRIED = WorkflowStep(name="a", action="x.y", retry=StepRetry(times=2, wait_s=3))
TOLERATED = WorkflowStep(name="a", action="x.y", on_failure="continue")
BOTH = WorkflowStep(name="a", action="x.y", on_failure="continue", retry=StepRetry(times=1))
READ, REPEAT, ONCE = TaskEffect
S = TaskState


@pytest.mark.parametrize(
    ("step", "last", "attempt", "state", "effect", "cancelled", "expected"),
    [
        (PLAIN, False, 1, S.SUCCEEDED, ONCE, False, StepDue(1, 1)),
        (PLAIN, True, 1, S.SUCCEEDED, ONCE, False, RunDone(S.SUCCEEDED)),
        (PLAIN, True, 1, S.SUCCEEDED, ONCE, True, RunDone(S.SUCCEEDED)),
        (PLAIN, False, 1, S.SUCCEEDED, ONCE, True, RunDone(S.CANCELLED)),
        (PLAIN, False, 1, S.FAILED, READ, False, RunDone(S.FAILED)),
        (PLAIN, False, 1, S.EXPIRED, READ, False, RunDone(S.EXPIRED)),
        (PLAIN, False, 1, S.LOST, READ, False, RunDone(S.LOST)),
        (RETRIED, False, 1, S.FAILED, READ, False, StepDue(0, 2, 3000)),
        (RETRIED, False, 2, S.EXPIRED, REPEAT, False, StepDue(0, 3, 3000)),
        (RETRIED, False, 3, S.FAILED, READ, False, RunDone(S.FAILED)),
        (RETRIED, False, 1, S.FAILED, ONCE, False, RunDone(S.FAILED)),
        (RETRIED, False, 1, S.FAILED, READ, True, RunDone(S.CANCELLED)),
        (TOLERATED, False, 1, S.FAILED, ONCE, False, StepDue(1, 1)),
        (TOLERATED, True, 1, S.FAILED, ONCE, False, RunDone(S.SUCCEEDED)),
        (BOTH, False, 1, S.FAILED, READ, False, StepDue(0, 2, 0)),
        (BOTH, False, 2, S.FAILED, READ, False, StepDue(1, 1)),
        (BOTH, False, 1, S.FAILED, ONCE, False, StepDue(1, 1)),
        (BOTH, False, 1, S.UNKNOWN, READ, False, RunDone(S.UNKNOWN)),
        (BOTH, True, 1, S.CANCELLED, READ, False, RunDone(S.CANCELLED)),
    ],
)
def test_what_follows_a_step(
    step: WorkflowStep,
    last: bool,
    attempt: int,
    state: TaskState,
    effect: TaskEffect,
    cancelled: bool,
    expected: StepDue | RunDone,
) -> None:
    steps = [step] if last else [step, PLAIN]
    end = StepEnd(position=0, attempt=attempt, state=state, effect=effect)
    assert following(steps, end, cancelled=cancelled) == expected


def test_what_may_have_happened_is_never_repeated_and_unknown_ends_every_run() -> None:
    every = itertools.product(
        (PLAIN, RETRIED, TOLERATED, BOTH), ENDED, TaskEffect, (1, 2, 3), (True, False), (True, False)
    )
    for step, state, effect, attempt, last, cancelled in every:
        steps = [step] if last else [step, PLAIN]
        end = StepEnd(position=0, attempt=attempt, state=state, effect=effect)
        found = following(steps, end, cancelled=cancelled)
        repeats = isinstance(found, StepDue) and found.position == 0
        assert not (repeats and (effect is ONCE or state in (S.UNKNOWN, S.CANCELLED, S.SUCCEEDED) or cancelled))
        if state is S.UNKNOWN:
            assert found == RunDone(S.UNKNOWN)
        if cancelled:
            assert isinstance(found, RunDone)


@pytest.mark.parametrize(
    ("position", "before", "truth", "expected"),
    [
        (1, S.UNKNOWN, S.SUCCEEDED, S.SUCCEEDED),
        (0, S.UNKNOWN, S.SUCCEEDED, S.FAILED),
        (0, S.EXPIRED, S.SUCCEEDED, S.EXPIRED),
        (0, S.UNKNOWN, S.FAILED, S.FAILED),
        (0, S.UNKNOWN, S.CANCELLED, S.CANCELLED),
        (1, S.SUCCEEDED, S.FAILED, S.SUCCEEDED),
    ],
)
def test_a_late_truth_starts_nothing(position: int, before: TaskState, truth: TaskState, expected: TaskState) -> None:
    assert corrected([PLAIN, PLAIN], position, before, truth) is expected
