"""The life of a task as one table: which event moves it from which state to which.

`read` and `repeat` are carried out at least once, `once` at most once: an event that leaves it open whether a `once` action began
never leads back to `queued`, and a doubtful end is `unknown` until a true result or a person says more. Nothing here repeats what
may have happened.
"""

from __future__ import annotations

from enum import StrEnum

MAX_SILENT = 4
"""Deliveries of a task whose instance fell silent: with the fourth it is lost, as a fifth would more likely be its victim."""
DOUBT_MS = 10 * 60 * 1000
"""Milliseconds for which the instance that holds a doubtful task may come back and tell."""


class TaskEffect(StrEnum):
    """The effect of an action: none, the same when done twice, or one that must not happen twice."""

    READ = "read"
    REPEAT = "repeat"
    ONCE = "once"


class TaskState(StrEnum):
    """The state of a task. `cancelling` is leased and not wanted any more; `lost` is our own failure, after `MAX_SILENT`."""

    QUEUED = "queued"
    LEASED = "leased"
    CANCELLING = "cancelling"
    DOUBTFUL = "doubtful"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    EXPIRED = "expired"


class TaskEvent(StrEnum):
    """The events of a task's life."""

    GIVEN = "given"
    """In a reply to a pull."""
    RELEASED = "released"
    """Given back by name: it was never started."""
    MISSING = "missing"
    """Not in the complete `holding` of the living instance that had it: it was never started."""
    SILENT = "silent"
    """Its instance has not been heard for the time of a lease."""
    NEVER_BEGUN = "never_begun"
    """The journal of its instance, read by the next one, has no start of it."""
    BEGUN = "begun"
    """The journal of its instance has a start of it and no end."""
    LATE = "late"
    """The time by which it must have started has passed."""
    FORSAKEN = "forsaken"
    """Nobody came back to a doubtful task in `DOUBT_MS`."""
    CANCEL = "cancel"
    """Somebody wants it no more."""
    RESULT_SUCCEEDED = "result_succeeded"
    RESULT_FAILED = "result_failed"
    RESULT_CANCELLED = "result_cancelled"
    RESULT_UNKNOWN = "result_unknown"
    RESOLVED_SUCCEEDED = "resolved_succeeded"
    """A person says how it ended."""
    RESOLVED_FAILED = "resolved_failed"


FINAL = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED})
"""States that no later event changes."""
ENDED = FINAL | {TaskState.UNKNOWN, TaskState.LOST, TaskState.EXPIRED}
"""States in which nobody works on it. The last three give way to a true result."""
HELD = frozenset({TaskState.LEASED, TaskState.CANCELLING})

_S, _E = TaskState, TaskEvent
_MOVES = {
    (_S.QUEUED, _E.GIVEN): _S.LEASED,
    (_S.QUEUED, _E.LATE): _S.EXPIRED,
    (_S.QUEUED, _E.CANCEL): _S.CANCELLED,
    (_S.LEASED, _E.RELEASED): _S.QUEUED,
    (_S.LEASED, _E.MISSING): _S.QUEUED,
    (_S.LEASED, _E.NEVER_BEGUN): _S.QUEUED,
    (_S.LEASED, _E.BEGUN): _S.UNKNOWN,
    (_S.LEASED, _E.CANCEL): _S.CANCELLING,
    (_S.CANCELLING, _E.RELEASED): _S.CANCELLED,
    (_S.CANCELLING, _E.MISSING): _S.CANCELLED,
    (_S.CANCELLING, _E.NEVER_BEGUN): _S.CANCELLED,
    (_S.CANCELLING, _E.BEGUN): _S.UNKNOWN,
    (_S.DOUBTFUL, _E.NEVER_BEGUN): _S.QUEUED,
    (_S.DOUBTFUL, _E.BEGUN): _S.UNKNOWN,
    (_S.DOUBTFUL, _E.FORSAKEN): _S.UNKNOWN,
    **{(state, _E.RESOLVED_SUCCEEDED): _S.SUCCEEDED for state in (_S.DOUBTFUL, _S.UNKNOWN)},
    **{(state, _E.RESOLVED_FAILED): _S.FAILED for state in (_S.DOUBTFUL, _S.UNKNOWN)},
}
"""The moves that depend on nothing else."""
_RESULTS = {
    _E.RESULT_SUCCEEDED: _S.SUCCEEDED,
    _E.RESULT_FAILED: _S.FAILED,
    _E.RESULT_CANCELLED: _S.CANCELLED,
    _E.RESULT_UNKNOWN: _S.UNKNOWN,
}


def following(state: TaskState, event: TaskEvent, effect: TaskEffect, *, silent: int = 0) -> TaskState | None:
    """The state after *event*, None where it changes nothing. *silent* instances had the task before and fell silent."""
    if event is TaskEvent.SILENT:
        return _after_silence(state, effect, silent)
    if event in _RESULTS:
        return _after_result(state, _RESULTS[event], effect)
    return _MOVES.get((state, event))


def _after_silence(state: TaskState, effect: TaskEffect, silent: int) -> TaskState | None:
    if state not in HELD:
        return None
    if effect is TaskEffect.ONCE:
        return TaskState.DOUBTFUL
    if state is TaskState.CANCELLING:
        return TaskState.CANCELLED
    return TaskState.QUEUED if silent + 1 < MAX_SILENT else TaskState.LOST


def _after_result(state: TaskState, said: TaskState, effect: TaskEffect) -> TaskState | None:
    if state in FINAL or state is said:
        return None
    if said is not TaskState.UNKNOWN or state in HELD or state is TaskState.DOUBTFUL:
        return said
    # An action that was offered again: its earlier, doubtful delivery says nothing where it may be repeated.
    return said if effect is TaskEffect.ONCE and state is TaskState.QUEUED else None
