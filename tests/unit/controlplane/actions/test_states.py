"""The life of a task: the table of docs/protocol-runner.md row by row, and what holds for every history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.actions.states import ENDED, FINAL, HELD, TaskEffect, TaskEvent, TaskState, following

ONCE, READ, REPEAT = TaskEffect.ONCE, TaskEffect.READ, TaskEffect.REPEAT
RESULTS = [event for event in TaskEvent if event.value.startswith("result_")]
NEVER_STARTED = {TaskEvent.RELEASED, TaskEvent.MISSING, TaskEvent.NEVER_BEGUN}


@pytest.mark.parametrize(
    ("before", "event", "effect", "after"),
    [
        ("queued", "given", READ, "leased"),
        ("queued", "late", ONCE, "expired"),
        ("leased", "released", ONCE, "queued"),
        ("leased", "missing", ONCE, "queued"),
        ("leased", "silent", READ, "queued"),
        ("leased", "silent", REPEAT, "queued"),
        ("leased", "silent", ONCE, "doubtful"),
        ("leased", "never_begun", ONCE, "queued"),
        ("doubtful", "never_begun", ONCE, "queued"),
        ("leased", "begun", ONCE, "unknown"),
        ("doubtful", "begun", ONCE, "unknown"),
        ("doubtful", "forsaken", ONCE, "unknown"),
        ("leased", "result_succeeded", READ, "succeeded"),
        ("doubtful", "result_failed", ONCE, "failed"),
        ("unknown", "result_succeeded", ONCE, "succeeded"),
        ("unknown", "result_unknown", ONCE, None),
        ("expired", "result_succeeded", READ, "succeeded"),
        ("lost", "result_succeeded", READ, "succeeded"),
        ("queued", "result_unknown", READ, None),
        ("queued", "result_unknown", ONCE, "unknown"),
        ("unknown", "resolved_succeeded", ONCE, "succeeded"),
        ("unknown", "resolved_failed", ONCE, "failed"),
        ("succeeded", "resolved_failed", ONCE, None),
        ("queued", "cancel", ONCE, "cancelled"),
        ("leased", "cancel", ONCE, "cancelling"),
        ("cancelling", "missing", ONCE, "cancelled"),
        ("cancelling", "result_succeeded", ONCE, "succeeded"),
        ("cancelling", "silent", ONCE, "doubtful"),
        ("cancelling", "silent", READ, "cancelled"),
        ("doubtful", "cancel", ONCE, None),
        ("leased", "late", READ, None),
        ("leased", "given", READ, None),
    ],
)
def test_an_event_moves_a_task_as_the_table_says(
    before: str, event: str, effect: TaskEffect, after: str | None
) -> None:
    moved = following(TaskState(before), TaskEvent(event), effect)
    assert moved == (None if after is None else TaskState(after))


def test_a_fourth_silent_delivery_is_the_last() -> None:
    assert following(TaskState.LEASED, TaskEvent.SILENT, READ, silent=2) is TaskState.QUEUED
    assert following(TaskState.LEASED, TaskEvent.SILENT, READ, silent=3) is TaskState.LOST


histories = st.lists(st.sampled_from(list(TaskEvent)), max_size=40)


@given(histories)
def test_a_once_action_is_given_again_only_after_somebody_said_that_it_never_began(events: list[TaskEvent]) -> None:
    state, may_have_begun = TaskState.QUEUED, False
    for event in events:
        after = following(state, event, ONCE)
        if after is None:
            continue
        if event is TaskEvent.GIVEN:
            assert not may_have_begun
            may_have_begun = True
        elif event in NEVER_STARTED:
            may_have_begun = False
        assert not (after is TaskState.QUEUED and may_have_begun)
        state = after


@given(histories, st.sampled_from(list(TaskEffect)))
def test_what_is_final_stays_and_unknown_gives_way_to_a_true_result(
    events: list[TaskEvent], effect: TaskEffect
) -> None:
    state, silent = TaskState.QUEUED, 0
    for event in events:
        after = following(state, event, effect, silent=silent)
        if state in FINAL:
            assert after is None
        if state in ENDED and event in RESULTS and event is not TaskEvent.RESULT_UNKNOWN:
            assert after == (None if state in FINAL else TaskState(event.value.removeprefix("result_")))
        silent += event is TaskEvent.SILENT and after is not None
        state = after or state


@given(histories, st.sampled_from([READ, REPEAT]))
def test_a_repeatable_action_is_never_in_doubt_of_ours(events: list[TaskEvent], effect: TaskEffect) -> None:
    state = TaskState.QUEUED
    for event in events:
        if event in {TaskEvent.BEGUN, TaskEvent.RESULT_UNKNOWN}:  # the runner's own word
            continue
        state = following(state, event, effect) or state
        assert state not in {TaskState.DOUBTFUL, TaskState.UNKNOWN}


@pytest.mark.parametrize("state", sorted(HELD))
@pytest.mark.parametrize("event", RESULTS)
def test_a_result_of_what_is_held_always_counts(state: TaskState, event: TaskEvent) -> None:
    assert following(state, event, ONCE) == TaskState(event.value.removeprefix("result_"))
