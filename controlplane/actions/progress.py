"""The way of a run through the steps of its workflow: what follows the end of a step's task, as one pure decision.

`unknown` and a cancelled run always end it, whatever a step says; what may have happened is never repeated here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controlplane.actions.states import TaskEffect, TaskState
from controlplane.actions.workflows import WorkflowStep

_FAILED = frozenset({TaskState.FAILED, TaskState.LOST, TaskState.EXPIRED})
_REPEATABLE = frozenset({TaskEffect.READ, TaskEffect.REPEAT})


@dataclass(frozen=True, slots=True)
class StepDue:
    """A task that is to be made: attempt *attempt*, from 1, of the step at *position*, from 0, after *wait_ms*."""

    position: int
    attempt: int
    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class RunDone:
    """The end of a run, in one of the states in which a task ends."""

    state: TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnd:
    """A step's task that has ended, as which *attempt*, from 1."""

    position: int
    attempt: int
    state: TaskState
    effect: TaskEffect


def following(steps: Sequence[WorkflowStep], end: StepEnd, *, cancelled: bool) -> StepDue | RunDone:
    """Decide what follows *end*. *cancelled*: nobody wants the run any more."""
    step, last = steps[end.position], end.position == len(steps) - 1
    if end.state is TaskState.SUCCEEDED:
        if last:
            return RunDone(TaskState.SUCCEEDED)
        return RunDone(TaskState.CANCELLED) if cancelled else StepDue(end.position + 1, 1)
    if end.state not in _FAILED:
        return RunDone(end.state)
    if cancelled:
        return RunDone(TaskState.CANCELLED)
    if step.retry is not None and end.attempt <= step.retry.times and end.effect in _REPEATABLE:
        return StepDue(end.position, end.attempt + 1, step.retry.wait_s * 1000)
    if step.on_failure == "continue":
        return RunDone(TaskState.SUCCEEDED) if last else StepDue(end.position + 1, 1)
    return RunDone(end.state)


def corrected(steps: Sequence[WorkflowStep], position: int, before: TaskState, truth: TaskState) -> TaskState:
    """The state of a run that had ended as *before* once the true end of its last task is known.

    What ended stays ended: where steps are left, a late success makes it failed, and `run retry` goes on.
    """
    if before is TaskState.SUCCEEDED:
        return before
    if truth is TaskState.SUCCEEDED and position < len(steps) - 1:
        return TaskState.FAILED if before is TaskState.UNKNOWN else before
    return truth
